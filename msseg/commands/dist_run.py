"""Start the processes of a job: ``msseg dist train CONFIG NUM``.

The scripts ``tools/dist_train.sh`` and ``tools/dist_test.sh`` call it, too.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from msseg.utils.cli import CommandParser

LAUNCHERS = ('msrun', 'ranktable')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Train or test in several processes, and watch over them. In the environment: '
        'NNODES, NODE_RANK, MASTER_ADDR and PORT for several machines.'
    )
    commands = parser.add_subparsers(dest='command', required=True)
    for name, extra in (('train', ()), ('test', ('checkpoint',))):
        command = commands.add_parser(name, help=f'run msseg {name}')
        for argument in ('config', *extra):
            command.add_argument(argument)
        command.add_argument('num', help='processes on this machine, one a card')
        command.add_argument('options', nargs=argparse.REMAINDER, help=f'of msseg {name}')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Start the job; return its exit status."""
    args = parse_args(argv)
    from msseg.launch.job import Job, make_log_dir
    from msseg.launch.spawn import JobPlan
    from msseg.utils.say import say

    options, launcher = take_option(args.options, '--launcher')
    if launcher not in (None, *LAUNCHERS):
        raise ValueError(
            f'--launcher is {launcher!r}, but the processes are started here, with one of '
            f'{list(LAUNCHERS)}; for mpi: mpirun -n NUM msseg {args.command} … --launcher mpi'
        )
    num_local = whole_number('NUM', args.num, 1)
    num_nodes = whole_number('NNODES', os.environ.get('NNODES') or '1', 1)
    node = whole_number('NODE_RANK', os.environ.get('NODE_RANK') or '0', 0)
    if node >= num_nodes:
        raise ValueError(f'NODE_RANK is {node}, expected a number from 0 to NNODES - 1')
    address = os.environ.get('MASTER_ADDR')
    if num_nodes > 1 and not address:
        raise ValueError(f'NNODES is {num_nodes}, so MASTER_ADDR must name machine 0')
    port = os.environ.get('PORT') or os.environ.get('MASTER_PORT')
    files = [args.config] if args.command == 'train' else [args.config, args.checkpoint]
    plan = JobPlan(
        ['-m', 'msseg', args.command],
        [*files, *options],
        num_local,
        make_log_dir(find_work_dir(args.config, options)),
        launcher or LAUNCHERS[0],
        num_nodes,
        node,
        address or '127.0.0.1',
        whole_number('PORT', port, 1) if port else None,
    )
    say(f'ranks {plan.ranks[0]} to {plan.ranks[-1]} log to {plan.log_dir}')
    return Job(plan).run()


def take_option(options: Sequence[str], name: str) -> tuple[list[str], str | None]:
    """Return the options without one of them, and its value if it was given."""
    rest, value, words = [], None, iter(options)
    for word in words:
        if word == name:
            value = next(words, '')
        elif word.startswith(f'{name}='):
            value = word.partition('=')[2]
        else:
            rest.append(word)
    return rest, value


def find_work_dir(config: str, options: Sequence[str]) -> Path:
    """Return the work dir that the tool will choose."""
    from msseg.config import Config

    _, work_dir = take_option(options, '--work-dir')
    chosen = work_dir or Config.fromfile(config, import_custom_modules=False).get('work_dir')
    return Path(chosen or Path('work_dirs') / Path(config).stem)


def whole_number(name: str, text: str, least: int) -> int:
    """Return a whole number that a user gave.

    Raises:
        ValueError: It is none, or too small.
    """
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f'{name} is {text!r}, expected a whole number of at least {least}')
    return int(text)

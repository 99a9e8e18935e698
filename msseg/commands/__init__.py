"""The command ``msseg``: a table of sub-commands, of which only the chosen one is imported.

A sub-command is a module here with ``main(argv)``, and a line of the table. ``tools/`` has a script
for most of them, which calls the same ``main``.
"""

from __future__ import annotations

import importlib
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import NamedTuple

from msseg.utils.cli import CommandParser, run_main
from msseg.utils.suggest import nearest
from msseg.version import __version__


class Command(NamedTuple):
    """A sub-command.

    Attributes:
        name: What users write.
        module: The module of this package whose ``main(argv)`` it runs; also the name of its script
            in ``tools/``.
        help: A line for ``msseg --help``.
    """

    name: str
    module: str
    help: str


COMMANDS = (
    Command('train', 'train', 'train a segmentor'),
    Command('test', 'test', 'score a checkpoint; write label maps, pictures and a report'),
    Command('predict', 'predict', 'label images and videos'),
    Command('serve', 'serve', 'try a model in a browser, and over HTTP'),
    Command('export', 'export', 'write ONNX or MindIR files for deployment'),
    Command('deploy-test', 'deploy_test', 'score an exported file'),
    Command('dist', 'dist_run', 'train or test in several processes, one for each card'),
    Command('convert', 'convert_from_torch', 'convert a checkpoint of PyTorch, without PyTorch'),
    Command('check-config', 'check_config', 'find what is wrong with a config before training'),
    Command('check-data', 'check_dataset', 'find what is wrong with the files of a data set'),
    Command('check-operators', 'check_operators', 'find operators that a card does not run'),
    Command('import-labels', 'import_labels', 'make a data set and a config from annotations'),
    Command('new', 'new_config', 'write a config that trains on a data set of your own'),
    Command('convert-dataset', 'convert_dataset', 'convert Cityscapes, CamVid, DRIVE and others'),
    Command('print-config', 'print_config', 'print a config with its inheritance resolved'),
    Command('browse', 'browse_dataset', 'write a page of augmented training samples'),
    Command('analyze', 'analyze_logs', 'draw curves of runs, and print where their time went'),
    Command('confusion', 'confusion_matrix', "draw the confusion matrix of a test's results"),
    Command('models', 'models', "list msseg's own configs, with their figures"),
    Command('weights', 'weights', 'list, fetch and check weights that configs can name'),
    Command('doctor', 'doctor', 'show versions, devices, memory, disk, and what is wrong'),
    Command('selftest', 'selftest', 'check that this machine and its cards compute correctly'),
    Command('flops', 'get_flops', "count a network's parameters and multiplications"),
)


def main(argv: Sequence[str] | None = None) -> object:
    """Run the sub-command that the arguments name; return what its ``main`` returns.

    Args:
        argv: The words after ``msseg``; by default those of this process.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    by_name = {command.name: command for command in COMMANDS}
    parser = _parser()
    if words[:1] == ['help']:
        words = [*words[1:2], '--help']
    if not words:
        parser.print_help()
        return None
    if words[0].startswith('-'):
        parser.parse_args(words[:1])
    command = by_name.get(words[0])
    if command is None:
        parser.error(f'there is no command {words[0]!r}.{_suggestion(words[0])}')
    module = importlib.import_module(f'{__name__}.{command.module}')
    return module.main(words[1:])


def run() -> None:
    """Run the command line of this process and end it: what the command ``msseg`` calls."""
    run_main(main)


def _parser() -> CommandParser:
    width = max(len(command.name) for command in COMMANDS)
    lines = [f'  {command.name:{width}}  {command.help}' for command in COMMANDS]
    parser = CommandParser(
        prog='msseg',
        usage='msseg COMMAND …',
        description='Semantic segmentation on MindSpore.\n\ncommands:\n' + '\n'.join(lines),
        epilog='msseg COMMAND --help explains a command. CONFIG is a config file, or the name of\n'
        "one of msseg's own.",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'msseg {__version__}')
    return parser


def _suggestion(word: str) -> str:
    """Return a sentence with the command that a misspelling or a script's name stands for."""
    names = {name: command.name for command in COMMANDS for name in (command.module, command.name)}
    near = nearest(word.removesuffix('.py').replace('-', '_'), names, 1) or nearest(word, names, 1)
    known = ', '.join(command.name for command in COMMANDS)
    return f' Did you mean {names[near[0]]!r}?' if near else f' There are: {known}'

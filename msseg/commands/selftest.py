"""Check that this machine and its cards compute what they should: ``msseg selftest``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from msseg.utils.cli import CommandParser
from msseg.utils.device_name import DEVICE_HELP


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Compare layers, networks, training steps and whole commands on this machine '
        'with known numbers, which takes some minutes. Exit status 1 if a check fails.'
    )
    parser.add_argument('--device', default='auto', help=DEVICE_HELP)
    parser.add_argument(
        '--devices',
        type=int,
        metavar='N',
        help='processes that compute together, one a card (default: all cards; 2 on the CPU)',
    )
    parser.add_argument(
        '--out', metavar='FILE.txt', help='write the report here, and FILE.json for programs'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Check, and print the report; return 1 if a check failed."""
    args = parse_args(argv)
    if args.devices is not None and args.devices < 1:
        raise ValueError(f'--devices is {args.devices}, expected a whole number from 1')
    from msseg.checks.selftest.run import run_selftest
    from msseg.utils.atomic import atomic_write_text
    from msseg.utils.outputs import Outputs
    from msseg.utils.say import STDERR, say

    files = []
    if args.out is not None:
        if Path(args.out).suffix != '.txt':
            raise ValueError(f'--out is {args.out!r}, expected a name that ends in .txt')
        outputs = Outputs()
        files = [
            outputs.file(Path(args.out).with_suffix(end), '--out', end) for end in ('.txt', '.json')
        ]
        files[0].parent.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # and end the parts
    report = run_selftest(args.device, args.devices, lambda line: say(line, STDERR))
    print(report.text())
    if files:
        atomic_write_text(files[0], report.text())
        content = json.dumps(report.as_dict(), indent=2, ensure_ascii=False)
        atomic_write_text(files[1], f'{content}\n')
    return 0 if report.passed else 1

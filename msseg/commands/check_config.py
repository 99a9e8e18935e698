"""Find what is wrong with a config before training: ``msseg check-config CONFIG``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from msseg.utils.cli import CommandParser, add_device_options
from msseg.utils.outputs import claim_json


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Report what is wrong with a config and what to do: compare its settings with '
        'each other, build model, data sets, optimizer, schedule and hooks, and train one step on '
        'a part of a batch. Exit status 1 with errors, 0 with warnings only.'
    )
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument(
        '--no-files', action='store_true', help='look for neither data nor weights, compute no step'
    )
    parser.add_argument('--no-step', action='store_true', help='build all, but compute no step')
    parser.add_argument('--json', metavar='FILE', help='write all findings to this file')
    add_device_options(parser)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Check and print; the exit status is 1 with errors."""
    from msseg.config.find_base import find_config

    args = parse_args(argv)
    args.config = find_config(args.config)
    claim_json(args.json, args.config)

    from msseg.checks.config import check_config, format_report
    from msseg.utils.device import setup_device

    setup_device(args.device, args.device_id)
    report = check_config(
        args.config, args.cfg_options, not args.no_files, not (args.no_files or args.no_step)
    )
    print(format_report(report))
    if args.json:
        report.write_json(args.json)
    if report.num_errors:
        sys.exit(1)

"""Find what is wrong with the files of a data set: ``msseg check-data CONFIG``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from msseg.utils.cli import CommandParser
from msseg.utils.outputs import claim_json


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Read every file of the data sets of a config: report what is wrong and what '
        'to do, count classes, and compute class weights, mean and standard deviation. Exit status '
        '1 with errors, 0 with warnings only.'
    )
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument(
        '--split',
        nargs='+',
        choices=('train', 'val', 'test'),
        help='the splits to check (default: all that the config has)',
    )
    parser.add_argument(
        '--workers', type=int, help='number of processes (default: one for each core)'
    )
    parser.add_argument(
        '--beta', type=float, help='of the class weights by the effective number of samples'
    )
    parser.add_argument('--json', metavar='FILE', help='write all findings and counts to this file')
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Check and print; the exit status is 1 with errors."""
    from msseg.config.find_base import find_config

    args = parse_args(argv)
    args.config = find_config(args.config)
    claim_json(args.json, args.config)

    from msseg.apis import load_config
    from msseg.checks.data import check_dataset, format_report

    cfg = load_config(args.config, args.cfg_options, parts=('data', 'custom_imports'))
    report = check_dataset(cfg, args.split, args.workers, args.beta)
    print(format_report(report))
    if args.json:
        report.write_json(args.json)
    if report.num_errors:
        sys.exit(1)

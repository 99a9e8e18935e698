"""Measure how fast msseg is, always as a ratio to something measured in the same run.

Example:
    python tools/benchmark.py metric
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from msseg.utils.cli import CommandParser, run_main

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import conversion, inference, losses, metric, models, pipeline, step

SUBCOMMANDS = {
    'pipeline': pipeline,
    'metric': metric,
    'step': step,
    'inference': inference,
    'conversion': conversion,
    'losses': losses,
    'models': models,
}


def parse_args() -> argparse.Namespace:
    """Returns the command line's arguments."""
    parser = CommandParser(description='Speed, as ratios measured within one run.')
    subparsers = parser.add_subparsers(dest='subcommand', required=True)
    for name, module in SUBCOMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        )
        module.add_arguments(subparser)
    return parser.parse_args()


def main() -> None:
    """Runs one benchmark."""
    args = parse_args()
    SUBCOMMANDS[args.subcommand].run(args)


if __name__ == '__main__':
    run_main(main)

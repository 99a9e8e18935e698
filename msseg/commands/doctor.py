"""Show what of this machine msseg depends on, and what is wrong with it: ``msseg doctor``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.utils.cli import CommandParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Show versions, devices and why they do not load, free memory and disk, and '
        'caches. Exit status 1 with problems.'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the page; return 1 with problems."""
    parse_args(argv)
    from msseg.checks.machine import examine_machine

    report = examine_machine()
    print(report.text())
    return 1 if report.problems else 0

"""List the configs that come with msseg: ``msseg models [PATTERN]``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from msseg.config.own_configs import family_of, list_configs, own_names, read_figures
from msseg.utils.cli import CommandParser
from msseg.utils.errors import unknown_name

_HEAD = ('config', 'family', 'parameters', 'mIoU', 'on', 'source')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description="List msseg's own configs, whose names stand wherever a config is asked for.",
        epilog='Parameters are millions, of the network that predicts; mIoU is in percent, of one '
        'scale; a dash means not known.',
    )
    parser.add_argument(
        'pattern', nargs='?', default='*', help="a part of the names, or such as 'ocr*', 'unet/*'"
    )
    parser.add_argument('--json', action='store_true', help='print JSON, with numbers in full')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    args = parse_args(argv)
    names = list_configs(args.pattern)
    if not names:
        known = sorted({*own_names(), *map(family_of, own_names())})
        word = args.pattern.strip('*')
        raise unknown_name(
            f'no config is called {args.pattern!r}',
            word,
            known,
            expected="a part of a name, or a pattern such as 'ocr*'; msseg models lists all",
        )
    figures = read_figures()
    if args.json:
        rows = {name: {'family': family_of(name), **figures.get(name, {})} for name in names}
        print(json.dumps(rows, indent=1))
        return
    table = [_HEAD, *(_row(name, figures.get(name, {})) for name in names)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = zip(row, widths, (str.ljust, str.ljust, str.rjust, str.rjust, str.ljust, str.ljust),
                    strict=True)  # fmt: skip
        print('  '.join(align(cell, width) for cell, width, align in cells).rstrip())


def _row(name: str, figures: dict) -> tuple[str, ...]:
    parameters = f'{figures["parameters"] / 1e6:.2f}' if 'parameters' in figures else '-'
    score = f'{figures["mIoU"]:.2f}' if 'mIoU' in figures else '-'
    return (
        name,
        family_of(name),
        parameters,
        score,
        figures.get('data', '-'),
        figures.get('source', '-'),
    )

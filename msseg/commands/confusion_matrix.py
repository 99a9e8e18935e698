"""Draw confusions: ``msseg confusion CONFIG LABELS.npz --out confusion.png``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.utils.cli import CommandParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(description="Draw the confusion matrix of a test's results.")
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument('labels', help='what msseg test --out wrote (.npz)')
    parser.add_argument('--out', default='confusion.png', help='the PNG to write')
    parser.add_argument('--title', help='above the matrix')
    parser.add_argument(
        '--color-theme', default='Blues', help="matplotlib's colour map (default: Blues)"
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Count, draw and say where."""
    args = parse_args(argv)
    from msseg.apis import build_split, load_config
    from msseg.reports.confusion_picture import check_out, count_confusions, draw_confusion

    dataset = build_split(load_config(args.config, args.cfg_options), 'test')
    check_out(args.out, dataset, args.config, args.labels)
    matrix = count_confusions(dataset, args.labels)
    options = {'title': args.title} if args.title is not None else {}
    draw_confusion(matrix, dataset.CLASSES, args.out, colours=args.color_theme, **options)
    print(f'wrote {args.out}')

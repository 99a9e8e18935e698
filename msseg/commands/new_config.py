"""Write a config for a data set of your own: ``msseg new DATA --model NAME``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from msseg.utils.cli import CommandParser


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Check a data set and write a config that trains on it. Exit status 1 with '
        'errors in the data.'
    )
    parser.add_argument('data', type=Path, help='data YAML, or the folder of data.yaml')
    parser.add_argument(
        '--classes',
        nargs='+',
        metavar='NAME',
        help='the classes of a folder without data.yaml, which is written; it has images/train, '
        'images/val and masks (or annotations)',
    )
    parser.add_argument(
        '--model', default='ocrnet_nuclei', help='config to start from (default: ocrnet_nuclei)'
    )
    parser.add_argument(
        '--bands',
        nargs='+',
        type=int,
        metavar='N',
        help='channels to load, from 1, in the order of the files (default: colours of 8 bits as '
        'such, all channels of other images)',
    )
    parser.add_argument('--array', metavar='NAME', help='of .npz files, the array of the image')
    parser.add_argument(
        '--out', type=Path, help='config to write (default: MODEL.py next to the data YAML)'
    )
    parser.add_argument(
        '--pretrained',
        action='store_true',
        help="start from the weights that the model's config names, with its mean and std",
    )
    parser.add_argument('--force', action='store_true', help='replace a config of that name')
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Check and write; the exit status is 1 with errors."""
    args = parse_args(argv)

    from msseg.checks.data import check_dataset, format_report
    from msseg.own_data.new_config import write_config

    written = write_config(
        args.data,
        args.model,
        args.out,
        check_dataset,
        is_pretrained=args.pretrained,
        force=args.force,
        classes=args.classes,
        bands=args.bands,
        array=args.array,
    )
    print(format_report(written.report))
    print(f'train with: msseg train {written.config}')
    if written.report.num_errors:
        sys.exit(1)

"""Make a data set and a config from annotations: ``msseg import-labels FORMAT SRC``.

Example:
    msseg import-labels coco downloads/cells --out data/cells --val 0.2
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from msseg.utils.cli import CommandParser

_FORMATS = ('labelme', 'coco', 'voc', 'cvat', 'labelstudio', 'yolo', 'rgb', 'folder')


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Make label files, a data YAML and a config that trains from the annotations '
        'of a labelling tool; then check the data set. Exit status 1 with errors.'
    )
    parser.add_argument('format', choices=_FORMATS, help='where the annotations come from')
    parser.add_argument('source', type=Path, help='folder of the annotations, or one file')
    parser.add_argument('--out', type=Path, required=True, help='folder to write to')
    parser.add_argument(
        '--images', type=Path, nargs='+', default=[], help='more folders that hold the images'
    )
    parser.add_argument(
        '--val',
        type=float,
        help='share of images for validation, by class (default: as the source has it, or 0.2)',
    )
    parser.add_argument('--seed', type=int, default=0, help='seed of that division (default: 0)')
    parser.add_argument('--classes', nargs='+', metavar='NAME', help='the classes, in their order')
    parser.add_argument(
        '--ignore', nargs='+', default=[], metavar='NAME', help='labels that do not count (255)'
    )
    parser.add_argument(
        '--background',
        metavar='NAME',
        help='class of pixels without an object (default: background); none: they do not count',
    )
    parser.add_argument(
        '--overlap',
        choices=('file', 'area'),
        help='of overlapping objects the later one lies above, or the smaller one (default: file; '
        'area for coco and yolo)',
    )
    parser.add_argument(
        '--label-map',
        nargs='+',
        default=[],
        metavar='VALUE:CLASS',
        help="for folder: what values of masks mean, such as 255:1 or '1-254:1'",
    )
    parser.add_argument('--link', action='store_true', help='link to the images, do not copy them')
    parser.add_argument(
        '--force', action='store_true', help='replace an earlier import of the same folder'
    )
    parser.add_argument(
        '--model', default='ocrnet_nuclei', help='config to start from (default: ocrnet_nuclei)'
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Import, write the config and check; the exit status is 1 with errors."""
    args = parse_args(argv)

    from msseg.checks.data import check_dataset, format_report
    from msseg.own_data.import_labels import ImportOptions, import_labels
    from msseg.own_data.new_config import find_model, write_config
    from msseg.own_data.source import Source, parse_value_map

    find_model(args.model)
    label_map = parse_value_map(args.label_map)
    source = Source(args.source, args.images, args.classes, label_map)
    options = ImportOptions(
        val=args.val,
        seed=args.seed,
        ignored=args.ignore,
        background=args.background,
        overlap=args.overlap,
        link=args.link,
        force=args.force,
    )
    imported = import_labels(args.format, source, args.out, options)
    print('\n'.join(imported.lines))
    written = write_config(imported.data, args.model, None, check_dataset, force=args.force)
    print(format_report(written.report))
    print(f'train with: msseg train {written.config}')
    if written.report.num_errors:
        sys.exit(1)

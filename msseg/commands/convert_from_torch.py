"""Convert a checkpoint: ``msseg convert SRC DST [options]``.

PyTorch is not needed, and nothing in the file is run.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.utils.cli import CommandParser, add_download_option, allow_download


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = CommandParser(
        description='Convert a checkpoint of PyTorch, or of the MindSpore model zoo, to one with '
        "msseg's names. PyTorch is not needed, and nothing in the file is run."
    )
    parser.add_argument(
        'source',
        help='.pth, .pth.tar, .bin, .safetensors, .npz, or .ckpt of the model zoo; an address, '
        'or a name of msseg weights list',
    )
    parser.add_argument('destination', help='.ckpt file to write')
    parser.add_argument(
        '--style',
        default='auto',
        help='whose names they are: auto (default), mmseg, huggingface, official (HRNet-OCR), '
        'swin, mit, vit, …; docs/convert.md lists all',
    )
    parser.add_argument(
        '--config', help='config whose model the file must fill; without it names are converted'
    )
    parser.add_argument(
        '--report', help='file for what became of every parameter; JSON when it ends in .json'
    )
    add_download_option(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Convert."""
    args = parse_args(argv)
    allow_download(args)
    from msseg.apis import convert_checkpoint, load_config
    from msseg.utils.logging import setup_logging

    setup_logging()
    cfg = load_config(args.config, parts=('model',)) if args.config is not None else None
    convert_checkpoint(args.source, args.destination, args.style, cfg, args.report)

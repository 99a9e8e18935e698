"""Score an exported file: ``msseg deploy-test FILE CONFIG``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from msseg.utils.cli import CommandParser
from msseg.utils.device_name import DEVICE_HELP
from msseg.utils.stop_signals import hear_interrupts


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(description='Score an exported file on the test images of a config.')
    parser.add_argument('file', help='what msseg export wrote: .mindir, .onnx or .ms')
    parser.add_argument('config', help='config file, for its data.test')
    parser.add_argument(
        '--eval',
        nargs='+',
        default=['mIoU'],
        metavar='METRIC',
        help="scores: mIoU (default), mDice, mFscore, cityscapes (by Cityscapes' own tool)",
    )
    parser.add_argument('--out', help='write all label maps to this .npz file')
    parser.add_argument('--device', default='auto', help=DEVICE_HELP)
    parser.add_argument(
        '--runtime',
        default='auto',
        help='auto (default, by the ending), mindspore, onnxruntime or lite',
    )
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Score."""
    args = parse_args(argv)
    hear_interrupts()
    from msseg.apis import load_config
    from msseg.export.evaluation import deploy_test
    from msseg.utils.logging import setup_logging

    setup_logging(level='WARNING')
    cfg = load_config(args.config, args.cfg_options)
    scores = deploy_test(args.file, cfg, args.eval, args.out, args.device, args.runtime)
    print(scores.table())

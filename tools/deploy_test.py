"""Score an exported file: ``python tools/deploy_test.py FILE CONFIG``."""

from __future__ import annotations

import argparse

from msseg.utils.cli import CommandParser, run_main
from msseg.utils.device_name import DEVICE_HELP
from msseg.utils.stop_signals import hear_interrupts


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(description='Score an exported file on the test images of a config.')
    parser.add_argument('file', help='what tools/export.py wrote: .mindir, .onnx or .ms')
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
    return parser.parse_args()


def main() -> None:
    """Score."""
    args = parse_args()
    hear_interrupts()
    from msseg.apis import load_config
    from msseg.export.evaluation import deploy_test
    from msseg.utils.logging import setup_logging

    setup_logging(level='WARNING')
    cfg = load_config(args.config, args.cfg_options)
    scores = deploy_test(args.file, cfg, args.eval, args.out, args.device, args.runtime)
    print(scores.table())


if __name__ == '__main__':
    run_main(main)

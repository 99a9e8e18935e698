"""Score what msseg_infer gave: ``python tools/deploy/postprocess.py CONFIG``.

The last of the three steps of inference outside of Python; run_cpp_infer.sh does them all.
"""

from __future__ import annotations

import argparse

from msseg.utils.cli import CommandParser, run_main


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description="Score the outputs of msseg_infer for preprocess.py's inputs, as tools/test.py."
    )
    parser.add_argument('config', help='config file, the one of preprocess.py')
    parser.add_argument(
        '--inputs',
        default='preprocess_Result',
        help='folder that preprocess.py wrote (default: preprocess_Result)',
    )
    parser.add_argument(
        '--outputs',
        default='result_Files',
        help='folder that msseg_infer wrote (default: result_Files)',
    )
    parser.add_argument(
        '--eval',
        nargs='+',
        default=['mIoU'],
        metavar='METRIC',
        help='scores: mIoU (default), mDice, mFscore',
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    """Score."""
    args = parse_args()
    from msseg.apis import load_config
    from msseg.export.evaluation import score_outputs
    from msseg.utils.device import setup_device

    setup_device('CPU')  # nothing is computed with MindSpore
    cfg = load_config(args.config, args.cfg_options)
    print(score_outputs(cfg, args.inputs, args.outputs, args.eval).table())


if __name__ == '__main__':
    run_main(main)

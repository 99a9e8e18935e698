"""Write a data set as inputs of an exported network: ``python tools/deploy/preprocess.py CONFIG``.

The first of the three steps of inference outside of Python; run_cpp_infer.sh does them all.
"""

from __future__ import annotations

import argparse

from msseg.utils.cli import CommandParser, run_main


def parse_args() -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(
        description='Write the test images of a config as the network takes them, for msseg_infer.'
    )
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--out', default='preprocess_Result', help='folder for them (default: preprocess_Result)'
    )
    add_cfg_options(parser)
    return parser.parse_args()


def main() -> None:
    """Write."""
    args = parse_args()
    from msseg.apis import load_config
    from msseg.export.evaluation import write_inputs

    count = write_inputs(load_config(args.config, args.cfg_options), args.out)
    print(f'wrote {count} inputs to {args.out}')


if __name__ == '__main__':
    run_main(main)

"""Label images and videos: ``msseg predict [CONFIG] CHECKPOINT INPUT… --out DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from msseg.commands.model_arguments import add_model_arguments, parse_model_arguments
from msseg.utils.cli import (
    CommandParser,
    add_device_options,
    add_picture_options,
    announce,
)
from msseg.utils.stop_signals import ending_by_sigterm, hear_interrupts


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(description='Label images and videos with a segmentor.')
    add_model_arguments(
        parser, "images, videos, folders of them, or quoted patterns such as 'in/**/*.png'"
    )
    parser.add_argument('--out', required=True, help='folder for the results')
    parser.add_argument(
        '--probabilities',
        action='store_true',
        help='also write class probabilities, uint8 (h, w, classes), 255 is 1',
    )
    parser.add_argument(
        '--csv',
        action='store_true',
        help='also write how much of each image each class takes, and in how many parts',
    )
    parser.add_argument(
        '--tile',
        nargs=2,
        type=int,
        default=(1024, 2048),
        metavar=('H', 'W'),
        help='images of more pixels than this are segmented in tiles of this size '
        '(default: 1024 2048)',
    )
    parser.add_argument(
        '--overlap',
        type=int,
        default=128,
        help='pixels over which tiles are blended (default: 128)',
    )
    add_picture_options(parser)
    add_device_options(parser)
    add_cfg_options(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Label."""
    args = parse_args(argv)
    hear_interrupts()
    announce(f'labelling with {args.checkpoint}')
    with ending_by_sigterm():
        from msseg.apis.image_inputs import find_inputs
        from msseg.apis.inference import init_segmentor
        from msseg.apis.model_source import find_model
        from msseg.prediction import PredictOptions, predict_files
        from msseg.prediction.predict import prepare_folder
        from msseg.utils.logging import setup_logging

    options = PredictOptions(
        tuple(args.tile),
        args.overlap,
        args.probabilities,
        args.opacity,
        args.legend,
        args.tint_background,
        args.csv,
    )
    # what can be wrong with these is said before the model is built
    options.check()
    inputs = find_inputs(args.inputs, without=args.out)
    setup_logging(level='INFO' if sys.stderr.isatty() else 'WARNING')
    cfg, checkpoint = find_model(args.config, args.checkpoint, args.cfg_options)
    prepare_folder(args.out, options, inputs, [args.config, checkpoint])
    if str(checkpoint) != args.checkpoint:
        print(f'checkpoint: {checkpoint}')
    model = init_segmentor(cfg, checkpoint, args.device, device_id=args.device_id)
    problems = predict_files(model, inputs, args.out, options)
    print(f'labelled {len(inputs) - len(problems)} of {len(inputs)}, results in {args.out}')
    if problems:
        raise ValueError(
            f'{len(problems)} of {len(inputs)} inputs could not be read and were skipped, the '
            f'first: {problems[0]}'
        )

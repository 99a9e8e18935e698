"""Test a checkpoint: ``msseg test [CONFIG] CHECKPOINT --eval mIoU [options]``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial

from msseg.commands.model_arguments import add_model_arguments, parse_model_arguments
from msseg.utils.cli import (
    CommandParser,
    add_device_options,
    add_job_options,
    add_picture_options,
    announce,
)
from msseg.utils.stop_signals import ending_by_sigterm, hear_interrupts


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(description='Test a segmentor.')
    add_model_arguments(parser)
    parser.add_argument(
        '--eval',
        nargs='+',
        default=[],
        metavar='METRIC',
        help='scores: mIoU (the default when no other result is asked for), mDice, mFscore, '
        'mBoundaryIoU (of edges), '
        "cityscapes (by Cityscapes' own tool)",
    )
    parser.add_argument('--out', help='write all label maps to this .npz file')
    parser.add_argument('--show-dir', help='write images with the labels laid over them here')
    add_picture_options(parser)
    parser.add_argument(
        '--format-only',
        action='store_true',
        help="write label files as the data set's benchmark wants them, to --format-dir",
    )
    parser.add_argument(
        '--format-dir', help='folder for --format-only (default: format_results in the work dir)'
    )
    parser.add_argument(
        '--aug-test', action='store_true', help='average over six scales and horizontal flips'
    )
    parser.add_argument(
        '--bootstrap',
        type=int,
        default=0,
        metavar='N',
        help='95 percent confidence intervals of the IoU from N resamples of the images, as 1000',
    )
    parser.add_argument('--work-dir', help='folder for a JSON file of the scores')
    parser.add_argument(
        '--report', help='write a page on scores, confusions, the worst and best images here'
    )
    add_job_options(parser, 'msseg dist test')
    add_device_options(parser)
    add_cfg_options(parser)
    return parse_model_arguments(parser, argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Test."""
    args = parse_args(argv)
    hear_interrupts()
    announce(f'testing {args.checkpoint}')
    with ending_by_sigterm():
        from msseg.apis import test_from_config
        from msseg.apis.model_source import find_model
        from msseg.apis.train_settings import work_dir_of
        from msseg.checks.start import check_before_testing
        from msseg.launch.modelarts import Urls, local_copies
        from msseg.reports import EvaluationReport

    outputs = (args.out, args.show_dir, args.format_only, args.report)
    metrics = args.eval or ([] if any(outputs) else ['mIoU'])
    # with a config, latest and best may be in what is still to be copied
    checkpoint = args.checkpoint if args.config is None else None
    cfg, found = find_model(args.config, checkpoint, args.cfg_options, args.work_dir)
    urls = Urls(args.data_url, args.checkpoint_url, args.train_url)
    data = cfg.get('data') or {}
    with local_copies(data, args.modelarts, urls, args.work_dir, args.launcher) as folders:
        work_dir = folders.work_dir or work_dir_of(cfg)
        format_dir = folders.output(args.format_dir) or work_dir / 'format_results'
        test_from_config(
            cfg,
            found or folders.find_checkpoint(args.checkpoint),
            metrics=metrics,
            out=folders.output(args.out),
            show_dir=folders.output(args.show_dir),
            opacity=args.opacity,
            legend=args.legend,
            tint_background=args.tint_background,
            format_dir=format_dir if args.format_only else None,
            aug_test=args.aug_test,
            bootstrap=args.bootstrap,
            work_dir=folders.work_dir,
            report=partial(EvaluationReport, folders.output(args.report)) if args.report else None,
            start_check=check_before_testing,
            device=args.device,
            device_id=args.device_id,
            launcher=args.launcher,
        )

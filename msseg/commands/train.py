"""Train a segmentor: ``msseg train CONFIG [options]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from msseg.utils.cli import (
    CommandParser,
    add_device_options,
    add_download_option,
    add_job_options,
    allow_download,
    announce,
)
from msseg.utils.stop_signals import ending_by_sigterm, exit_status, hear_interrupts


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the command line's arguments."""
    from msseg.config import add_cfg_options

    parser = CommandParser(description='Train a segmentor.')
    parser.add_argument('config', help='config file, or the name of one')
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    parser.add_argument(
        '--load-from',
        help='checkpoint to start from, an address, or a name of msseg weights list',
    )
    parser.add_argument('--resume-from', help='checkpoint to go on from')
    parser.add_argument(
        '--auto-resume', action='store_true', help="go on from the work dir's newest checkpoint"
    )
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate while training')
    parser.add_argument('--seed', type=int, help='of weights, order and augmentation')
    parser.add_argument(
        '--deterministic', action='store_true', help='ask for kernels that repeat exactly'
    )
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the batch of all devices over the config's "
        'auto_scale_lr.base_batch_size',
    )
    parser.add_argument(
        '--print-config',
        action='store_true',
        help='show the resolved config, which otherwise goes to the log file alone',
    )
    add_download_option(parser)
    add_job_options(parser, 'msseg dist train')
    add_device_options(parser)
    add_cfg_options(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    args = parse_args(argv)
    allow_download(args)
    hear_interrupts()
    announce(f'training {args.config}')
    with ending_by_sigterm():
        from msseg.apis import load_config, train_from_config
        from msseg.apis.model_source import use_local_weights
        from msseg.checks.start import check_before_training
        from msseg.launch.modelarts import Urls, local_copies

    cfg = load_config(args.config, args.cfg_options)
    if args.load_from is not None:
        cfg.load_from = args.load_from
    if args.resume_from is not None:
        cfg.resume_from = args.resume_from
    if args.auto_scale_lr:
        cfg.auto_scale_lr = {**(cfg.get('auto_scale_lr') or {}), 'enable': True}
    urls = Urls(args.data_url, args.checkpoint_url, args.train_url)
    data = cfg.get('data') or {}
    with local_copies(data, args.modelarts, urls, args.work_dir, args.launcher) as folders:
        use_local_weights(cfg, folders.find_checkpoint)
        runner = train_from_config(
            cfg,
            work_dir=folders.work_dir,
            device=args.device,
            device_id=args.device_id,
            seed=args.seed,
            deterministic=args.deterministic,
            validate=not args.no_validate,
            auto_resume=args.auto_resume,
            launcher=args.launcher,
            print_config=args.print_config,
            start_check=check_before_training,
        )
    if status := exit_status(runner.stop_reason):
        sys.exit(status)

"""``[CONFIG] CHECKPOINT [INPUT…]`` of command lines."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from msseg.config.find_base import is_config
from msseg.config.own_configs import own_names
from msseg.utils.cli import CONFIG_ENDINGS, add_download_option, allow_download
from msseg.utils.suggest import did_you_mean
from msseg.weights import is_address


def add_model_arguments(parser: argparse.ArgumentParser, inputs: str = '') -> None:
    """Add ``[CONFIG] CHECKPOINT``; read them with `parse_model_arguments`.

    Args:
        parser: The parser of the command line.
        inputs: Help on the ``INPUT…`` after them, if it takes some.
    """
    parser.add_argument(
        'config', help='config file or name; may be left out: checkpoints hold theirs'
    )
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help='a file (.ckpt, .pth, .safetensors), a work dir (its newest), latest or best of the '
        "config's work dir, or WORK_DIR/latest, WORK_DIR/best; an address, or a name of msseg "
        'weights list',
    )
    add_download_option(parser)
    if inputs:
        parser.add_argument('inputs', nargs='*', metavar='INPUT', help=inputs)


def parse_model_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None = None
) -> argparse.Namespace:
    """Parse a command line of `add_model_arguments`; ``config`` is None if it was left out."""
    args = parser.parse_intermixed_args(argv)
    allow_download(args)
    names = [args.config, args.checkpoint, *getattr(args, 'inputs', [])]
    names = [name for name in names if name is not None]
    args.config = names.pop(0) if is_config(names[0]) else None
    if args.config is None and not os.path.lexists(names[0]):
        hint = '' if is_address(names[0]) else did_you_mean(names[0], own_names())
        if hint:
            parser.error(f'{names[0]!r} is no config and no checkpoint.{hint}')
    if not names:
        parser.error(
            f'the checkpoint is missing after {args.config}: name a file, a work dir, or latest or '
            "best of the config's work dir"
        )
    args.checkpoint, *rest = names
    if hasattr(args, 'inputs'):
        args.inputs = rest
        if not rest:
            parser.error(f'INPUT is missing after {args.checkpoint}')
    elif rest and is_config(rest[0]):
        parser.error(f'the config comes first: {rest[0]} {args.checkpoint}')
    elif rest:
        parser.error(
            f'two checkpoints are given, {args.checkpoint} and {rest[0]}; a config ends in '
            f'{", ".join(CONFIG_ENDINGS)}'
        )
    return args

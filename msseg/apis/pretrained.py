"""The weights that training starts from: looked for when it starts, never while building."""

from __future__ import annotations

import os
from pathlib import Path

from mindspore import nn

from msseg.apis.model_source import find_checkpoint
from msseg.config import Config
from msseg.runner import load_checkpoint, load_weights
from msseg.utils.logging import get_logger
from msseg.utils.suggest import did_you_mean

# MMCV's names of ImageNet backbones and the files behind them, which carry their hash.
_OPEN_MMLAB = 'open-mmlab://'
_ADDRESS = 'https://download.openmmlab.com/pretrain/third_party/'
_FILES = {
    'msra/hrnetv2_w18_small': 'hrnetv2_w18_small-b5a04e21.pth',
    'msra/hrnetv2_w18': 'hrnetv2_w18-00eb2006.pth',
    'msra/hrnetv2_w32': 'hrnetv2_w32-dc9eeb4f.pth',
    'msra/hrnetv2_w40': 'hrnetv2_w40-ed0b031c.pth',
    'msra/hrnetv2_w48': 'hrnetv2_w48-d2186c55.pth',
}


def load_initial_weights(model: nn.Cell, cfg: Config) -> None:
    """Load what a config starts from: ``load_from``, else the model's ``pretrained``, else nothing.

    Args:
        model: The segmentor.
        cfg: With ``load_from`` and ``load_partial_backbone``, if any.

    Raises:
        FileNotFoundError: The file is not on this machine; says where it can be had.
        ValueError: It does not fit.
    """
    partial = bool(cfg.get('load_partial_backbone'))
    if cfg.get('load_from'):
        path = find_weights(cfg.load_from, 'load_from', cfg)
        checkpoint = load_checkpoint(path).as_evaluated()
        load_weights(model, checkpoint, False, allow_partial_backbone=partial)
        return
    source = getattr(model, 'pretrained', None) or getattr(model.backbone, 'pretrained', None)
    if source is None:
        get_logger().info('training starts from random weights')
        return
    path = find_weights(source, 'model.pretrained')
    load_weights(model, load_checkpoint(path).as_evaluated(), False, 'backbone.', partial)


def msseg_home() -> Path:
    """Return the folder of downloaded weights: ``$MSSEG_HOME``, or ``~/.cache/msseg``."""
    return Path(os.environ.get('MSSEG_HOME') or Path.home() / '.cache' / 'msseg')


def find_weights(source: str, key: str, cfg: Config | None = None) -> Path:
    """Return the file that a path, a work dir, an address or a name of MMCV's model zoo stands for.

    Nothing is downloaded: a file that has an address is looked for in `msseg_home`, also as the
    ``.ckpt`` that it was converted to.

    Args:
        source: Such as ``'weights.pth'``, ``'https://…/x.pth'``, ``'open-mmlab://msra/hrnetv2_w18'``.
        key: The setting that says it, for messages.
        cfg: The config, whose work dir ``latest`` and ``best`` are looked for in.

    Raises:
        ValueError: An unknown name.
        FileNotFoundError: There is no such file.
    """
    address = _address_of(str(source), key)
    if address is None:
        try:
            return find_checkpoint(Config() if cfg is None else cfg, source)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{key}: {error}; or {_from_scratch(key)}') from error
    path = msseg_home() / address.rpartition('/')[2]
    for candidate in (path, path.with_suffix('.ckpt')):
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(
        f'{key} is {str(source)!r}, whose file is not on this machine: get it from {address} and '
        f'put it to {str(path)!r}, or {_from_scratch(key)}'
    )


def _address_of(source: str, key: str) -> str | None:
    if source.startswith(('http://', 'https://')):
        return source.partition('?')[0]
    if source.startswith(_OPEN_MMLAB):
        name = source.removeprefix(_OPEN_MMLAB)
        if name not in _FILES:
            known = [_OPEN_MMLAB + each for each in _FILES]
            raise ValueError(
                f'{key} is {source!r}, but the known names are '
                f'{known}.{did_you_mean(source, known)}'
            )
        return _ADDRESS + _FILES[name]
    if '://' in source:
        raise ValueError(
            f'{key} is {source!r}: names that start with {source.partition("://")[0]!r} are not '
            'known; give the path of a file'
        )
    return None


def _from_scratch(key: str) -> str:
    return f'train from scratch deliberately with {key}=None'

"""The config files that come with msseg: where they are, and what they are called."""

from __future__ import annotations

import fnmatch
import functools
import json
from pathlib import Path
from typing import Any

OWN = 'msseg::'
_PACKAGE = Path(__file__).parents[1]
# of an installed package, as OpenMMLab's have it, and of a checkout
_PLACES = (_PACKAGE / '.mim' / 'configs', _PACKAGE.parent / 'configs')
_FIGURES = 'model_zoo.json'
CHECKOUT = 'configs/'


def own_folder() -> Path:
    """Return the folder of msseg's own config files."""
    return next((place for place in _PLACES if place.is_dir()), _PLACES[0])


def list_configs(pattern: str = '*') -> list[str]:
    """Return the names of msseg's own configs, such as ``'ocrnet_hr18_512x1024_40k_cityscapes'``.

    Args:
        pattern: A part of the names, or a pattern with ``*``, ``?`` and ``[…]`` that they match,
            with or without their family: ``'ocr*'``, ``'ocrnet/*_ade20k'``.

    Examples:
        >>> list_configs('ocrnet/*hr18s*40k*cityscapes')
        ['ocrnet_hr18s_512x1024_40k_cityscapes']
    """
    pattern = pattern.lower()
    wanted = pattern if any(sign in pattern for sign in '*?[') else f'*{pattern}*'
    return [
        name
        for name, path in own_names().items()
        if fnmatch.fnmatchcase(name, wanted) or fnmatch.fnmatchcase(path, f'{wanted}.py')
    ]


def family_of(name: str) -> str:
    """Return the family that one of `list_configs` belongs to."""
    return own_names()[name].partition('/')[0]


@functools.cache
def read_figures() -> dict[str, dict[str, Any]]:
    """Return what is known of msseg's own configs, by name.

    That are ``parameters``, the number of trainable values of the network that predicts; and where
    a score is known ``score``, the mIoU in percent of a single scale, ``data`` and ``source``.
    """
    return json.loads((own_folder() / _FIGURES).read_text(encoding='utf-8'))


@functools.cache
def own_names() -> dict[str, str]:
    """Return the paths of msseg's own configs by name, below their folder."""
    folder = own_folder()
    files = sorted(file for file in folder.glob('*/*.py') if file.parent.name != '_base_')
    return {file.stem: file.relative_to(folder).as_posix() for file in files}


def own_path(name: str) -> str | None:
    """Return the path, below `own_folder`, of the config of msseg's that a name stands for.

    Args:
        name: Such a path or the name in it, with or without ``.py``; ``msseg::`` or ``configs/``
            may stand before it.
    """
    plain = name.removeprefix(OWN).removeprefix(CHECKOUT)
    family, _, stem = plain.removesuffix('.py').rpartition('/')
    path = own_names().get(stem)
    if path is None or family not in ('', path.partition('/')[0]):
        return None
    return path

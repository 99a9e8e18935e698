"""Reading class weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml

from msseg.utils.shown import shown
from msseg.utils.text_file import read_user_text


def read_class_weight(class_weight: Sequence[float] | str | None) -> list[float] | None:
    """Return class weights as a list.

    Args:
        class_weight: The weights, or the path of a .npy, .json or .yaml file that holds them, or
            None.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file or the value is no list of numbers.
    """
    if class_weight is None:
        return None
    source = 'class_weight'
    values = class_weight
    if isinstance(class_weight, str):
        source = f'class_weight file {class_weight!r}'
        values = _read(class_weight)
    try:
        weights = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        weights = None
    if weights is None or weights.ndim != 1 or not weights.size:
        raise ValueError(f'{source}: got {shown(values)}, expected a list of one number per class')
    return weights.tolist()


def _read(name: str) -> object:
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f'class_weight names the file {name!r}, which does not exist (relative paths start at '
            f'{Path.cwd()})'
        )
    if path.suffix not in ('.npy', '.json', '.yaml', '.yml'):
        raise ValueError(
            f'class_weight file {name!r}: got {path.suffix!r}, expected .npy, .json or .yaml '
            '(pickles are not read, they can run code: save the numbers with numpy.save)'
        )
    try:
        if path.suffix == '.npy':
            return np.load(path, allow_pickle=False)
        text = read_user_text(path, 'it')
        return json.loads(text) if path.suffix == '.json' else yaml.safe_load(text)
    except (ValueError, EOFError, RecursionError, MemoryError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(f'class_weight file {name!r} cannot be read: {reason}') from error

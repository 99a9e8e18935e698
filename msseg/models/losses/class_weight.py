"""Reading class weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import yaml

from msseg.utils.arguments import File, Length, NonNegative, check_value
from msseg.utils.text_file import read_user_text

Weights = Annotated[Sequence[NonNegative], Length()]
ClassWeight = Weights | File | None


def read_class_weight(class_weight: ClassWeight) -> list[float] | None:
    """Return class weights as a list.

    Args:
        class_weight: The weights, or the path of a .npy, .json or .yaml file that holds them, or
            None.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file or the value is no list of numbers of at least 0.
    """
    if class_weight is None:
        return None
    if not isinstance(class_weight, (str, Path)):
        return np.asarray(class_weight, np.float64).tolist()
    weights = _read(str(class_weight))
    check_value(weights, Weights, 'class_weight', f'file {str(class_weight)!r}')
    return np.asarray(weights, np.float64).tolist()


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

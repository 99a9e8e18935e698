"""Checkpoints: one .ckpt file with weights, optimizer state and what a run knows of itself.

Weights stand under their plain names, optimizer state under ``optimizer.``, and everything else
(iteration, best scores, seed, CLASSES, PALETTE, config text, versions) is one JSON string under
``meta``, because ``save_checkpoint`` takes no nested values.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from msseg.convert import read_foreign, sniff_format
from msseg.utils.atomic import atomic_path, atomic_write_text

_OPTIMIZER = 'optimizer.'
_META = 'meta'
_LAST = 'last_checkpoint'


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: The file.
        weights: Parameter name to parameter, or to numbers from another framework's file.
        optimizer: The optimizer's state by name, empty when it was not saved.
        meta: See the module; of other files ``CLASSES`` and ``PALETTE`` at most.
        is_foreign: Whether another framework wrote it, under its own names.
    """

    path: Path
    weights: dict[str, Parameter] | dict[str, np.ndarray]
    optimizer: dict[str, Parameter] = field(default_factory=dict)
    meta: dict = field(default_factory=dict)
    is_foreign: bool = False


def save_checkpoint(
    path: str | Path, model: nn.Cell, optimizer: nn.Cell | None = None, meta: dict | None = None
) -> None:
    """Write a checkpoint: under its final name it is whole or absent.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        model: Whose weights and running statistics to save.
        optimizer: Whose state to save, if any.
        meta: Plain JSON values.
    """
    entries = [{'name': p.name, 'data': p} for p in model.get_parameters()]
    if optimizer is not None:
        entries += [{'name': _OPTIMIZER + p.name, 'data': p} for p in _optimizer_state(optimizer)]
    _write(path, entries, meta or {})


def save_and_name_last(path: Path, model: nn.Cell, optimizer: nn.Cell | None, meta: dict) -> None:
    """Save a checkpoint and note it as the folder's newest good one."""
    save_checkpoint(path, model, optimizer, meta)
    atomic_write_text(path.with_name(_LAST), path.name + '\n')


def find_last_checkpoint(folder: str | Path) -> Path | None:
    """Return the newest good checkpoint of a work dir, None when there is none."""
    note = Path(folder) / _LAST
    if not note.is_file():
        return None
    path = note.with_name(note.read_text().strip())
    return path if path.is_file() else None


def numbered_checkpoints(folder: str | Path, prefix: str) -> list[Path]:
    """Return ``{prefix}_{number}.ckpt`` files of a folder by ascending number."""
    pattern = re.compile(rf'{re.escape(prefix)}_(\d+)\.ckpt')
    matches = [(pattern.fullmatch(path.name), path) for path in Path(folder).iterdir()]
    return [path for _, path in sorted((int(m[1]), path) for m, path in matches if m)]


def save_weights(path: str | Path, weights: Mapping[str, np.ndarray], meta: dict) -> None:
    """Write numbers as a checkpoint without optimizer.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        weights: Parameter name to numbers.
        meta: Plain JSON values.
    """
    entries = [
        {'name': name, 'data': ms.Tensor.from_numpy(np.require(array, requirements=['C', 'W']))}
        for name, array in weights.items()
    ]
    _write(path, entries, meta)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint file: MindSpore's, PyTorch's (nothing in it is run) or safetensors.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or none of these.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} is not a file')
    if sniff_format(path) is not None or path.suffix != '.ckpt':
        file = read_foreign(path)
        return Checkpoint(path, file.tensors, meta=file.meta, is_foreign=True)
    try:
        content = ms.load_checkpoint(str(path))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f'checkpoint {str(path)!r} cannot be read: it is damaged or no MindSpore checkpoint'
        ) from error
    meta = json.loads(content.pop(_META, '{}'))
    weights, state = {}, {}
    for name, value in content.items():
        if name.startswith(_OPTIMIZER):
            state[name.removeprefix(_OPTIMIZER)] = value
        elif isinstance(value, Parameter):
            weights[name] = value
    return Checkpoint(path, weights, state, meta)


def load_optimizer(optimizer: nn.Cell, checkpoint: Checkpoint) -> None:
    """Restore the optimizer's state.

    Raises:
        ValueError: The state is missing or belongs to another optimizer; nothing was changed.
    """
    state = _optimizer_state(optimizer)
    for parameter in state:
        saved = checkpoint.optimizer.get(parameter.name)
        if saved is None or saved.shape != parameter.shape:
            found = 'none' if saved is None else f'shape {saved.shape}'
            raise ValueError(
                f'checkpoint {str(checkpoint.path)!r} cannot be resumed: optimizer state '
                f'{parameter.name!r} is {found}, expected shape {parameter.shape}. Train on from '
                'its weights with --load-from, or resume with the optimizer it was saved with.'
            )
    for parameter in state:
        parameter.set_data(_cast(checkpoint.optimizer[parameter.name], parameter))


def _write(path: str | Path, entries: list[dict], meta: dict) -> None:
    with atomic_path(path) as temporary:
        ms.save_checkpoint(entries, str(temporary), append_dict={_META: json.dumps(meta)})
        # The framework makes its files readable by their owner alone.
        os.chmod(temporary, 0o644)


def _optimizer_state(optimizer: nn.Cell) -> list[Parameter]:
    """Return what the optimizer keeps besides the weights that it trains."""
    trained = {id(p) for p in optimizer.parameters}
    return [p for p in optimizer.get_parameters() if id(p) not in trained]


def _cast(source: Parameter, target: Parameter) -> ms.Tensor:
    # A tensor of its own: MindSpore may share memory between parameters set from each other.
    return ms.Tensor(source.asnumpy().copy(), target.dtype)

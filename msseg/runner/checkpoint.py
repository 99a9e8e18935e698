"""Checkpoints: one .ckpt file with weights, training state and what a run knows of itself.

Weights stand under their plain names, the tensors of training (optimizer, loss scale, averaged
weights) under `STATE_PREFIXES`, and everything else (iteration, best scores, seed, CLASSES,
PALETTE, config text, versions) is one JSON string under ``meta``, because ``save_checkpoint`` takes
no nested values.
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

OPTIMIZER, TRAIN_STEP, EMA, HOOKS = STATE_PREFIXES = ('optimizer.', 'train_step.', 'ema.', 'hooks.')
_META = 'meta'
_LAST = 'last_checkpoint'


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: The file.
        weights: Parameter name to parameter, or to numbers from another framework's file.
        state: The tensors of training by name, empty when they were not saved.
        meta: See the module; of other files ``CLASSES`` and ``PALETTE`` at most.
        is_foreign: Whether another framework wrote it, under its own names.
    """

    path: Path
    weights: dict[str, Parameter] | dict[str, np.ndarray]
    state: dict[str, Parameter] = field(default_factory=dict)
    meta: dict = field(default_factory=dict)
    is_foreign: bool = False


def save_checkpoint(
    path: str | Path,
    model: nn.Cell,
    state: Mapping[str, Parameter] | None = None,
    meta: dict | None = None,
) -> None:
    """Write a checkpoint: under its final name it is whole or absent.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        model: Whose weights and running statistics to save.
        state: The tensors of training to save, under names with one of `STATE_PREFIXES`.
        meta: Plain JSON values.
    """
    entries = [{'name': p.name, 'data': p} for p in model.get_parameters()]
    entries += [{'name': name, 'data': p} for name, p in (state or {}).items()]
    _write(path, entries, meta or {})


def name_last(path: Path) -> None:
    """Note a checkpoint as its folder's newest good one."""
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
        if name.startswith(STATE_PREFIXES):
            state[name] = value
        elif isinstance(value, Parameter):
            weights[name] = value
    return Checkpoint(path, weights, state, meta)


def load_state(state: Mapping[str, Parameter], checkpoint: Checkpoint) -> None:
    """Restore the tensors of training.

    Raises:
        ValueError: Some are missing or belong to another way of training; nothing was changed.
    """
    for name, parameter in state.items():
        saved = checkpoint.state.get(name)
        if saved is None or saved.shape != parameter.shape:
            found = 'none' if saved is None else f'shape {saved.shape}'
            raise ValueError(
                f'checkpoint {str(checkpoint.path)!r} cannot be resumed: its {name!r} is {found}, '
                f'expected shape {parameter.shape}. Train on from its weights with --load-from, or '
                'resume with the settings it was saved with (optimizer, fp16, custom_hooks).'
            )
    for name, parameter in state.items():
        parameter.set_data(_cast(checkpoint.state[name], parameter))


def optimizer_state(optimizer: nn.Cell) -> dict[str, Parameter]:
    """Return what an optimizer keeps besides weights, by name in a checkpoint."""
    trained = {id(p) for p in optimizer.parameters}
    return {OPTIMIZER + p.name: p for p in optimizer.get_parameters() if id(p) not in trained}


def _write(path: str | Path, entries: list[dict], meta: dict) -> None:
    with atomic_path(path) as temporary:
        ms.save_checkpoint(entries, str(temporary), append_dict={_META: json.dumps(meta)})
        # The framework makes its files readable by their owner alone.
        os.chmod(temporary, 0o644)


def _cast(source: Parameter, target: Parameter) -> ms.Tensor:
    # A tensor of its own: MindSpore may share memory between parameters set from each other.
    return ms.Tensor(source.asnumpy().copy(), target.dtype)

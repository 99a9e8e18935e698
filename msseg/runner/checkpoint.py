"""Checkpoints: one .ckpt file with weights, training state and what a run knows of itself.

Weights stand under their plain names, the tensors of training (optimizer, loss scale, averaged
weights) under `STATE_PREFIXES`, and everything else (iteration, best scores, seed, CLASSES,
PALETTE, config text, versions) is one JSON string under ``meta``, because the format has no nested
values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from msseg.convert import read_foreign, sniff_format
from msseg.runner.checkpoint_file import has_valid_checksum, read_content, write_checkpoint
from msseg.utils.logging import get_logger, is_first

OPTIMIZER, TRAIN_STEP, EMA, HOOKS = STATE_PREFIXES = ('optimizer.', 'train_step.', 'ema.', 'hooks.')

_FRACTIONS = (ms.float16, ms.bfloat16, ms.float32, ms.float64)


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: The file.
        weights: Parameter name to numbers; they are the file's bytes, and read only.
        state: The tensors of training by name, empty when they were not saved.
        meta: See the module; of other files ``CLASSES`` and ``PALETTE`` at most.
        is_foreign: Whether another framework wrote it, under its own names.
    """

    path: Path
    weights: dict[str, np.ndarray]
    state: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict = field(default_factory=dict)
    is_foreign: bool = False

    def as_evaluated(self) -> Checkpoint:
        """Return the checkpoint with averaged weights, where it has some, for the raw ones."""
        averages = {
            name.removeprefix(EMA): value
            for name, value in self.state.items()
            if name.startswith(EMA)
        }
        return replace(self, weights={**self.weights, **averages})


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

    Raises:
        OSError: It cannot be written; the message says how much room it needs and there is.
    """
    tensors = {p.name: p for p in model.get_parameters()}
    write_checkpoint(path, json.dumps(meta or {}), [*tensors.items(), *(state or {}).items()])


def save_weights(path: str | Path, weights: Mapping[str, np.ndarray], meta: dict) -> None:
    """Write numbers as a checkpoint without optimizer.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        weights: Parameter name to numbers.
        meta: Plain JSON values.
    """
    tensors = [
        (name, ms.Tensor.from_numpy(np.require(array, requirements=['C', 'W'])))
        for name, array in weights.items()
    ]
    write_checkpoint(path, json.dumps(meta), tensors)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint file: MindSpore's, PyTorch's (nothing in it is run) or safetensors.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedCheckpointError: A ``.ckpt`` file is not what was written.
        ValueError: It is none of these, or another framework's and damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} is not a file')
    if sniff_format(path) is not None or path.suffix != '.ckpt':
        file = read_foreign(path)
        return Checkpoint(path, file.tensors, meta=file.meta, is_foreign=True)
    if not has_valid_checksum(path) and is_first(f'{path} without a checksum'):
        get_logger().info('%s carries no checksum: it is older, or not written here', path)
    meta, tensors = read_content(path)
    state = {name: array for name, array in tensors.items() if name.startswith(STATE_PREFIXES)}
    weights = {name: array for name, array in tensors.items() if name not in state}
    return Checkpoint(path, weights, state, meta)


def kind_mismatch(array: np.ndarray, parameter: Parameter) -> str | None:
    """Return how a file's numbers differ in kind from what a parameter holds, None if they do not.

    Fractions of any width fit fractions. Whole numbers and truth values in their place are codes
    (of a quantised model, say) that mean something else.
    """
    is_fraction = np.issubdtype(array.dtype, np.floating)
    if is_fraction == (parameter.dtype in _FRACTIONS):
        return None
    return f'holds {array.dtype} numbers, expected {str(parameter.dtype).lower()}'


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
        if difference := kind_mismatch(saved, parameter):
            raise ValueError(
                f'checkpoint {str(checkpoint.path)!r} cannot be resumed: its {name!r} {difference}'
            )
    for name, parameter in state.items():
        # A tensor of its own: MindSpore may share memory with the array.
        parameter.set_data(ms.Tensor(np.array(checkpoint.state[name]), parameter.dtype))


def optimizer_state(optimizer: nn.Cell) -> dict[str, Parameter]:
    """Return what an optimizer keeps besides weights, by name in a checkpoint.

    Learning rates are left out: the schedule sets them before each iteration.
    """
    others = {id(p) for p in [*optimizer.parameters, *getattr(optimizer, 'lrs', ())]}
    return {OPTIMIZER + p.name: p for p in optimizer.get_parameters() if id(p) not in others}

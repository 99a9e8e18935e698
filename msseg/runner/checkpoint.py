"""Checkpoints: one .ckpt file with weights, training state and a description of the run.

Weights have their plain names, the tensors of training (optimizer, loss scale, averaged weights)
names with `STATE_PREFIXES`, and everything else (iteration, best scores, seed, CLASSES, PALETTE,
config text, versions) is one JSON string under ``meta``, because the format has no nested values.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from msseg.convert import read_foreign, sniff_format
from msseg.runner.checkpoint_file import (
    has_valid_checksum,
    read_content,
    read_meta,
    write_checkpoint,
)
from msseg.utils.logging import get_logger, is_first

OPTIMIZER, TRAIN_STEP, EMA, HOOKS = STATE_PREFIXES = ('optimizer.', 'train_step.', 'ema.', 'hooks.')

_FRACTIONS = (ms.float16, ms.bfloat16, ms.float32, ms.float64)


@dataclass
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        path: The file.
        weights: Parameter name to numbers, read only.
        state: The tensors of training by name, empty when they were not saved.
        meta: See the module; of other frameworks' files ``CLASSES`` and ``PALETTE`` at most.
        is_foreign: Whether another framework wrote it, under its own names.
        model_config: What Hugging Face's ``config.json`` next to it says of the model.
    """

    path: Path
    weights: dict[str, np.ndarray]
    state: dict[str, np.ndarray] = field(default_factory=dict)
    meta: dict = field(default_factory=dict)
    is_foreign: bool = False
    model_config: dict = field(default_factory=dict)

    def as_evaluated(self) -> Checkpoint:
        """Return the checkpoint with the averaged weights, if any, in place of the raw ones."""
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
    """Write a checkpoint atomically; see `write_checkpoint`.

    Args:
        path: The file, ending in ``.ckpt``; its folder must exist.
        model: The network, whose weights and running statistics are saved.
        state: The tensors of training, under names with one of `STATE_PREFIXES`.
        meta: Plain JSON values.
    """
    tensors = {p.name: p for p in model.get_parameters()}
    write_checkpoint(path, json.dumps(meta or {}), [*tensors.items(), *(state or {}).items()])


def save_weights(path: str | Path, weights: Mapping[str, np.ndarray], meta: dict) -> None:
    """Write arrays as a checkpoint without state; see `save_checkpoint`."""
    tensors = [
        (name, ms.Tensor.from_numpy(np.require(array, requirements=['C', 'W'])))
        for name, array in weights.items()
    ]
    write_checkpoint(path, json.dumps(meta), tensors)


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint file: MindSpore's, PyTorch's (nothing in it is run) or safetensors.

    Raises:
        FileNotFoundError: The file does not exist.
        DamagedCheckpointError: A ``.ckpt`` file does not hold what was written.
        ValueError: The file is none of these, or another framework's and damaged.
    """
    path = Path(path)
    if not path.is_file():
        what = 'a folder: name the file in it' if path.is_dir() else 'not a file'
        raise FileNotFoundError(f'checkpoint {str(path)!r} is {what}')
    if sniff_format(path) is not None or path.suffix != '.ckpt':
        file = read_foreign(path)
        return Checkpoint(
            path, file.tensors, meta=file.meta, is_foreign=True, model_config=file.model_config
        )
    if not has_valid_checksum(path) and is_first(f'{path} without a checksum'):
        get_logger().info('%s carries no checksum: it is older, or not written here', path)
    meta, tensors = read_content(path)
    state = {name: array for name, array in tensors.items() if name.startswith(STATE_PREFIXES)}
    weights = {name: array for name, array in tensors.items() if name not in state}
    return Checkpoint(path, weights, state, meta)


def load_meta(path: str | Path) -> dict:
    """Return the description in a checkpoint, if possible without reading its weights."""
    return read_meta(path) or load_checkpoint(path).meta


def check_readable(path: str | Path) -> None:
    """Raise DamagedCheckpointError or another ValueError when a file cannot be loaded."""
    if not has_valid_checksum(path):
        load_checkpoint(path)


def kind_mismatch(array: np.ndarray, parameter: Parameter) -> str | None:
    """Return how a file's numbers differ in kind from a parameter's, None when they do not.

    Fractions of any width fit fractions. Whole numbers and truth values in their place are codes
    (of a quantised model, say) with another meaning.
    """
    is_fraction = np.issubdtype(array.dtype, np.floating)
    if is_fraction == (parameter.dtype in _FRACTIONS):
        return None
    return f'holds {array.dtype} numbers, expected {str(parameter.dtype).lower()}'


def load_state(state: Mapping[str, Parameter], checkpoint: Checkpoint) -> None:
    """Restore the tensors of training, all of them or, with a ValueError, none."""
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
        copy_to(parameter, checkpoint.state[name])


def copy_to(parameter: Parameter, array: np.ndarray) -> None:
    """Copy numbers to a parameter, whose compiled graphs, if any, then have them too.

    A branch of a graph keeps the memory of parameters that only it reads, such as momentum where a
    loss scale may skip the update: after ``set_data`` it goes on with the old numbers, and the
    parameter does not see its results (MindSpore 2.8, CPU).
    """
    # MindSpore may share memory with an array that is not copied
    numbers = ms.Tensor(np.array(array), parameter.dtype)
    if parameter.dtype == ms.bfloat16:  # which no operator assigns on the CPU
        parameter.set_data(numbers)
        return
    if parameter.has_init:
        parameter.init_data()
    ops.assign(parameter, numbers)


def optimizer_state(optimizer: nn.Cell) -> dict[str, Parameter]:
    """Return an optimizer's tensors besides weights, by name in a checkpoint.

    Learning rates are left out: the schedule sets them before each iteration.
    """
    others = {id(p) for p in [*optimizer.parameters, *getattr(optimizer, 'lrs', ())]}
    return {OPTIMIZER + p.name: p for p in optimizer.get_parameters() if id(p) not in others}

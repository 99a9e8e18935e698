"""Checkpoints: one .ckpt file with weights, optimizer state and what a run knows of itself.

Weights stand under their plain names, optimizer state under ``optimizer.``, and everything else
(iteration, best scores, seed, CLASSES, PALETTE, config text, versions) is one JSON string under
``meta``, because ``save_checkpoint`` takes no nested values.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import mindspore as ms
from mindspore import Parameter, nn

from msseg.utils.atomic import atomic_path, atomic_write_text
from msseg.utils.logging import get_logger

_OPTIMIZER = 'optimizer.'
_META = 'meta'
_LAST = 'last_checkpoint'


@dataclass
class Checkpoint:
    """What a checkpoint file holds.

    Attributes:
        path: The file.
        weights: Parameter name to parameter.
        optimizer: The optimizer's state by name, empty when it was not saved.
        meta: See the module; empty for files that msseg did not write.
    """

    path: Path
    weights: dict[str, Parameter]
    optimizer: dict[str, Parameter] = field(default_factory=dict)
    meta: dict = field(default_factory=dict)


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
    with atomic_path(path) as temporary:
        ms.save_checkpoint(entries, str(temporary), append_dict={_META: json.dumps(meta or {})})
        # The framework makes its files readable by their owner alone.
        os.chmod(temporary, 0o644)


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


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no MindSpore checkpoint, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f'checkpoint {str(path)!r} is not a file')
    if path.suffix != '.ckpt':
        raise ValueError(
            f'checkpoint {str(path)!r} does not end in .ckpt: only MindSpore checkpoints are read'
        )
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


def load_weights(model: nn.Cell, checkpoint: Checkpoint, strict: bool = True) -> None:
    """Copy a checkpoint's weights into a model, and report what did not fit.

    Args:
        model: The network.
        checkpoint: Where the weights come from.
        strict: Every parameter of the model must be there in its shape; otherwise those that fit
            are copied, unless they are fewer than half of the backbone's.

    Raises:
        ValueError: The checkpoint does not fit; nothing has been copied.
    """
    wanted = {p.name: p for p in model.get_parameters()}
    missing = [name for name in wanted if name not in checkpoint.weights]
    misshapen = [
        name
        for name, parameter in wanted.items()
        if name in checkpoint.weights and checkpoint.weights[name].shape != parameter.shape
    ]
    unexpected = [name for name in checkpoint.weights if name not in wanted]
    unfit = {*missing, *misshapen}
    report = f'{len(wanted) - len(unfit)} of {len(wanted)} parameters of the model match'
    details = [
        _example('missing', missing),
        _example('unexpected', unexpected),
        _shape_example(misshapen, wanted, checkpoint),
    ]
    report = '; '.join([report, *filter(None, details)])
    if strict and unfit:
        raise ValueError(
            f'checkpoint {str(checkpoint.path)!r} does not fit the model: {report}. '
            'Use the config it was trained with.'
        )
    backbone = [name for name in wanted if name.startswith('backbone.')]
    if backbone and 2 * sum(name in unfit for name in backbone) > len(backbone):
        raise ValueError(
            f'checkpoint {str(checkpoint.path)!r} does not fit the model: fewer than half of the '
            f"backbone's parameters match. {report}."
        )
    for name in wanted:
        if name not in unfit:
            wanted[name].set_data(_cast(checkpoint.weights[name], wanted[name]))
    get_logger().info('loaded %s: %s', checkpoint.path, report)


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


def _optimizer_state(optimizer: nn.Cell) -> list[Parameter]:
    """Return what the optimizer keeps besides the weights that it trains."""
    trained = {id(p) for p in optimizer.parameters}
    return [p for p in optimizer.get_parameters() if id(p) not in trained]


def _cast(source: Parameter, target: Parameter) -> ms.Tensor:
    # A tensor of its own: MindSpore may share memory between parameters set from each other.
    return ms.Tensor(source.asnumpy().copy(), target.dtype)


def _example(kind: str, names: list[str]) -> str:
    return f'{len(names)} {kind}, such as {names[0]!r}' if names else ''


def _shape_example(names: list[str], wanted: dict, checkpoint: Checkpoint) -> str:
    if not names:
        return ''
    name = names[0]
    return (
        f'{len(names)} of another shape, such as {name!r} ({checkpoint.weights[name].shape} in '
        f'the file, {wanted[name].shape} in the model)'
    )

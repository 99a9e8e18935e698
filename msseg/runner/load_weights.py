"""Loading a checkpoint's weights into a model, with an account of what fitted."""

from __future__ import annotations

from dataclasses import replace

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from msseg.convert import Conversion, convert, count_taken, format_table, list_misfits
from msseg.runner.checkpoint import Checkpoint, copy_to, kind_mismatch
from msseg.utils.logging import get_logger, log_to_file

_BACKBONE = 'backbone.'
_MAX_LISTED = 8


def load_weights(
    model: nn.Cell,
    checkpoint: Checkpoint,
    strict: bool = True,
    part: str = '',
    allow_partial_backbone: bool = False,
) -> Conversion:
    """Copy a checkpoint's weights into a model, and log by part of the model what fitted.

    Names of the projects that `msseg.convert` knows are converted. Unless `strict`, tables are
    resized, see `resize_tables`. Parameters that do not fit,
    such as the classifier of a head with another number of classes, keep their initial values.

    Args:
        model: The network.
        checkpoint: Source of the weights.
        strict: Require every parameter of the model in its shape; otherwise those that fit are
            copied, unless they are fewer than half of the backbone's.
        part: Load only the parameters whose names start with this.
        allow_partial_backbone: Accept fewer than that half.

    Returns:
        The account of every parameter.

    Raises:
        ValueError: The checkpoint does not fit; nothing has been copied.
    """
    parameters = {p.name: p for p in model.get_parameters() if p.name.startswith(part)}
    wanted = needed_shapes(model, checkpoint, part)
    conversion = _convert(checkpoint, wanted, part)
    if not strict:
        resize_tables(conversion, model)
    _check(conversion, checkpoint, wanted, strict, allow_partial_backbone)
    _check_kinds(conversion, checkpoint, parameters)
    for name, array in conversion.weights.items():
        copy_to(parameters[name], array)
    _report(conversion, checkpoint)
    _warn_of_nonfinite(conversion, checkpoint)
    counters = [name for name in parameters if name not in wanted]
    if counters and not checkpoint.is_foreign:
        get_logger().info('not in the file, start from zero: %s', ', '.join(counters))
    return conversion


def needed_shapes(
    model: nn.Cell, checkpoint: Checkpoint, part: str = ''
) -> dict[str, tuple[int, ...]]:
    """Return name and shape of the parameters that a model needs from a checkpoint.

    Of its counters (such as dropout's, the only integers) only those that the file has: other
    projects' networks have none.
    """
    return {
        p.name: tuple(p.shape)
        for p in model.get_parameters()
        if p.name.startswith(part)
        and (p.name in checkpoint.weights or p.dtype not in (ms.int32, ms.int64))
    }


def resize_tables(conversion: Conversion, model: nn.Cell) -> None:
    """Bring tables of another size, such as those of positions, to the model's.

    A cell with such a parameter has ``fit_table(leaf, table)``: given the parameter's own name and
    the file's numpy array, it returns the table in the parameter's shape, or None.
    """
    owners = {
        parameter.name: cell
        for _, cell in model.cells_and_names()
        if hasattr(cell, 'fit_table')
        for _, parameter in cell.parameters_and_names(expand=False)
    }
    for i, entry in enumerate(conversion.entries):
        if entry.kind == 'shape mismatch' and entry.target in owners.keys() & conversion.misfits:
            table = conversion.misfits[entry.target].astype(np.float32)
            table = owners[entry.target].fit_table(entry.target.rpartition('.')[2], table)
            if table is not None and table.shape == entry.wanted_shape:
                conversion.weights[entry.target] = table.astype(np.float32)
                conversion.entries[i] = replace(entry, kind='resized')


def _convert(checkpoint: Checkpoint, wanted: dict[str, tuple], part: str) -> Conversion:
    arrays = checkpoint.weights
    if not checkpoint.is_foreign and any(name in wanted for name in arrays):
        return convert(arrays, 'msseg', wanted, part)
    try:
        return convert(arrays, 'auto', wanted, part)
    except ValueError as error:
        if checkpoint.is_foreign:
            raise ValueError(f'checkpoint {str(checkpoint.path)!r}: {error}') from error
        return convert(arrays, 'msseg', wanted, part)


def _check(
    conversion: Conversion,
    checkpoint: Checkpoint,
    wanted: dict[str, tuple],
    strict: bool,
    allow_partial_backbone: bool,
) -> None:
    refusal = f'checkpoint {str(checkpoint.path)!r} does not fit the model'
    misfits = list_misfits(conversion)
    if strict and conversion.of_kind('missing', 'shape mismatch'):
        raise ValueError(f'{refusal}: {misfits}. Use the config it was trained with.')
    total = sum(name.startswith(_BACKBONE) for name in wanted)
    if 2 * count_taken(conversion, _BACKBONE) < total and not allow_partial_backbone:
        raise ValueError(
            f"{refusal}: fewer than half of the backbone's parameters match. {misfits}. To train "
            'with the others as they were initialised, set load_partial_backbone=True'
        )


def _check_kinds(
    conversion: Conversion, checkpoint: Checkpoint, parameters: dict[str, Parameter]
) -> None:
    sources = {entry.target: entry.source for entry in conversion.entries}
    for name, array in conversion.weights.items():
        if difference := kind_mismatch(array, parameters[name]):
            raise ValueError(
                f'checkpoint {str(checkpoint.path)!r} does not fit the model: its '
                f'{sources.get(name) or name!r} {difference}; give the one that was trained, not '
                'quantised or cast'
            )


def _report(conversion: Conversion, checkpoint: Checkpoint) -> None:
    logger = get_logger()
    names = '' if conversion.style == 'msseg' else f' (names of style {conversion.style!r})'
    logger.info('loaded %s%s: %s', checkpoint.path, names, list_misfits(conversion))
    log_to_file('loaded %s%s:\n%s', checkpoint.path, names, format_table(conversion))
    for entry in conversion.of_kind('resized')[:_MAX_LISTED]:
        logger.info('%s is resized from %s to %s', entry.target, entry.shape, entry.wanted_shape)
    for entry in conversion.of_kind('shape mismatch')[:_MAX_LISTED]:
        layer, is_classifier, leaf = entry.target.partition('.conv_seg.')
        if not is_classifier:
            text = '%s keeps its initial values: %s in the file, %s'
            logger.warning(text, entry.target, entry.shape, entry.note)
        elif leaf == 'weight':
            text = '%s: %d classes in the file, %d in the model: the classifier is not loaded'
            logger.warning(text, layer, entry.shape[0], entry.wanted_shape[0])
    for kind, what in (('missing', 'not in the file, kept as initialised'),
                       ('unexpected', 'in the file alone, ignored')):  # fmt: skip
        entries = conversion.of_kind(kind)
        names = [entry.source or entry.target for entry in entries[:_MAX_LISTED]]
        if entries:
            more = f' and {len(entries) - len(names)} more' if len(entries) > len(names) else ''
            logger.warning('%s: %s%s', what, ', '.join(names), more)


def _warn_of_nonfinite(conversion: Conversion, checkpoint: Checkpoint) -> None:
    weights = conversion.weights
    names = [
        name
        for name, array in weights.items()
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all()
    ]
    if names:
        get_logger().warning(
            '%s: %d of %d weights have NaN or infinite values, the first is %s: the predictions '
            'will be wrong; use an earlier checkpoint',
            checkpoint.path,
            len(names),
            len(weights),
            names[0],
        )

"""Loading a checkpoint's weights into a model, with an account of what fitted."""

from __future__ import annotations

from dataclasses import replace

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn

from msseg.convert import Conversion, convert, count_taken, format_table, list_misfits
from msseg.runner.checkpoint import Checkpoint, copy_to, kind_mismatch
from msseg.utils.errors import check_one_of
from msseg.utils.logging import get_logger, log_to_file

_BACKBONE = 'backbone.'
Shape = tuple[int, ...]
_MAX_LISTED = 8


def load_weights(
    model: nn.Cell,
    checkpoint: Checkpoint,
    strict: bool = True,
    part: str = '',
    allow_partial_backbone: bool = False,
    first_conv: str | None = None,
) -> Conversion:
    """Copy a checkpoint's weights into a model, and log by part of the model what fitted.

    Names of the projects that `msseg.convert` knows are converted. Unless `strict`, tables are
    resized, see `resize_tables`, and convolutions of images adapted, see `adapt_first_convs`.
    Parameters that do not fit, such as the classifier of a head with another number of classes,
    keep their initial values, and the log names them.

    Args:
        model: The network.
        checkpoint: Source of the weights.
        strict: Require every parameter of the model in its shape; otherwise those that fit are
            copied, unless they are fewer than half of the backbone's.
        part: Load only the parameters whose names start with this.
        allow_partial_backbone: Accept fewer than that half.
        first_conv: One of `FIRST_CONV_RULES`; None adapts no convolution.

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
        if first_conv is not None:
            adapt_first_convs(conversion, model, first_conv)
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


def _repeat(weight: np.ndarray, channels: int) -> np.ndarray:
    """Repeat the channels in their order; sum them for one."""
    if channels == 1:
        return weight.sum(axis=1, keepdims=True)
    count = weight.shape[1]
    return weight[:, np.arange(channels) % count] * (count / channels)


def _mean(weight: np.ndarray, channels: int) -> np.ndarray:
    """Give each channel the same share of the sum."""
    return np.repeat(weight.sum(axis=1, keepdims=True) / channels, channels, axis=1)


# from a convolution (out, in, kh, kw) and a number of channels to (out, channels, kh, kw); an image
# whose channels are all equal gives about the output that it gave before
FIRST_CONV_RULES = {'repeat': _repeat, 'mean': _mean}


def adapt_first_convs(conversion: Conversion, model: nn.Cell, rule: str) -> None:
    """Bring convolutions of images to the number of channels that a model's images have.

    They are those whose shape differs from the file's in that number alone. Rules:

    - ``'repeat'``: the file's channels are repeated in their order, such as R, G, B, R, and
      multiplied by the file's number over the model's. One channel gets the sum of all.
    - ``'mean'``: each channel gets the sum of the file's over the model's number.

    Args:
        conversion: Changed in place.
        model: Its ``in_channels`` is the number of channels.
        rule: One of `FIRST_CONV_RULES`.

    Source: segmentation_models.pytorch and timm, for ``'repeat'``.
    """
    check_one_of('load_first_conv', rule, FIRST_CONV_RULES)
    channels = getattr(model, 'in_channels', None)
    for i, entry in enumerate(conversion.entries):
        array = conversion.misfits.get(entry.target)
        wanted = entry.wanted_shape
        is_known = entry.kind == 'shape mismatch' and array is not None and array.size
        if is_known and _reads_images(entry.target, array.shape, wanted, channels):
            adapted = FIRST_CONV_RULES[rule](array.astype(np.float32), channels)
            conversion.weights[entry.target] = adapted.astype(np.float32)
            note = f'{array.shape[1]} channels to {channels} by the rule {rule!r}'
            conversion.entries[i] = replace(entry, kind='adapted', note=note)


def _reads_images(name: str, shape: Shape, wanted: Shape, channels: int | None) -> bool:
    """Whether shapes are of a convolution of images, and differ in the number of channels alone."""
    if not name.startswith(_BACKBONE) or len(shape) != 4 or len(wanted) != 4:
        return False
    return wanted[1] == channels and (shape[0], *shape[2:]) == (wanted[0], *wanted[2:])


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
    for entry in conversion.of_kind('adapted'):
        logger.info('%s is adapted from %s', entry.target, entry.note)
    misfits = conversion.of_kind('shape mismatch')
    classifiers = [entry for entry in misfits if '.conv_seg.' in entry.target]
    for entry in classifiers:
        layer, _, leaf = entry.target.rpartition('.')
        if leaf == 'weight':
            text = '%s: %d classes in the file, %d in the model: it keeps its random weights'
            logger.warning(text, layer, entry.shape[0], entry.wanted_shape[0])
    others = [entry for entry in misfits if entry not in classifiers]
    for entry in others[:_MAX_LISTED]:
        text = '%s keeps its initial values: %s in the file, %s'
        logger.warning(text, entry.target, entry.shape, entry.note)
    if rest := [entry.target for entry in others[_MAX_LISTED:]]:
        logger.warning('%d more keep their initial values: %s', len(rest), ', '.join(rest))
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

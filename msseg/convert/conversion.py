"""From foreign weights to a model's: names, biases before normalisation, and an account of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from msseg.convert.names import (
    STYLES,
    LeftAside,
    check_style,
    detect_style,
    rename_layers,
    strip_wrappers,
)

KINDS = (
    'matched',
    'converted',
    'folded',
    'filled',
    'left aside',
    'unexpected',
    'shape mismatch',
    'missing',
)
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """What became of one parameter.

    Attributes:
        kind: One of ``KINDS``: ``matched`` kept its name, ``converted`` got another, ``folded`` is
            a bias that went into a running mean, ``filled`` a bias of zeros that the model has
            and the file does not.
        source: Its name in the file, '' for what the file does not have.
        target: Its name in the model, '' for what the model does not have.
        shape: In the file, or in the model where the file does not have it.
        note: What else is to say.
        wanted_shape: Of a ``shape mismatch``: the shape in the model.
    """

    kind: str
    source: str
    target: str
    shape: Shape
    note: str = ''
    wanted_shape: Shape | None = None


@dataclass
class Conversion:
    """Converted weights.

    Attributes:
        style: The names that the file had.
        weights: msseg's name to numbers; floating-point ones are float32.
        entries: What became of every parameter of the file and, if asked, of the model.
    """

    style: str
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Return the entries of some kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]


def convert(
    tensors: Mapping[str, np.ndarray],
    style: str = 'auto',
    wanted: Mapping[str, Shape] | None = None,
    part: str = '',
) -> Conversion:
    """Convert weights to msseg's names.

    A convolution's bias before batch norm is kept where the model has it; otherwise the norm's
    running mean becomes mean - bias, which changes no output. A bias that only the model has is
    zero, which changes none either.

    Args:
        tensors: The file's weights under its own names.
        style: Whose names they are: ``'auto'`` or one of ``STYLES``; ``'msseg'`` takes the names
            as they are, and keeps biases out of means.
        wanted: The model's names and shapes; None converts without a model, folding every bias.
        part: Only names that start with this are wanted: ``'backbone.'``, whose own names without
            it will do then.

    Returns:
        The weights that the model takes (all that are known without a model), and the account.

    Raises:
        ValueError: An unknown style, or names of none.
    """
    check_style(style)
    stripped = {name: name for name in tensors} if style == 'msseg' else strip_wrappers(tensors)
    if style == 'auto':
        style = _detect(list(stripped.values()), wanted if part else None)
    if wanted is not None:
        wanted = {name: shape for name, shape in wanted.items() if name.startswith(part)}
    renamed = rename_layers(list(stripped.values()), style, wanted or ())
    conversion = Conversion(style)
    found: dict[str, str] = {}
    for source, inner in stripped.items():
        target = renamed[inner]
        shape = tensors[source].shape
        if isinstance(target, LeftAside):
            conversion.entries.append(Entry('left aside', source, '', shape, str(target)))
        elif target is None:
            conversion.entries.append(Entry('unexpected', source, '', shape, 'a name of no rule'))
        elif not target.startswith(part):
            note = f'not part of {part.rstrip(".")!r}'
            conversion.entries.append(Entry('left aside', source, '', shape, note))
        elif target in found:
            raise ValueError(f'{source!r} and {found[target]!r} would both become {target!r}')
        else:
            found[target] = source
    _take(conversion, tensors, found, wanted)
    # In the order of the file, then what it does not have.
    place = {source: index for index, source in enumerate(tensors)}
    conversion.entries.sort(key=lambda entry: place.get(entry.source, len(place)))
    return conversion


def _detect(names: list[str], wanted: Mapping[str, Shape] | None) -> str:
    style = detect_style(names)
    if style is None and wanted is not None:
        prefixed = rename_layers(names, 'backbone', wanted).values()
        style = 'backbone' if any(name in wanted for name in prefixed) else None
    if style is None:
        examples = [name[:60] for name in names[:3]]
        raise ValueError(
            f'these {len(names)} names, such as {examples}, are in none of the styles '
            f'{list(STYLES)}: only HRNet and OCRNet weights can be converted'
        )
    return style


def _take(
    conversion: Conversion,
    tensors: Mapping[str, np.ndarray],
    found: Mapping[str, str],
    wanted: Mapping[str, Shape] | None,
) -> None:
    """Fill in weights and entries for the names found."""
    folded = {
        bias: mean
        for bias, mean in _biases_before_norms(found)
        if conversion.style != 'msseg'
        and (wanted is None or (bias not in wanted and mean in wanted))
    }
    shifts = {mean: bias for bias, mean in folded.items()}
    for target, source in found.items():
        array = tensors[source]
        if target in folded:
            entry = Entry('folded', source, folded[target], array.shape, 'mean - bias')
        elif wanted is not None and target not in wanted:
            entry = Entry('unexpected', source, target, array.shape, 'not in the model')
        elif wanted is not None and tuple(wanted[target]) != array.shape:
            other = tuple(wanted[target])
            note = f'{other} in the model'
            entry = Entry('shape mismatch', source, target, array.shape, note, other)
        else:
            kind = 'matched' if source == target else 'converted'
            entry = Entry(kind, source, target, array.shape)
            bias = tensors[found[shifts[target]]] if target in shifts else None
            conversion.weights[target] = _as_float32(array, bias)
        conversion.entries.append(entry)
    _account_for_the_rest(conversion, found, wanted or {})


def _account_for_the_rest(
    conversion: Conversion, found: Mapping[str, str], wanted: Mapping[str, Shape]
) -> None:
    fills = conversion.style != 'msseg'
    means = dict(_biases_before_norms(wanted)) if fills else {}
    for target, shape in wanted.items():
        if target in found:
            continue
        if means.get(target) in conversion.weights:
            conversion.weights[target] = np.zeros(shape, np.float32)
            entry = Entry('filled', '', target, tuple(shape), 'zeros, which change no output')
        else:
            entry = Entry('missing', '', target, tuple(shape))
        conversion.entries.append(entry)


def _biases_before_norms(names: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield a convolution's bias and the running mean of the norm after it."""
    for name in names:
        if name.endswith('.conv.bias'):
            mean = name.removesuffix('.conv.bias') + '.bn.moving_mean'
            if mean in names:
                yield name, mean


def _as_float32(array: np.ndarray, shift: np.ndarray | None) -> np.ndarray:
    if shift is not None:
        if shift.shape != array.shape:
            raise ValueError(f'a bias of shape {shift.shape} precedes a norm of {array.shape}')
        array = array.astype(np.float64) - shift.astype(np.float64)
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(over='ignore'):  # loading warns of infinite values
            return array.astype(np.float32, copy=False)
    return array

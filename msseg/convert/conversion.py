"""Conversion of foreign weights to msseg's names, with an entry for every parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from msseg.convert.names import (
    check_style,
    known_styles,
    matching_styles,
    rename_layers,
    strip_wrappers,
)
from msseg.convert.rules import LeftAside, Mapped, missing_parts

KINDS = ('matched', 'converted', 'joined', 'split', 'changed', 'resized', 'adapted', 'folded',
         'filled', 'left aside', 'unexpected', 'shape mismatch', 'missing')  # fmt: skip
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """The fate of one parameter; of one that is split, one for each part.

    Attributes:
        kind: One of ``KINDS``: ``matched`` kept its name, ``converted`` got another, ``joined`` is
            a part of a parameter, ``split`` became several, ``changed`` has its numbers in another
            order or shape, ``resized`` is a table brought to the model's size, ``adapted`` a
            convolution of images of another number of channels, ``folded`` a bias that went into a
            running mean, ``filled`` a bias of zeros that the model has and the
            file does not.
        source: Name in the file; '' for a parameter that the file does not have.
        target: Name in the model; '' for a parameter that the model does not have.
        shape: In the file, or in the model where the file does not have it.
        note: A remark, or ''.
        wanted_shape: Of a ``shape mismatch``, or where ``resized`` or ``adapted``: the shape in the
            model.
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
        style: The origin of the file's names.
        weights: msseg's name to numbers; floating-point ones are float32.
        entries: One for every parameter of the file and, if asked, of the model.
        misfits: msseg's name to numbers of another shape than the model's.
    """

    style: str
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    misfits: dict[str, np.ndarray] = field(default_factory=dict)

    def of_kind(self, *kinds: str) -> list[Entry]:
        """Return the entries of some kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]


class _Piece(NamedTuple):
    """A parameter of the file that gives a parameter of the model, or a part of it."""

    source: str
    mapped: Mapped
    place: int  # among the targets of the source


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
        style: The origin of the names: ``'auto'`` or one of `known_styles`; ``'msseg'`` takes the
            names as they are, and keeps biases out of means.
        wanted: The model's names and shapes; None converts without a model, folding every bias.
        part: Take only names that start with this: with that of a backbone, also files that have
            the backbone's own names without it.

    Returns:
        The weights that the model takes (all that are known without a model), and the entries.

    Raises:
        ValueError: An unknown style, or names that no origin has.

    Examples:
        >>> file = {'module.backbone.conv1.weight': np.zeros((4, 3, 1, 1), np.float32)}
        >>> conversion = convert(file)
        >>> conversion.style, list(conversion.weights)
        ('mmseg', ['backbone.conv1.weight'])
        >>> conversion.entries[0].kind
        'converted'
    """
    check_style(style)
    stripped = {name: name for name in tensors} if style == 'msseg' else strip_wrappers(tensors)
    if style == 'auto':
        style = _detect(list(stripped.values()), wanted, part)
    if wanted is not None:
        wanted = {name: shape for name, shape in wanted.items() if name.startswith(part)}
    fates = rename_layers(list(stripped.values()), style, wanted or (), part or 'backbone.')
    conversion = Conversion(style)
    found: dict[str, list[_Piece]] = {}
    for source, inner in stripped.items():
        fate = fates[inner]
        kind, note = 'left aside', _reason_to_leave(fate, wanted, part)
        if fate is None:
            kind, note = 'unexpected', 'a name of no rule'
        if note:
            conversion.entries.append(Entry(kind, source, '', tensors[source].shape, note))
            continue
        for place, target in enumerate(fate.targets):
            _add_piece(found.setdefault(target, []), _Piece(source, fate, place), target)
    _take(conversion, tensors, _whole(found, conversion, tensors), wanted)
    # In the order of the file, then what it does not have.
    place = {source: index for index, source in enumerate(tensors)}
    conversion.entries.sort(key=lambda entry: place.get(entry.source, len(place)))
    return conversion


def _detect(names: list[str], wanted: Mapping[str, Shape] | None, part: str) -> str:
    styles = matching_styles(names)
    if wanted is not None:
        # other networks share their names' beginnings, such as layer1.0.conv1
        styles += ['backbone'] if part else []
        counts = {style: _count_wanted(names, style, wanted, part) for style in styles}
        if styles[-1:] == ['backbone'] and not counts['backbone']:
            styles.pop()
        styles.sort(key=lambda style: -counts[style])
    if styles:
        return styles[0]
    examples = [name[:60] for name in names[:3]]
    raise ValueError(
        f'these {len(names)} names, such as {examples}, are in none of the styles '
        f'{known_styles()}: add the style with msseg.convert.register_names in a file that '
        'custom_imports lists'
    )


def _count_wanted(names: list[str], style: str, wanted: Mapping[str, Shape], part: str) -> int:
    fates = rename_layers(names, style, wanted, part or 'backbone.').values()
    targets = {name for fate in fates if isinstance(fate, Mapped) for name in fate.targets}
    return len(targets & wanted.keys())


def _reason_to_leave(
    fate: Mapped | LeftAside | None, wanted: Mapping[str, Shape] | None, part: str
) -> str:
    """Return why a parameter is not taken; '' when it is, or unknown."""
    if isinstance(fate, LeftAside):
        return str(fate)
    if fate is None:
        return ''
    if not all(target.startswith(part) for target in fate.targets):
        return f'not part of {part.rstrip(".")!r}'
    is_needed = wanted is None or any(target in wanted for target in fate.targets)
    return '' if is_needed else fate.unless_needed


def _add_piece(pieces: list[_Piece], piece: _Piece, target: str) -> None:
    for other in pieces:
        (index, count), (known, known_count) = piece.mapped.part, other.mapped.part
        if index == known or count != known_count:
            raise ValueError(f'{piece.source!r} and {other.source!r} would both become {target!r}')
    pieces.append(piece)
    pieces.sort(key=lambda each: each.mapped.part)


def _whole(
    found: Mapping[str, list[_Piece]], conversion: Conversion, tensors: Mapping[str, np.ndarray]
) -> dict[str, list[_Piece]]:
    """Return the parameters all of whose parts are in the file, and add entries for others."""
    whole = {}
    for target, pieces in found.items():
        missing = list(missing_parts([piece.mapped.part for piece in pieces]))
        if not missing:
            whole[target] = pieces
            continue
        for source, mapped, _ in pieces:
            note = (
                f'{mapped.describe()} of {target}, whose {_parts(missing)} the file does not have'
                + _by_rule(mapped, conversion.style)
            )
            conversion.entries.append(Entry('unexpected', source, '', tensors[source].shape, note))
    return whole


def _parts(numbers: list[int]) -> str:
    return f'part{"s" if len(numbers) > 1 else ""} {" and ".join(map(str, numbers))}'


def _by_rule(mapped: Mapped, style: str) -> str:
    return f", by the rule '{mapped.rule}' of style {style!r}" if mapped.rule else ''


def _take(
    conversion: Conversion,
    tensors: Mapping[str, np.ndarray],
    found: Mapping[str, list[_Piece]],
    wanted: Mapping[str, Shape] | None,
) -> None:
    """Add weights and entries for the names that were found, and entries for the others."""
    keeps_biases = conversion.style == 'msseg'
    folded = {} if keeps_biases else {
        bias: mean
        for bias, mean in _biases_before_norms(found)
        if wanted is None or (bias not in wanted and mean in wanted)
    }  # fmt: skip
    shifts = {mean: bias for bias, mean in folded.items()}
    for target, pieces in found.items():
        if target in folded:
            entry = Entry('folded', '', folded[target], (), 'mean - bias')
        elif wanted is not None and target not in wanted:
            entry = Entry('unexpected', '', target, (), 'not in the model')
        else:
            bias = _build(found[shifts[target]], tensors) if target in shifts else None
            entry = _place(conversion, target, pieces, tensors, wanted, bias)
        for source, mapped, _ in pieces:
            kind = entry.kind or mapped.kind or ('matched' if source == target else 'converted')
            note = entry.note or mapped.describe()
            if kind == 'shape mismatch':
                note += _by_rule(mapped, conversion.style)
            conversion.entries.append(
                replace(entry, kind=kind, source=source, shape=tensors[source].shape, note=note)
            )
    means = {} if keeps_biases else dict(_biases_before_norms(wanted or ()))
    for target, shape in (wanted or {}).items():
        if target in found:
            continue
        kind, note = 'missing', ''
        if means.get(target) in conversion.weights:
            conversion.weights[target] = np.zeros(shape, np.float32)
            kind, note = 'filled', 'zeros, which change no output'
        conversion.entries.append(Entry(kind, '', target, tuple(shape), note))


def _place(
    conversion: Conversion,
    target: str,
    pieces: list[_Piece],
    tensors: Mapping[str, np.ndarray],
    wanted: Mapping[str, Shape] | None,
    bias: np.ndarray | None,
) -> Entry:
    """Add the numbers of a parameter of the model; return its entry, without the file's side.

    A matrix fits a convolution of a single pixel, and the other way round.
    """
    try:
        array = _build(pieces, tensors)
    except (ValueError, IndexError) as error:
        shape = None if wanted is None else tuple(wanted[target])
        note = f'{shape} in the model: {error}' if shape is not None else str(error)
        return Entry('shape mismatch', '', target, (), note, shape)
    other = array.shape if wanted is None else tuple(wanted[target])
    if other == array.shape:
        conversion.weights[target] = _as_float32(array, bias)
        return Entry('', '', target, ())
    matrix = min(other, array.shape, key=len)
    if len(matrix) == 2 and max(other, array.shape, key=len) == (*matrix, 1, 1):
        conversion.weights[target] = _as_float32(array.reshape(other), bias)
        return Entry('changed', '', target, (), f'as {other}: the same numbers')
    conversion.misfits[target] = array
    note = f'{other} in the model'
    if len(pieces) > 1 or pieces[0].mapped.kind:
        note += f', made {array.shape} of {len(pieces)} in the file'
    return Entry('shape mismatch', '', target, (), note, other)


def _build(pieces: list[_Piece], tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the array of a parameter of the model."""
    arrays = [mapped.cut(tensors[source])[place] for source, mapped, place in pieces]
    if len({array.dtype.kind for array in arrays}) > 1:
        raise ValueError(f'parts of different kinds: {[array.dtype.name for array in arrays]}')
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays, pieces[0].mapped.axis)


def _biases_before_norms(names: Iterable[str]) -> Iterator[tuple[str, str]]:
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

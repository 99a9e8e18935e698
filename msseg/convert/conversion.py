"""Conversion of foreign weights to msseg's names, with an entry for every parameter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from msseg.convert.names import (
    LeftAside,
    check_style,
    detect_style,
    known_styles,
    rename_layers,
    strip_wrappers,
)

KINDS = ('matched', 'converted', 'resized', 'folded', 'filled', 'left aside', 'unexpected',
         'shape mismatch', 'missing')  # fmt: skip
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Entry:
    """The fate of one parameter.

    Attributes:
        kind: One of ``KINDS``: ``matched`` kept its name, ``converted`` got another,
            ``resized`` is a table brought to the model's size, ``folded`` a bias that went into a
            running mean, ``filled`` a bias of zeros that the model has and the file does not.
        source: Name in the file; '' for a parameter that the file does not have.
        target: Name in the model; '' for a parameter that the model does not have.
        shape: In the file, or in the model where the file does not have it.
        note: A remark, or ''.
        wanted_shape: Of a ``shape mismatch`` or where ``resized``: the shape in the model.
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
        style = _detect(list(stripped.values()), wanted if part else None, part)
    if wanted is not None:
        wanted = {name: shape for name, shape in wanted.items() if name.startswith(part)}
    renamed = rename_layers(list(stripped.values()), style, wanted or (), part or 'backbone.')
    conversion = Conversion(style)
    found: dict[str, str] = {}
    for source, inner in stripped.items():
        target = renamed[inner]
        if isinstance(target, str) and target.startswith(part):
            if target in found:
                raise ValueError(f'{source!r} and {found[target]!r} would both become {target!r}')
            found[target] = source
            continue
        kind, note = 'left aside', f'not part of {part.rstrip(".")!r}'
        if isinstance(target, LeftAside):
            note = str(target)
        elif target is None:
            kind, note = 'unexpected', 'a name of no rule'
        conversion.entries.append(Entry(kind, source, '', tensors[source].shape, note))
    _take(conversion, tensors, found, wanted)
    # In the order of the file, then what it does not have.
    place = {source: index for index, source in enumerate(tensors)}
    conversion.entries.sort(key=lambda entry: place.get(entry.source, len(place)))
    return conversion


def _detect(names: list[str], wanted: Mapping[str, Shape] | None, part: str) -> str:
    style = detect_style(names)
    if wanted is not None:
        # other networks share their names' beginnings, such as layer1.0.conv1
        counts = {
            each: sum(name in wanted for name in rename_layers(names, each, wanted, part).values())
            for each in ('backbone', style)
            if each is not None
        }
        if counts['backbone'] > counts.get(style, 0):
            style = 'backbone'
    if style is None:
        examples = [name[:60] for name in names[:3]]
        raise ValueError(
            f'these {len(names)} names, such as {examples}, are in none of the styles '
            f'{known_styles()}: add the style with msseg.convert.register_names in a file that '
            'custom_imports lists'
        )
    return style


def _take(
    conversion: Conversion,
    tensors: Mapping[str, np.ndarray],
    found: Mapping[str, str],
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
    for target, source in found.items():
        array = tensors[source]
        other = None if wanted is None else wanted.get(target)
        kind, note = 'matched' if source == target else 'converted', ''
        wanted_shape = None
        if target in folded:
            kind, target, note = 'folded', folded[target], 'mean - bias'
        elif wanted is not None and other is None:
            kind, note = 'unexpected', 'not in the model'
        elif other is not None and tuple(other) != array.shape:
            wanted_shape = tuple(other)
            kind, note = 'shape mismatch', f'{wanted_shape} in the model'
        else:
            bias = tensors[found[shifts[target]]] if target in shifts else None
            conversion.weights[target] = _as_float32(array, bias)
        conversion.entries.append(Entry(kind, source, target, array.shape, note, wanted_shape))
    means = {} if keeps_biases else dict(_biases_before_norms(wanted or ()))
    for target, shape in (wanted or {}).items():
        if target in found:
            continue
        kind, note = 'missing', ''
        if means.get(target) in conversion.weights:
            conversion.weights[target] = np.zeros(shape, np.float32)
            kind, note = 'filled', 'zeros, which change no output'
        conversion.entries.append(Entry(kind, '', target, tuple(shape), note))


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

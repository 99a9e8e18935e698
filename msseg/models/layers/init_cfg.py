"""Initialisation of weights from ``init_cfg``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from mindspore import nn
from mindspore.common.initializer import (
    Constant,
    HeNormal,
    HeUniform,
    Initializer,
    Normal,
    TruncatedNormal,
    Uniform,
    XavierNormal,
    XavierUniform,
    initializer,
)

from msseg.utils.arguments import NonNegative, check_value
from msseg.utils.errors import UserKeyError, UserTypeError, expected_one_of, unknown_name
from msseg.utils.layer_traits import is_called, known_names, traits_of

_ARGUMENTS = {
    'Normal': {'mean': float, 'std': NonNegative, 'bias': float},
    'TruncNormal': {'mean': float, 'std': NonNegative, 'a': float, 'b': float, 'bias': float},
    'Kaiming': {
        'a': float,
        'mode': Literal['fan_in', 'fan_out'],
        'nonlinearity': str,
        'distribution': Literal['normal', 'uniform'],
        'bias': float,
    },
    'Xavier': {'gain': NonNegative, 'distribution': Literal['normal', 'uniform'], 'bias': float},
    'Constant': {'val': float, 'bias': float},
    'PyTorchDefault': {},
}


def apply_init_cfg(cell: nn.Cell, init_cfg: Mapping | Sequence[Mapping] | None) -> str | None:
    """Initialise a cell's layers by the rules of an ``init_cfg``.

    Args:
        cell: The cell, changed in place.
        init_cfg: None, one rule or a list. A rule has ``type`` (``Normal``, ``TruncNormal``,
            ``Kaiming``, ``Xavier``, ``Constant``, ``PyTorchDefault``) with the type's arguments,
            and chooses layers by ``layer`` (class name or names) or, in ``override``, by ``name``
            of a child.
            ``Pretrained`` changes nothing here.

    Returns:
        The ``checkpoint`` of a ``Pretrained`` rule, which training loads; else None.

    Raises:
        KeyError: An unknown ``type`` or ``layer``, or a ``name`` that is no child.
        TypeError: An argument that the type does not take.
        ValueError: A value of a wrong kind or out of range.

    Source: MMCV 1.7 ``mmcv.cnn.initialize``; ``PyTorchDefault`` is what PyTorch's convolutions,
        linear and normalisation layers have without any initialisation.

    Examples:
        >>> layer = nn.Dense(4, 2)
        >>> apply_init_cfg(layer, dict(type='Constant', val=0.5, layer='Linear'))
        >>> float(layer.weight.sum())
        4.0
    """
    checkpoint = None
    rules = [init_cfg] if isinstance(init_cfg, Mapping) else list(init_cfg or [])
    for rule in rules:
        options = dict(rule)
        kind = options.pop('type', None)
        if kind == 'Pretrained':
            checkpoint = options.get('checkpoint')
            continue
        layers = options.pop('layer', ())
        overrides = options.pop('override', ())
        _check(kind, options)
        for name in [layers] if isinstance(layers, str) else layers:
            for layer in _layers_of_class(cell, name):
                _initialise(layer, kind, options)
        for override in [overrides] if isinstance(overrides, Mapping) else overrides:
            _apply_override(cell, dict(override), kind, options)
    return checkpoint


def _apply_override(cell: nn.Cell, override: dict, kind: str, options: dict) -> None:
    name = override.pop('name')
    child = getattr(cell, name, None)
    if not isinstance(child, nn.Cell):
        children = list(cell.name_cells())
        raise expected_one_of('override.name', name, children, UserKeyError, who='init_cfg')
    kind, options = override.pop('type', kind), override if override else options
    _check(kind, options)
    for _, layer in child.cells_and_names():
        _initialise(layer, kind, options)


def _layers_of_class(cell: nn.Cell, name: str) -> list[nn.Cell]:
    found = [layer for _, layer in cell.cells_and_names() if is_called(layer, name)]
    names = known_names()
    if not found and name not in names:
        problem = f'unknown layer {name!r}, which is no class of this part'
        raise unknown_name(problem, name, names, who='init_cfg')
    return found


def _check(kind: str | None, options: dict) -> None:
    if kind not in _ARGUMENTS:
        problem, kinds = f'unknown type {kind!r}', [*_ARGUMENTS, 'Pretrained']
        raise unknown_name(problem, str(kind), kinds, who='init_cfg')
    for key in options:
        if key not in _ARGUMENTS[kind]:
            problem = f'{kind} takes no argument {key!r}'
            raise unknown_name(problem, key, _ARGUMENTS[kind], UserTypeError, who='init_cfg')
        check_value(options[key], _ARGUMENTS[kind][key], key, f'init_cfg: {kind}')


def _initialise(layer: nn.Cell, kind: str, options: dict) -> None:
    if kind == 'PyTorchDefault':
        _initialise_as_pytorch(layer)
        return
    names = ('weight', 'gamma', 'w')  # convolutions', norms', PReLU's
    weight = next((getattr(layer, name) for name in names if hasattr(layer, name)), None)
    bias = getattr(layer, 'bias', getattr(layer, 'beta', None))
    if weight is not None:
        weight.set_data(initializer(_initializer(kind, options), weight.shape, weight.dtype))
    if bias is not None:
        bias.set_data(initializer(Constant(options.get('bias', 0)), bias.shape, bias.dtype))


def _initialise_as_pytorch(layer: nn.Cell) -> None:
    """Initialise as PyTorch does by default: uniform within 1 / sqrt(fan-in), biases too."""
    if traits_of(layer).is_norm:
        _initialise(layer, 'Constant', {'val': 1})
        return
    weight, bias = getattr(layer, 'weight', None), getattr(layer, 'bias', None)
    if weight is None:
        return
    bound = 1 / math.sqrt(math.prod(weight.shape[1:]))
    for parameter in (weight, bias):
        if parameter is not None:
            parameter.set_data(initializer(Uniform(bound), parameter.shape, parameter.dtype))


def _initializer(kind: str, options: dict) -> Initializer:
    if kind == 'Constant':
        return Constant(options.get('val', 0))
    if kind == 'Kaiming':
        law = HeUniform if options.get('distribution', 'normal') == 'uniform' else HeNormal
        return law(
            negative_slope=options.get('a', 0),
            mode=options.get('mode', 'fan_out'),
            nonlinearity=options.get('nonlinearity', 'relu'),
        )
    if kind == 'Xavier':
        law = XavierUniform if options.get('distribution') == 'uniform' else XavierNormal
        return law(gain=options.get('gain', 1))
    mean, std = options.get('mean', 0.0), options.get('std', 1.0)
    if kind == 'Normal':
        return Normal(sigma=std, mean=mean)
    # Bounds are values, not multiples of the deviation, as in PyTorch.
    return TruncatedNormal(sigma=std, mean=mean, a=options.get('a', -2.0), b=options.get('b', 2.0))

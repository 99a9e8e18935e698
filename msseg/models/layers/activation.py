"""Activation layers from ``act_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mindspore import nn

from msseg.utils.suggest import did_you_mean

RELU: Mapping = MappingProxyType({'type': 'ReLU'})

_ACTIVATIONS = {
    'ReLU': nn.ReLU,
    'ReLU6': nn.ReLU6,
    'GELU': nn.GELU,
    'SiLU': nn.SiLU,
    'Sigmoid': nn.Sigmoid,
    'Tanh': nn.Tanh,
}


def build_activation_layer(act_cfg: Mapping) -> nn.Cell:
    """Build the activation that an ``act_cfg`` names.

    Args:
        act_cfg: Such as ``dict(type='ReLU')``; ``inplace`` has no meaning here and is accepted,
            ``negative_slope`` belongs to ``LeakyReLU``.

    Raises:
        KeyError: An unknown ``type``.
        TypeError: An argument that the activation does not take.
    """
    options = dict(act_cfg)
    kind = options.pop('type', None)
    options.pop('inplace', None)
    if kind == 'LeakyReLU':
        layer = nn.LeakyReLU(alpha=options.pop('negative_slope', 0.01))
    elif kind in _ACTIVATIONS:
        layer = _ACTIVATIONS[kind]()
    else:
        names = [*_ACTIVATIONS, 'LeakyReLU']
        raise KeyError(
            f'act_cfg: unknown type {kind!r}, expected one of {sorted(names)}.'
            f'{did_you_mean(str(kind), names)}'
        )
    if options:
        raise TypeError(f'act_cfg: {kind} takes no argument {sorted(options)[0]!r}')
    return layer

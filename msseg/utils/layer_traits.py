"""The properties of kinds of layers: one table, open to users' layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mindspore import Parameter, nn

from msseg.utils.errors import UserTypeError


@dataclass(frozen=True)
class LayerTraits:
    """Properties of a class of layers.

    Attributes:
        is_norm: Whether it normalises: ``norm_decay_mult`` applies to its parameters.
        keeps_statistics: Whether it has running statistics, ``moving_mean`` and
            ``moving_variance``, which ``use_batch_statistics = False`` freezes and which a
            recomputed forward pass would update twice.
        statistics: Names of other parameters that the forward pass updates in training.
        precision: In mixed precision, ``'low'`` computes in 16-bit floats and ``'full'`` in
            float32; None computes in the type of its inputs.
        keeps: What it keeps in training for the backward pass: ``'inputs'``, ``'output'`` or
            ``'nothing'``.
        temporaries: Memory of a training step that it takes for temporary tensors, as a multiple of
            its output.
        names: PyTorch's names of the class, by which ``init_cfg`` chooses layers. The names of
            the class and of its base classes count too.
    """

    is_norm: bool = False
    keeps_statistics: bool = False
    statistics: tuple[str, ...] = ()
    precision: Literal['low', 'full'] | None = None
    keeps: Literal['inputs', 'output', 'nothing'] = 'inputs'
    temporaries: float = 0.0
    names: tuple[str, ...] = ()


_NONE = LayerTraits()
_OF_NORMS = ('moving_mean', 'moving_variance')
_TRAITS: dict[type[nn.Cell], LayerTraits] = {}


def register_traits(cls: type[nn.Cell], **traits: Any) -> type[nn.Cell]:
    """Register the traits of a class of layers; subclasses without their own inherit them.

    Args:
        cls: The class.
        **traits: The attributes of `LayerTraits`.

    Returns:
        The class.

    Raises:
        TypeError: `cls` is not a class of cells, or there is no such trait.

    Examples:
        >>> from mindspore import nn
        >>> class ScaleNorm(nn.Cell):
        ...     pass
        >>> _ = register_traits(ScaleNorm, is_norm=True, precision='full')
        >>> traits_of(ScaleNorm()).is_norm
        True
    """
    if not (isinstance(cls, type) and issubclass(cls, nn.Cell)):
        expected = 'a subclass of mindspore.nn.Cell'
        raise UserTypeError(f'register_traits: got {cls!r}', got=cls, expected=expected)
    _TRAITS[cls] = LayerTraits(**traits)
    return cls


def traits_of(layer: nn.Cell) -> LayerTraits:
    """Return the traits of a layer's class, or of its nearest base class that has some."""
    return next((_TRAITS[cls] for cls in type(layer).__mro__ if cls in _TRAITS), _NONE)


def running_statistics(model: nn.Cell) -> list[Parameter]:
    """Return the parameters that the forward pass updates in training, such as ``moving_mean``."""
    others = {
        id(getattr(cell, name))
        for _, cell in model.cells_and_names()
        for name in traits_of(cell).statistics
    }
    return [p for p in model.get_parameters() if p.name.endswith(_OF_NORMS) or id(p) in others]


def is_called(layer: nn.Cell, name: str) -> bool:
    """Whether a layer's class has a name: PyTorch's, its own or that of a base class."""
    return name in traits_of(layer).names or name in (cls.__name__ for cls in type(layer).__mro__)


def known_names() -> list[str]:
    """Return the names of PyTorch's layers that have a counterpart here."""
    return sorted({name for traits in _TRAITS.values() for name in traits.names})


for _cls in (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm):
    # MindSpore's SyncBatchNorm is not derived from BatchNorm2d
    _name = 'BatchNorm2d' if _cls is nn.SyncBatchNorm else _cls.__name__
    register_traits(
        _cls, is_norm=True, keeps_statistics=True, precision='full', names=('_BatchNorm', _name)
    )
register_traits(nn.GroupNorm, is_norm=True, precision='full', names=('GroupNorm',))
register_traits(nn.LayerNorm, is_norm=True, precision='full', names=('LayerNorm',))
register_traits(nn.Conv1d, precision='low', names=('Conv1d',))
register_traits(nn.Conv2d, precision='low', names=('Conv2d',))
register_traits(nn.Conv2dTranspose, precision='low', names=('ConvTranspose2d',))
register_traits(nn.Dense, precision='low', names=('Linear',))
register_traits(nn.Embedding, names=('Embedding',))
for _cls in (nn.ReLU, nn.Sigmoid, nn.Tanh, nn.Softmax):
    register_traits(_cls, keeps='output')
register_traits(nn.Identity, keeps='nothing')

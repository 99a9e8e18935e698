"""Normalisation layers from ``norm_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.models.layers.sync_batch_norm import SyncBatchNorm2d
from msseg.registry import Registry
from msseg.utils.arguments import Channels, NonNegative, PositiveInt, Probability, checked
from msseg.utils.dist import get_world_size
from msseg.utils.layer_traits import register_traits, traits_of
from msseg.utils.upstream import check_cell

NORM_LAYERS = Registry('normalisation layer', check_cell)
BN: Mapping = MappingProxyType({'type': 'BN'})


@NORM_LAYERS.register_module(['BN', 'BN2d'])
@checked
def batch_norm(
    num_features: Channels,
    eps: NonNegative = 1e-5,
    momentum: Probability = 0.1,
    affine: bool = True,
) -> nn.Cell:
    """Build a batch norm.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the new batch in the running statistics, as PyTorch counts it.
        affine: Whether scale and shift are trained.
    """
    # MindSpore counts the share of the old statistics.
    return nn.BatchNorm2d(num_features, eps=eps, momentum=1.0 - momentum, affine=affine)


@NORM_LAYERS.register_module('SyncBN')
@checked
def sync_batch_norm(
    num_features: Channels,
    eps: NonNegative = 1e-5,
    momentum: Probability = 0.1,
    affine: bool = True,
) -> nn.Cell:
    """Build a batch norm with statistics over the batches of all devices.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the new batch in the running statistics, as PyTorch counts it.
        affine: Whether scale and shift are trained.
    """
    if get_world_size() == 1:
        return batch_norm(num_features, eps, momentum, affine)
    # nn.SyncBatchNorm exists on Ascend only (MindSpore 2.7 to 2.10).
    on_ascend = ms.get_context('device_target') == 'Ascend'
    layer = nn.SyncBatchNorm if on_ascend else SyncBatchNorm2d
    return layer(num_features, eps=eps, momentum=1.0 - momentum, affine=affine)


@NORM_LAYERS.register_module('GN')
@checked
def group_norm(
    num_features: Channels, num_groups: PositiveInt, eps: NonNegative = 1e-5, affine: bool = True
) -> nn.Cell:
    """Build a group norm.

    Args:
        num_features: Number of channels.
        num_groups: Number of groups, a divisor of `num_features`.
        eps: Added to the variance.
        affine: Whether scale and shift are trained.

    Raises:
        ValueError: `num_groups` does not divide `num_features`.
    """
    if num_features % num_groups:
        raise ValueError(
            f'GN: num_groups is {num_groups!r}, expected a divisor of the {num_features} channels'
        )
    return nn.GroupNorm(num_groups, num_features, eps=eps, affine=affine)


@NORM_LAYERS.register_module('LN')
@checked
def layer_norm(num_features: Channels, eps: NonNegative = 1e-5, affine: bool = True) -> nn.Cell:
    """Build a layer norm over the last axis.

    Args:
        num_features: Length of the last axis.
        eps: Added to the variance.
        affine: Whether scale and shift are trained.
    """
    layer = nn.LayerNorm((num_features,), epsilon=eps)
    if not affine:
        freeze_parameters(layer)
    return layer


@NORM_LAYERS.register_module(['IN', 'IN2d'])
class InstanceNorm2d(nn.Cell):
    """Normalises each channel of each sample by its own mean and variance.

    MindSpore's ``nn.InstanceNorm2d`` runs on GPUs only (2.7 to 2.10).

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        affine: Whether there are a scale ``gamma`` and a shift ``beta``, which are trained.

    Source: PyTorch ``nn.InstanceNorm2d`` without running statistics.
    """

    @checked
    def __init__(
        self, num_features: Channels, eps: NonNegative = 1e-5, affine: bool = False
    ) -> None:
        super().__init__()
        self.eps = eps
        self.is_affine = affine
        self.shape = (1, num_features, 1, 1)
        if affine:
            self.gamma = Parameter(ops.ones(num_features, ms.float32), 'gamma')
            self.beta = Parameter(ops.zeros(num_features, ms.float32), 'beta')
        self.mean = ops.ReduceMean(keep_dims=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Normalise (n, c, h, w)."""
        full = x.astype(ms.float32)
        centred = full - self.mean(full, (2, 3))
        y = centred * ops.rsqrt(self.mean(centred * centred, (2, 3)) + self.eps)
        if self.is_affine:
            y = y * self.gamma.reshape(self.shape) + self.beta.reshape(self.shape)
        return y.astype(x.dtype)


register_traits(InstanceNorm2d, is_norm=True, precision='full', names=('InstanceNorm2d',))


def build_norm_layer(
    norm_cfg: Mapping, num_features: int, postfix: int | str = ''
) -> tuple[str, nn.Cell]:
    """Build the normalisation that a ``norm_cfg`` names.

    Args:
        norm_cfg: ``type`` is a name in `NORM_LAYERS`: ``BN``, ``SyncBN`` (statistics over the
            batches of all devices; plain ``BN`` when there is one), ``GN`` (with
            ``num_groups``), ``LN``, ``IN``, or a user's. ``requires_grad`` (True) says whether
            scale and shift are trained, ``eps`` is 1e-5; see the functions for the rest.
        num_features: Number of channels.
        postfix: Appended to the layer's name.

    Returns:
        The name under which models keep the layer (``bn1`` for a batch norm and postfix 1), and
        the layer.

    Raises:
        KeyError: ``type`` is missing or unknown.
        TypeError: An argument that the layer does not take.

    Source: MMCV 1.7 ``build_norm_layer``.

    Examples:
        >>> build_norm_layer(dict(type='GN', num_groups=4), 8, 1)[0]
        'gn1'
    """
    if 'type' not in norm_cfg:
        raise KeyError(f'norm_cfg: the key "type" is missing, got {dict(norm_cfg)!r}')
    options = norm_cfg.copy()
    is_trained = options.pop('requires_grad', True)
    layer = NORM_LAYERS.build(options, num_features=num_features)
    if not is_trained:
        freeze_parameters(layer)
    return f'{_abbreviation(layer)}{postfix}', layer


def freeze_statistics(cell: nn.Cell) -> None:
    """Let every norm with running statistics in a cell use them, in training too."""
    for _, layer in cell.cells_and_names():
        if traits_of(layer).keeps_statistics:
            layer.use_batch_statistics = False


def freeze_parameters(cell: nn.Cell) -> None:
    """Exclude every parameter of a cell from training."""
    for parameter in cell.get_parameters():
        parameter.requires_grad = False


def _abbreviation(layer: nn.Cell) -> str:
    """Return MMCV's name for an attribute that holds a norm, such as ``bn``."""
    own = getattr(layer, '_abbr_', None)
    if own is not None:
        return own
    name = type(layer).__name__.lower()
    kinds = {'batch': 'bn', 'group': 'gn', 'layer': 'ln', 'instance': 'in'}
    return next((short for kind, short in kinds.items() if kind in name), 'norm_layer')

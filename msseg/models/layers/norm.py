"""Normalisation layers from ``norm_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.registry import Registry, config_path
from msseg.utils.arguments import Channels, NonNegative, PositiveInt, Probability, checked
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.errors import UserKeyError, UserTypeError, UserValueError
from msseg.utils.layer_traits import LayerTraits, register_traits, traits_of
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
    """Build a batch norm with statistics over the batches of all devices; see `batch_norm`."""
    if get_world_size() == 1:
        return batch_norm(num_features, eps, momentum, affine)
    return SyncBatchNorm2d(num_features, eps=eps, momentum=1.0 - momentum, affine=affine)


@NORM_LAYERS.register_module('GN')
@checked
def group_norm(
    num_features: Channels, num_groups: PositiveInt, eps: NonNegative = 1e-5, affine: bool = True
) -> nn.Cell:
    """Build a group norm; `num_groups` must divide `num_features`; see `batch_norm`."""
    if num_features % num_groups:
        expected = f'a divisor of the {num_features} channels'
        raise UserValueError(key='num_groups', got=num_groups, expected=expected, who='GN')
    return nn.GroupNorm(num_groups, num_features, eps=eps, affine=affine)


@NORM_LAYERS.register_module('LN')
@checked
def layer_norm(num_features: Channels, eps: NonNegative = 1e-5, affine: bool = True) -> nn.Cell:
    """Build a layer norm over the last axis, of length `num_features`; see `batch_norm`."""
    layer = nn.LayerNorm((num_features,), epsilon=eps)
    if not affine:
        freeze_parameters(layer)
    return layer


@NORM_LAYERS.register_module('LN2d')
class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of (n, c, h, w); see `batch_norm`.

    With ``channels_last = True`` it takes and gives tensors (…, c), without transpositions.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        affine: Whether scale and shift are trained.

    Source: mmcls 0.25 ``LayerNorm2d``.

    Examples:
        >>> LayerNorm2d(2)(ms.Tensor([[[[3.0]], [[1.0]]]])).asnumpy().ravel().round(3)
        array([ 1., -1.], dtype=float32)
    """

    @checked
    def __init__(
        self, num_features: Channels, eps: NonNegative = 1e-5, affine: bool = True
    ) -> None:
        super().__init__((num_features,), epsilon=eps)
        self.channels_last = False
        if not affine:
            freeze_parameters(self)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Normalise every pixel."""
        if self.channels_last:
            return self.layer_norm(x, self.gamma, self.beta)[0]
        y = self.layer_norm(x.transpose(0, 2, 3, 1), self.gamma, self.beta)[0]
        return y.transpose(0, 3, 1, 2)


@NORM_LAYERS.register_module(['IN', 'IN2d'])
class InstanceNorm2d(nn.Cell):
    """Normalises each channel of each sample by its mean and variance.

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


class SyncBatchNorm2d(nn.BatchNorm2d):
    """Batch norm with statistics over the batches of all devices, of elementary operators.

    MindSpore's own ``nn.SyncBatchNorm`` is for Ascend alone and exchanges twice in each direction
    (2.7 to 2.10); this one once. Every device must hold a batch of the same shape. Parameters,
    their order and everything that does not use the batch's statistics are those of
    ``nn.BatchNorm2d``.

    Args:
        num_features: Number of channels.
        eps: Added to the variance.
        momentum: Share of the old running statistics that is kept, as MindSpore counts it.
        affine: Whether scale and shift are trained.
    """

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.9, affine: bool = True
    ) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum, affine=affine)
        self.keep = momentum
        self.num_devices = get_world_size()
        self.normalise = _Normalise(eps)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Normalise (n, c, h, w) over n, h, w and devices."""
        use_batch = self.use_batch_statistics
        if use_batch is None:
            use_batch = self.training
        if not use_batch:
            statistics = (self.moving_mean, self.moving_variance)
            return self.bn_infer(x, self.gamma, self.beta, *statistics)[0]
        y, mean, variance = self.normalise(x, self.gamma, self.beta)
        n, c, h, w = x.shape
        count = n * h * w * self.num_devices
        new = 1.0 - self.keep
        unbiased = new * count / max(count - 1, 1)
        new_mean = self.moving_mean * self.keep + ops.reshape(mean, (c,)) * new
        new_variance = self.moving_variance * self.keep + ops.reshape(variance, (c,)) * unbiased
        ops.assign(self.moving_mean, new_mean)
        ops.assign(self.moving_variance, new_variance)
        return y


class _Normalise(nn.Cell):
    """Normalises with the statistics of all devices' batches, with one exchange each way.

    The backward pass is written out: derived by MindSpore 2.8, a step of a small network on the
    CPU takes 0.8 s instead of 0.2 s, and compiling it a quarter longer. It computes in float32, and
    keeps and returns tensors of its input's type.
    """

    def __init__(self, eps: float) -> None:
        super().__init__()
        self.eps = eps
        self.num_devices = get_world_size()
        own_row = [[[[float(i == get_rank())]]] for i in range(self.num_devices)]
        self.own_row = ms.Tensor(own_row, ms.float32)
        self.all_reduce = ops.AllReduce() if self.num_devices > 1 else None
        if self.all_reduce is not None:
            self.all_reduce.recompute(False)  # in a block that is recomputed, too
        self.mean = ops.ReduceMean(keep_dims=True)
        self.sum = ops.ReduceSum(keep_dims=True)
        self.concat = ops.Concat(0)
        self.halves = ops.Split(0, 2)
        self.rsqrt = ops.Rsqrt()
        self.reshape = ops.Reshape()

    def construct(
        self, x: ms.Tensor, gamma: ms.Tensor, beta: ms.Tensor
    ) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
        """Return the normalised (n, c, h, w), and (1, c, 1, 1) mean and variance over devices."""
        c, dtype = x.shape[1], x.dtype
        x = x.astype(ms.float32)
        mean = self.mean(x, (0, 2, 3))
        centred = x - mean
        variance = self.mean(centred * centred, (0, 2, 3))
        if self.all_reduce is not None:
            # A row for each device: variances about other means cannot be added up without them.
            rows = self.concat((self.own_row * mean, self.own_row * variance))
            means, variances = self.halves(self.all_reduce(rows))
            mean = self.mean(means, 0)
            distance = means - mean
            variance = self.mean(variances + distance * distance, 0)
            centred = x - mean
        scale = self.reshape(gamma, (1, c, 1, 1)) * self.rsqrt(variance + self.eps)
        y = centred * scale + self.reshape(beta, (1, c, 1, 1))
        return y.astype(dtype), mean, variance

    def bprop(
        self, x: ms.Tensor, gamma: ms.Tensor, beta: ms.Tensor, out: tuple, dout: tuple
    ) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
        """Return the gradients of x, and this device's share of those of gamma and beta."""
        n, c, h, w = x.shape
        y_grad, centred = dout[0].astype(ms.float32), x.astype(ms.float32) - out[1]
        inverse = self.rsqrt(out[2] + self.eps)
        beta_grad = self.sum(y_grad, (0, 2, 3))
        gamma_grad = self.sum(y_grad * centred, (0, 2, 3)) * inverse
        shift, slope = beta_grad, gamma_grad
        if self.all_reduce is not None:
            sums = self.all_reduce(self.concat((beta_grad, gamma_grad)))
            shift, slope = self.halves(sums)
        share = 1.0 / (n * h * w * self.num_devices)
        rest = y_grad - shift * share - centred * (slope * inverse * share)
        x_grad = rest * (self.reshape(gamma, (1, c, 1, 1)) * inverse)
        return x_grad.astype(x.dtype), self.reshape(gamma_grad, (c,)), self.reshape(beta_grad, (c,))


def build_norm_layer(
    norm_cfg: Mapping, num_features: int, postfix: int | str = ''
) -> tuple[str, nn.Cell]:
    """Build the normalisation that a ``norm_cfg`` names.

    Args:
        norm_cfg: ``type`` is a name in `NORM_LAYERS`: ``BN``, ``SyncBN`` (statistics over the
            batches of all devices; plain ``BN`` when there is one), ``GN`` (with
            ``num_groups``), ``LN``, ``LN2d``, ``IN``, or a user's. ``requires_grad`` (True) says
            whether scale and shift are trained, ``eps`` is 1e-5; see the functions for the rest.
        num_features: Number of channels.
        postfix: Appended to the layer's name.

    Returns:
        The name under which models keep the layer (``bn1`` for a batch norm and postfix 1), and
        the layer.

    Raises:
        KeyError: ``type`` is missing or unknown.
        TypeError: An argument that the layer does not take, or a layer without traits.

    Source: MMCV 1.7 ``build_norm_layer``.

    Examples:
        >>> build_norm_layer(dict(type='GN', num_groups=4), 8, 1)[0]
        'gn1'
    """
    if 'type' not in norm_cfg:
        raise UserKeyError(f'the key "type" is missing, got {dict(norm_cfg)!r}', who='norm_cfg')
    options = norm_cfg.copy()
    is_trained = options.pop('requires_grad', True)
    layer = NORM_LAYERS.build(options, num_features=num_features)
    _check_traits(layer, options)
    if not is_trained:
        freeze_parameters(layer)
    return f'{_abbreviation(layer)}{postfix}', layer


def _check_traits(layer: nn.Cell, norm_cfg: Mapping) -> None:
    """Raise TypeError for a norm with parameters whose class has no traits."""
    for _, cell in layer.cells_and_names():
        if traits_of(cell) == LayerTraits() and any(cell.parameters_and_names(expand=False)):
            name = type(cell).__name__
            raise UserTypeError(
                f'{name} has no traits, which mixed precision, weight decay and init_cfg need',
                advice=f"call register_traits({name}, is_norm=True, precision='full') after its "
                'class (from msseg.utils.layer_traits)',
                config_path=config_path(norm_cfg) or 'norm_cfg',
            )


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

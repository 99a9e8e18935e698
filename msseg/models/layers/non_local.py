"""Non-local blocks: attention of every pixel to all pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.layers.conv import Conv2d, ConvModule
from msseg.models.layers.init_cfg import apply_init_cfg
from msseg.models.layers.pixelwise import row_softmax
from msseg.models.layers.precision import BatchProduct

NonLocalMode = Literal['gaussian', 'embedded_gaussian', 'dot_product', 'concatenation']
_NORMAL = {'type': 'Normal', 'std': 0.01, 'layer': 'Conv2d'}
_ZERO = {'type': 'Constant', 'val': 0}


class NonLocal2d(nn.Cell):
    """Add to each pixel an average of all pixels, weighted by their similarity to it.

    The block starts as the identity.

    Args:
        in_channels: Channels of input and output.
        reduction: Divisor of the channels inside.
        use_scale: Whether ``'embedded_gaussian'`` divides similarities by the root of the number of
            channels inside.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: The norm after the last convolution; see `build_norm_layer`; None for none.
        mode: How weights follow from pixels: ``'gaussian'``, a softmax of the products of pixels;
            ``'embedded_gaussian'``, the same after a convolution of each; ``'dot_product'``,
            the products divided by their number; ``'concatenation'``, a learnt sum of the
            channels of both pixels, ReLU, divided by their number.

    Source: Wang et al., Non-local Neural Networks (2018), section 3; MMCV 1.7 ``NonLocal2d``
    without ``sub_sample``, whose parameter names and initialisation it keeps.
    """

    def __init__(
        self,
        in_channels: int,
        reduction: int = 2,
        use_scale: bool = True,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = None,
        mode: NonLocalMode = 'embedded_gaussian',
    ) -> None:
        super().__init__()
        self.inter_channels = inner = max(in_channels // reduction, 1)
        self.use_scale = use_scale
        self.mode = mode
        options = {'conv_cfg': conv_cfg, 'act_cfg': None}
        self.g = ConvModule(in_channels, inner, 1, **options)
        self.conv_out = ConvModule(inner, in_channels, 1, norm_cfg=norm_cfg, **options)
        if mode != 'gaussian':
            self.theta = ConvModule(in_channels, inner, 1, **options)
            self.phi = ConvModule(in_channels, inner, 1, **options)
        if mode == 'concatenation':
            self.concat_project = ConvModule(2 * inner, 1, 1, bias=False)
        self.similarity = BatchProduct(transpose_a=True)
        self.softmax = row_softmax()
        self.average = BatchProduct(transpose_b=True)
        self._initialise()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        theta, phi = self.embed(x)
        return x + self.conv_out(self.attend(theta, phi, self.flatten(self.g(x)), x))

    def embed(self, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Return queries and keys (n, c', h * w) of a map (n, c, h, w)."""
        if self.mode == 'gaussian':
            pixels = self.flatten(x)
            return pixels, pixels
        return self.flatten(self.theta(x)), self.flatten(self.phi(x))

    def attend(
        self, theta: ms.Tensor, phi: ms.Tensor, values: ms.Tensor, x: ms.Tensor
    ) -> ms.Tensor:
        """Return the averages of `values` (n, c', h * w), as a map of the size of `x`."""
        n, c, _ = values.shape
        h, w = x.shape[2:]
        return self.average(values, self.pairwise_weights(theta, phi)).reshape(n, c, h, w)

    def pairwise_weights(self, theta: ms.Tensor, phi: ms.Tensor) -> ms.Tensor:
        """Return the weight of each key for each query, float32 (n, queries, keys)."""
        if self.mode == 'concatenation':
            return self._concatenation(theta, phi) * _reciprocal_of_keys(phi)
        similarity = self.similarity(theta, phi).astype(ms.float32)
        if self.mode == 'dot_product':
            return similarity * _reciprocal_of_keys(phi)
        return self.softmax(similarity * self.similarity_scale())

    def similarity_scale(self) -> float:
        """Return the factor of the similarities before their softmax."""
        is_scaled = self.mode == 'embedded_gaussian' and self.use_scale
        return self.inter_channels**-0.5 if is_scaled else 1.0

    def flatten(self, x: ms.Tensor) -> ms.Tensor:
        """Return (n, c, h * w) of (n, c, h, w)."""
        n, c, h, w = x.shape
        return x.reshape(n, c, h * w)

    def _concatenation(self, theta: ms.Tensor, phi: ms.Tensor) -> ms.Tensor:
        # A convolution of concatenated pairs is a sum of one term of each pixel: no pair is stored.
        weight = self.concat_project.conv.weight.reshape(1, 2 * self.inter_channels, 1)
        first, second = ops.split(weight, self.inter_channels, axis=1)
        rows = (theta.astype(ms.float32) * first).sum(axis=1).expand_dims(2)
        columns = (phi.astype(ms.float32) * second).sum(axis=1).expand_dims(1)
        return ops.relu(rows + columns)

    def _initialise(self) -> None:
        for name in ('g', 'theta', 'phi'):
            if hasattr(self, name):
                apply_init_cfg(getattr(self, name), _NORMAL)
        name = self.conv_out.norm_name or 'conv'
        apply_init_cfg(self.conv_out, {**_ZERO, 'override': {'name': name}})


def _reciprocal_of_keys(phi: ms.Tensor) -> ms.Tensor:
    """Return one over the number of keys (n, c', keys), (n, 1, 1).

    It is the mean of numbers that add up to 1: a graph that is exported for any size cannot hold
    the number itself.
    """
    share = ops.softmax(phi[:, :1].astype(ms.float32), axis=2).mean(2, keep_dims=True)
    return ops.stop_gradient(share)


class DisentangledNonLocal2d(NonLocal2d):
    """Add to each pixel a weighted average of all pixels, and one that all pixels share.

    The former is weighted by the similarity of queries and keys without their means; the weights of
    the latter depend on the averaged pixel only.

    Args:
        in_channels: Channels of input and output.
        temperature: Divisor of the similarities in mode ``'embedded_gaussian'``.
        **kwargs: See `NonLocal2d`.

    Source: Yin et al., Disentangled Non-Local Neural Networks (2020); MMSegmentation 0.30
    ``DisentangledNonLocal2d``, whose parameter names it keeps, and whose mode ``'gaussian'`` also
    centres its input, and cannot be trained.
    """

    def __init__(self, in_channels: int, temperature: float, **kwargs: object) -> None:
        super().__init__(in_channels, **kwargs)
        self.temperature = temperature
        self.conv_mask = Conv2d(in_channels, 1, 1)
        apply_init_cfg(self.conv_mask, {'type': 'PyTorchDefault', 'layer': 'Conv2d'})

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        theta, phi = self.embed(x)
        values = self.flatten(self.g(x))
        theta = theta - theta.mean(2, keep_dims=True)
        phi = phi - phi.mean(2, keep_dims=True)
        mask = ops.softmax(self.flatten(self.conv_mask(x)).astype(ms.float32), axis=2)
        shared = self.average(values, mask).expand_dims(3)
        return x + self.conv_out(self.attend(theta, phi, values, x) + shared)

    def similarity_scale(self) -> float:
        """Return the factor of the similarities before their softmax."""
        scale = super().similarity_scale()
        return scale / self.temperature if self.mode == 'embedded_gaussian' else scale

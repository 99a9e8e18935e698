"""EMANet's head: the map rebuilt of a few bases, found by expectation maximization."""

from __future__ import annotations

import math
from typing import Annotated, Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, initializer

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, freeze_parameters
from msseg.utils.arguments import Channels, Probability, Range, checked
from msseg.utils.dist import get_world_size
from msseg.utils.layer_traits import register_traits

_EPS = 1e-12
Stages = Annotated[int, Range(1, 100)]


@HEADS.register_module()
class EMAHead(BaseDecodeHead):
    """Adds to each pixel what it has in common with others: a mixture of a few bases.

    Args:
        ema_channels: Channels of the bases.
        num_bases: Number of bases.
        num_stages: Number of steps of expectation maximization.
        concat_input: Whether to concatenate the input to the result and convolve once more.
        momentum: Share of a batch's bases in the initial ones, which training updates.
        **kwargs: See `BaseDecodeHead`.

    Source: Li et al., Expectation-Maximization Attention Networks (2019); MMSegmentation 0.30
    ``EMAHead``, whose parameter names it keeps. As there, the bases have no gradient, and
    ``ema_mid_conv`` is not trained.
    """

    @checked
    def __init__(
        self,
        ema_channels: Channels,
        num_bases: Channels,
        num_stages: Stages,
        concat_input: bool = True,
        momentum: Probability = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        width, options = ema_channels, self.conv_options
        self.ema_channels, self.num_bases, self.num_stages = ema_channels, num_bases, num_stages
        self.concat_input, self.momentum = concat_input, momentum
        self.ema_module = EMAModule(width, num_bases, num_stages, momentum)
        self.ema_in_conv = ConvModule(self.in_channels, width, 3, padding=1, **options)
        self.ema_mid_conv = ConvModule(width, width, 1, conv_cfg=self.conv_cfg, act_cfg=None)
        freeze_parameters(self.ema_mid_conv)
        self.ema_out_conv = ConvModule(width, width, 1, **{**options, 'act_cfg': None})
        self.bottleneck = ConvModule(width, self.channels, 3, padding=1, **options)
        if concat_input:
            total = self.in_channels + self.channels
            self.conv_cat = ConvModule(total, self.channels, 3, padding=1, **options)
        self.relu = nn.ReLU()

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature map's size."""
        x = self.transform_inputs(inputs)
        features = self.ema_in_conv(x)
        rebuilt = self.relu(self.ema_module(self.ema_mid_conv(features)))
        y = self.bottleneck(self.relu(features + self.ema_out_conv(rebuilt)))
        if self.concat_input:
            y = self.conv_cat(ops.concat((x, y), axis=1))
        return y


class EMAModule(nn.Cell):
    """Finds bases of all pixels and rebuilds the map of them, without gradient.

    Args:
        channels: Channels of the map.
        num_bases: Number of bases.
        num_stages: Number of steps.
        momentum: Share of a batch's bases in ``bases``, which training updates.

    Source: as `EMAHead`, section 3.
    """

    def __init__(self, channels: int, num_bases: int, num_stages: int, momentum: float) -> None:
        super().__init__()
        self.num_stages, self.momentum = num_stages, momentum
        law = Normal(math.sqrt(2 / num_bases))
        bases = initializer(law, (1, channels, num_bases), ms.float32).init_data().asnumpy()
        bases = bases / np.maximum(np.linalg.norm(bases, axis=1, keepdims=True), _EPS)
        self.bases = Parameter(ms.Tensor(bases), 'bases', requires_grad=False)
        self.num_devices = get_world_size()
        self.all_reduce = ops.AllReduce() if self.num_devices > 1 else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Rebuild (n, channels, h, w)."""
        n, c, h, w = x.shape
        pixels = ops.stop_gradient(x).reshape(n, c, h * w)
        bases = self.bases.transpose(0, 2, 1)
        shares = None
        for _ in range(self.num_stages):
            shares = ops.softmax(ops.matmul(bases, pixels), axis=1)
            weights = shares / ops.maximum(shares.sum(2, keepdims=True), _EPS)
            bases = _unit_vectors(ops.matmul(weights, pixels.transpose(0, 2, 1)))
        if self.training:
            self._update(bases)
        rebuilt = ops.matmul(bases.transpose(0, 2, 1), shares)
        return ops.stop_gradient(rebuilt).reshape(n, c, h, w)

    def _update(self, bases: ms.Tensor) -> None:
        """Move the initial bases towards the mean of those of all images (n, num_bases, c)."""
        mean = ops.stop_gradient(bases).mean(0, keep_dims=True)
        if self.all_reduce is not None:
            mean = self.all_reduce(mean) / self.num_devices
        new = _unit_vectors(mean).transpose(0, 2, 1)
        ops.assign(self.bases, (1.0 - self.momentum) * self.bases + self.momentum * new)


# the bases are running statistics: their small changes are lost in float16
register_traits(EMAModule, precision='full', statistics=('bases',))


def _unit_vectors(x: ms.Tensor) -> ms.Tensor:
    """Divide vectors, along the last axis, by their length."""
    return x / ops.maximum(ops.sqrt((x * x).sum(-1, keepdims=True)), _EPS)

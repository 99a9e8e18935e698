"""Global context block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.layers.conv import Conv2d
from msseg.models.layers.init_cfg import apply_init_cfg
from msseg.models.layers.precision import BatchProduct

ContextPooling = Literal['att', 'avg']
ContextFusion = Literal['channel_add', 'channel_mul']
_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}


class ContextBlock(nn.Cell):
    """Add to each pixel, or multiply it by, what follows from an average over the whole map.

    Args:
        in_channels: Channels of input and output.
        ratio: Channels inside, as a share of `in_channels`.
        pooling_type: ``'att'``: the average is weighted by a softmax over the pixels; ``'avg'``: it
            is plain.
        fusion_types: ``'channel_add'``, ``'channel_mul'`` (by a sigmoid), or both.

    Source: Cao et al., GCNet (2019), section 3.3; MMCV 1.7 ``ContextBlock``, whose parameter names
    and initialisation it keeps.
    """

    def __init__(
        self,
        in_channels: int,
        ratio: float,
        pooling_type: ContextPooling = 'att',
        fusion_types: Sequence[ContextFusion] = ('channel_add',),
    ) -> None:
        super().__init__()
        inner = int(in_channels * ratio)
        self.conv_mask = None
        if pooling_type == 'att':
            self.conv_mask = Conv2d(in_channels, 1, 1)
            rule = {'type': 'Kaiming', 'mode': 'fan_in', 'layer': 'Conv2d'}
            apply_init_cfg(self.conv_mask, rule)
        self.channel_add_conv = self.channel_mul_conv = None
        if 'channel_add' in fusion_types:
            self.channel_add_conv = _make_transform(in_channels, inner)
        if 'channel_mul' in fusion_types:
            self.channel_mul_conv = _make_transform(in_channels, inner)
        self.average = BatchProduct(transpose_b=True)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        context = self.pool(x)
        y = x
        if self.channel_mul_conv is not None:
            y = y * ops.sigmoid(self.channel_mul_conv(context))
        if self.channel_add_conv is not None:
            y = y + self.channel_add_conv(context)
        return y

    def pool(self, x: ms.Tensor) -> ms.Tensor:
        """Return the average of (n, c, h, w) over its pixels, (n, c, 1, 1)."""
        if self.conv_mask is None:
            return x.mean((2, 3), keep_dims=True)
        n, c, h, w = x.shape
        mask = self.conv_mask(x).astype(ms.float32).reshape(n, 1, h * w)
        return self.average(x.reshape(n, c, h * w), ops.softmax(mask, axis=2)).expand_dims(3)


def _make_transform(channels: int, inner: int) -> nn.SequentialCell:
    norm = nn.LayerNorm((inner, 1, 1), begin_norm_axis=1, begin_params_axis=1, epsilon=1e-5)
    first, last = Conv2d(channels, inner, 1), Conv2d(inner, channels, 1)
    apply_init_cfg(first, _PYTORCH)
    apply_init_cfg(last, {'type': 'Constant', 'val': 0, 'layer': 'Conv2d'})
    return nn.SequentialCell([first, norm, nn.ReLU(), last])

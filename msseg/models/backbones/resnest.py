"""ResNeSt: a ResNet of blocks with split attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.backbones.resnet import ResNetV1d
from msseg.models.backbones.resnext import Groups
from msseg.models.builder import BACKBONES
from msseg.models.layers import AvgPool2d, Bottleneck, build_conv_layer, build_norm_layer
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Range, checked
from msseg.utils.errors import ArgumentError

_LEAST_CHANNELS = 32


class SplitAttentionConv2d(nn.Cell):
    """Convolution into `radix` maps, which are added with weights for each channel.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Zero pixels added on each side.
        dilation: Distance between the kernel's taps.
        groups: Groups of channels.
        radix: Number of maps.
        reduction_factor: The attention's layers have this many times fewer channels than the maps.
        conv_cfg: See `build_conv_layer`, for the first convolution.
        norm_cfg: See `build_norm_layer`.

    Source: Zhang et al., ResNeSt (2020), section 3.1; MMSegmentation 0.30
    ``SplitAttentionConv2d``, whose parameter names it keeps.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        radix: int = 2,
        reduction_factor: int = 4,
        conv_cfg: dict | None = None,
        norm_cfg: Mapping = BN,
    ) -> None:
        super().__init__()
        self.radix, self.groups = radix, groups
        self.maps_channels = channels * radix
        inner = max(in_channels * radix // reduction_factor, _LEAST_CHANNELS)
        if inner % groups:
            expected = f'a divisor of the {inner} channels of the attention'
            raise ArgumentError(key='groups', got=groups, expected=expected, who='ResNeSt')
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            self.maps_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups * radix,
            bias=False,
        )
        self.norm0_name, norm = build_norm_layer(norm_cfg, self.maps_channels, 0)
        setattr(self, self.norm0_name, norm)
        self.relu = nn.ReLU()
        self.fc1 = build_conv_layer(None, channels, inner, 1, groups=groups)
        self.norm1_name, norm = build_norm_layer(norm_cfg, inner, 1)
        setattr(self, self.norm1_name, norm)
        self.fc2 = build_conv_layer(None, inner, self.maps_channels, 1, groups=groups)
        self.mean = ops.ReduceMean(keep_dims=True)
        self.split = ops.Split(1, radix)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, channels, h', w') for (n, in_channels, h, w)."""
        x = self.relu(getattr(self, self.norm0_name)(self.conv(x)))
        if self.radix == 1:
            return x * ops.sigmoid(self._attend(x))
        maps = self.split(x)
        weights = self._attend(_sum(maps)).reshape(-1, self.groups, self.radix, self.share)
        weights = ops.softmax(weights.transpose(0, 2, 1, 3), axis=1)
        weights = self.split(weights.reshape(-1, self.maps_channels, 1, 1))
        total = maps[0] * weights[0]
        for i in range(1, self.radix):
            total = total + maps[i] * weights[i]
        return total

    @property
    def share(self) -> int:
        """Channels of one group in one map."""
        return self.maps_channels // self.radix // self.groups

    def _attend(self, x: ms.Tensor) -> ms.Tensor:
        """Give the weights before their softmax, (n, channels * radix, 1, 1)."""
        x = self.fc1(self.mean(x, (2, 3)))
        return self.fc2(self.relu(getattr(self, self.norm1_name)(x)))


def _sum(maps: tuple[ms.Tensor, ...]) -> ms.Tensor:
    total = maps[0]
    for i in range(1, len(maps)):
        total = total + maps[i]
    return total


class SplitAttentionBottleneck(Bottleneck):
    """1x1 convolution, split attention and 1x1 convolution, with a shortcut.

    Args:
        **kwargs: See `Bottleneck`, and as further arguments of the 3x3 convolution
            ``avg_down_stride`` and those of `SplitAttentionConv2d`.

    Source: MMSegmentation 0.30, ``Bottleneck`` of its ResNeSt, whose parameter names it keeps.
    """

    def _add_layer(
        self, number: int, in_channels: int, out_channels: int, kernel_size: int, **options: Any
    ) -> None:
        if number != 2:
            super()._add_layer(number, in_channels, out_channels, kernel_size, **options)
            return
        stride = options.pop('stride')
        averages = options.pop('avg_down_stride') and stride > 1
        self.conv2 = SplitAttentionConv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=1 if averages else stride,
            conv_cfg=self.conv_cfg,
            norm_cfg=self.norm_cfg,
            **options,
        )
        self.pool = AvgPool2d(out_channels, 3, stride, 1) if averages else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(getattr(self, self.norm1_name)(self.conv1(x)))
        y = self.conv2(y)
        if self.pool is not None:
            y = self.pool(y)
        y = getattr(self, self.norm3_name)(self.conv3(y))
        return self.relu(y + shortcut)


@BACKBONES.register_module()
class ResNeSt(ResNetV1d):
    """ResNeSt of 50, 101, 152 or 200 layers.

    Args:
        groups: Groups of channels of the blocks' 3x3 convolutions.
        base_width: With groups, channels of a group in the first stage; every further stage has
            twice as many.
        radix: Number of maps that the attention chooses from.
        reduction_factor: The attention's layers have this many times fewer channels than the maps.
        avg_down_stride: Whether blocks step by averaging pixels after the attention, rather than in
            the 3x3 convolution.
        zero_init_residual: Whether residual blocks start as the identity. In MMSegmentation it has
            no effect here, hence the default.
        **kwargs: See `ResNetV1d`.

    Source: Zhang et al., ResNeSt: Split-Attention Networks (2020); MMSegmentation 0.30 ``ResNeSt``.

    Examples:
        >>> backbone = ResNeSt(depth=50, stem_channels=8, base_channels=4, num_stages=1,
        ...                    strides=[1], dilations=[1], out_indices=[0])
        >>> backbone.layer1[0].conv2.fc2.weight.shape
        (8, 32, 1, 1)
    """

    blocks = {
        50: (SplitAttentionBottleneck, (3, 4, 6, 3)),
        101: (SplitAttentionBottleneck, (3, 4, 23, 3)),
        152: (SplitAttentionBottleneck, (3, 8, 36, 3)),
        200: (SplitAttentionBottleneck, (3, 24, 36, 3)),
    }

    @checked
    def __init__(
        self,
        groups: Groups = 1,
        base_width: Groups = 4,
        radix: Annotated[int, Range(1, 16)] = 2,
        reduction_factor: Groups = 4,
        avg_down_stride: bool = True,
        zero_init_residual: bool = False,
        **kwargs: Any,
    ) -> None:
        # before the base class builds the blocks
        self.groups, self.base_width = groups, base_width
        self.attention = {
            'groups': groups,
            'radix': radix,
            'reduction_factor': reduction_factor,
            'avg_down_stride': avg_down_stride,
        }
        super().__init__(zero_init_residual=zero_init_residual, **kwargs)

    def _block_options(self, channels: int) -> dict[str, Any]:
        width = channels
        if self.groups > 1:
            width = self.base_width * channels // self.base_channels * self.groups
        return {'width': width, **self.attention}

"""Residual blocks of ResNet and HRNet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.models.layers.conv import build_conv_layer
from msseg.models.layers.norm import BN, build_norm_layer
from msseg.models.layers.pooling import BlockAvgPool2d
from msseg.utils.layer_traits import traits_of
from msseg.utils.logging import warn_once


class ResidualBlock(nn.Cell):
    """Base of residual blocks: convolutions ``conv1`` …, each with a norm, and a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Base of the channels: the output has `expansion` times as many.
        stride: Step of the first 3x3 convolution, or with style ``'caffe'`` of the first one.
        downsample: The shortcut; None keeps the input as it is.
        with_cp: Recompute the block in the backward pass, to save memory.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        dilation: Distance between the taps of the first 3x3 convolution.
        style: ``'pytorch'`` or ``'caffe'``.
        width: Channels inside; by default `channels`.
        **spatial: Further arguments of the first 3x3 convolution, such as ``groups``.

    Source: He et al., Deep Residual Learning (2015), section 3; MMSegmentation 0.30 ``ResNet``,
    whose parameter names it keeps.
    """

    expansion: int
    kernel_sizes: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Cell | None = None,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: Mapping = BN,
        dilation: int = 1,
        style: str = 'pytorch',
        width: int | None = None,
        **spatial: Any,
    ) -> None:
        super().__init__()
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg
        self.num_layers = len(self.kernel_sizes)
        width = channels if width is None else width
        middle = self.kernel_sizes.index(3)
        strided = 0 if style == 'caffe' else middle
        for i, kernel_size in enumerate(self.kernel_sizes):
            out_channels = channels * self.expansion if i == self.num_layers - 1 else width
            options = {'stride': stride if i == strided else 1, 'padding': kernel_size // 2}
            if i == middle:
                options |= {'padding': dilation, 'dilation': dilation, **spatial}
            self._add_layer(i + 1, in_channels, out_channels, kernel_size, **options)
            in_channels = out_channels
        self.relu = nn.ReLU()
        self.downsample = downsample
        if with_cp:
            recompute_without_norms(self)

    def _add_layer(
        self, number: int, in_channels: int, out_channels: int, kernel_size: int, **options: Any
    ) -> None:
        conv = build_conv_layer(
            self.conv_cfg, in_channels, out_channels, kernel_size, bias=False, **options
        )
        setattr(self, f'conv{number}', conv)
        self._add_norm(number, out_channels)

    def _add_norm(self, number: int, channels: int) -> None:
        name, norm = build_norm_layer(self.norm_cfg, channels, number)
        setattr(self, f'norm{number}_name', name)
        setattr(self, name, norm)

    @property
    def last_norm(self) -> nn.Cell:
        """The normalisation before the sum."""
        return getattr(self, getattr(self, f'norm{self.num_layers}_name'))


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions and a shortcut; see `ResidualBlock`."""

    expansion = 1
    kernel_sizes = (3, 3)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(getattr(self, self.norm1_name)(self.conv1(x)))
        y = getattr(self, self.norm2_name)(self.conv2(y))
        return self.relu(y + shortcut)


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; see `ResidualBlock`."""

    expansion = 4
    kernel_sizes = (1, 3, 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(getattr(self, self.norm1_name)(self.conv1(x)))
        y = self.relu(getattr(self, self.norm2_name)(self.conv2(y)))
        y = getattr(self, self.norm3_name)(self.conv3(y))
        return self.relu(y + shortcut)


def make_res_layer(
    block: type[ResidualBlock],
    in_channels: int,
    channels: int,
    num_blocks: int,
    stride: int = 1,
    dilations: Sequence[int] | None = None,
    avg_down: bool = False,
    **options: Any,
) -> nn.SequentialCell:
    """Chain residual blocks; the first changes size and channels where needed.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        in_channels: Channels of the input.
        channels: The blocks' channels; the output has ``block.expansion`` times as many.
        num_blocks: Number of blocks.
        stride: Step of the first block.
        dilations: Dilation of each block; by default 1.
        avg_down: Whether the shortcut averages pixels, rather than leaving out some.
        **options: See `ResidualBlock`.
    """
    out_channels = channels * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        conv_cfg, norm_cfg = options.get('conv_cfg'), options.get('norm_cfg', BN)
        step = 1 if avg_down else stride
        layers = [
            build_conv_layer(conv_cfg, in_channels, out_channels, 1, stride=step, bias=False),
            build_norm_layer(norm_cfg, out_channels)[1],
        ]
        if avg_down:
            layers.insert(0, _average_pool(stride))
        downsample = nn.SequentialCell(*layers)
    dilations = [1] * num_blocks if dilations is None else dilations
    blocks = [block(in_channels, channels, stride, downsample, dilation=dilations[0], **options)]
    blocks.extend(
        block(out_channels, channels, dilation=dilations[i], **options)
        for i in range(1, num_blocks)
    )
    return nn.SequentialCell(*blocks)


def _average_pool(stride: int) -> nn.Cell:
    """Average windows of `stride` pixels, those at the border over fewer."""
    if stride == 1:
        return nn.Identity()
    return BlockAvgPool2d(stride)


def recompute_without_norms(cell: nn.Cell) -> None:
    """Recompute a cell's activations in the backward pass, but not those of its batch norms.

    Recomputing a batch norm would update its running statistics a second time (MindSpore 2.7 to
    2.10, as in PyTorch). In PYNATIVE mode that cannot be prevented, so nothing is recomputed there.
    """
    if ms.get_context('mode') == ms.PYNATIVE_MODE:
        warn_once('with_cp has no effect in PYNATIVE mode; use graph mode to save memory')
        return
    cell.recompute()
    cell.recomputes = True  # MindSpore 2.8 has no public way to ask a cell for it
    for _, layer in cell.cells_and_names():
        # norms made of elementary operators have no such operator, and update only once
        if traits_of(layer).keeps_statistics and hasattr(layer, 'bn_train'):
            layer.bn_train.recompute(False)

"""Residual blocks of ResNet and HRNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.models.layers.conv import build_conv_layer
from msseg.models.layers.norm import BN, build_norm_layer
from msseg.utils.layer_traits import traits_of
from msseg.utils.logging import warn_once


class ResidualBlock(nn.Cell):
    """Base of residual blocks: convolutions ``conv1`` …, each with a norm, and a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Channels inside; the output has `expansion` times as many.
        stride: Step of the first 3x3 convolution.
        downsample: The shortcut; None keeps the input as it is.
        with_cp: Recompute the block in the backward pass, to save memory.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.

    Source: He et al., Deep Residual Learning (2015), section 3; names of MMSegmentation's ResNet.
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
    ) -> None:
        super().__init__()
        strided = self.kernel_sizes.index(3)
        for i, kernel_size in enumerate(self.kernel_sizes):
            is_last = i == len(self.kernel_sizes) - 1
            width = channels * self.expansion if is_last else channels
            conv = build_conv_layer(
                conv_cfg,
                in_channels,
                width,
                kernel_size,
                stride=stride if i == strided else 1,
                padding=kernel_size // 2,
                bias=False,
            )
            setattr(self, f'conv{i + 1}', conv)
            setattr(self, f'bn{i + 1}', build_norm_layer(norm_cfg, width)[1])
            in_channels = width
        self.relu = nn.ReLU()
        self.downsample = downsample
        if with_cp:
            recompute_without_norms(self)

    @property
    def last_norm(self) -> nn.Cell:
        """The normalisation before the sum."""
        return getattr(self, f'bn{len(self.kernel_sizes)}')


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions and a shortcut; see `ResidualBlock`."""

    expansion = 1
    kernel_sizes = (3, 3)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + shortcut)


class Bottleneck(ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; see `ResidualBlock`."""

    expansion = 4
    kernel_sizes = (1, 3, 1)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + shortcut)


def make_res_layer(
    block: type[ResidualBlock],
    in_channels: int,
    channels: int,
    num_blocks: int,
    stride: int = 1,
    **options: Any,
) -> nn.SequentialCell:
    """Chain residual blocks; the first changes size and channels where needed.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        in_channels: Channels of the input.
        channels: The blocks' channels; the output has ``block.expansion`` times as many.
        num_blocks: Number of blocks.
        stride: Step of the first block.
        **options: See `ResidualBlock`.
    """
    out_channels = channels * block.expansion
    downsample = None
    if stride != 1 or in_channels != out_channels:
        conv_cfg, norm_cfg = options.get('conv_cfg'), options.get('norm_cfg', BN)
        downsample = nn.SequentialCell(
            build_conv_layer(conv_cfg, in_channels, out_channels, 1, stride=stride, bias=False),
            build_norm_layer(norm_cfg, out_channels)[1],
        )
    blocks = [block(in_channels, channels, stride, downsample, **options)]
    blocks.extend(block(out_channels, channels, **options) for _ in range(num_blocks - 1))
    return nn.SequentialCell(*blocks)


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

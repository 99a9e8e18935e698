"""Residual blocks of ResNet and HRNet."""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
from mindspore import nn

from msseg.models.layers.conv import build_conv_layer
from msseg.models.layers.norm import BN, build_norm_layer
from msseg.models.layers.recompute import recompute_without_norms


class BasicBlock(nn.Cell):
    """Two 3x3 convolutions and a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Channels of both convolutions and of the output.
        stride: Step of the first convolution.
        downsample: The shortcut; None keeps the input as it is.
        with_cp: Recompute the block in the backward pass, to save memory.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.

    Source: He et al., Deep Residual Learning (2015), section 3; names of MMSegmentation's ResNet.
    """

    expansion = 1

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
        self.conv1 = build_conv_layer(
            conv_cfg, in_channels, channels, 3, stride=stride, padding=1, bias=False
        )
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.conv2 = build_conv_layer(conv_cfg, channels, channels, 3, padding=1, bias=False)
        self.bn2 = build_norm_layer(norm_cfg, channels)[1]
        self.relu = nn.ReLU()
        self.downsample = downsample
        if with_cp:
            recompute_without_norms(self)

    @property
    def last_norm(self) -> nn.Cell:
        """The normalisation before the sum."""
        return self.bn2

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return self.relu(y + shortcut)


class Bottleneck(nn.Cell):
    """1x1, 3x3 and 1x1 convolutions, the last to four times the channels, and a shortcut.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the first two convolutions; the output has four times as many.
        stride: Step of the 3x3 convolution.
        downsample: The shortcut; None keeps the input as it is.
        with_cp: Recompute the block in the backward pass, to save memory.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.

    Source: as `BasicBlock`.
    """

    expansion = 4

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
        out_channels = channels * self.expansion
        self.conv1 = build_conv_layer(conv_cfg, in_channels, channels, 1, bias=False)
        self.bn1 = build_norm_layer(norm_cfg, channels)[1]
        self.conv2 = build_conv_layer(
            conv_cfg, channels, channels, 3, stride=stride, padding=1, bias=False
        )
        self.bn2 = build_norm_layer(norm_cfg, channels)[1]
        self.conv3 = build_conv_layer(conv_cfg, channels, out_channels, 1, bias=False)
        self.bn3 = build_norm_layer(norm_cfg, out_channels)[1]
        self.relu = nn.ReLU()
        self.downsample = downsample
        if with_cp:
            recompute_without_norms(self)

    @property
    def last_norm(self) -> nn.Cell:
        """The normalisation before the sum."""
        return self.bn3

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return self.relu(y + shortcut)


def make_res_layer(
    block: type[nn.Cell],
    in_channels: int,
    channels: int,
    num_blocks: int,
    stride: int = 1,
    with_cp: bool = False,
    conv_cfg: dict | None = None,
    norm_cfg: Mapping = BN,
) -> nn.SequentialCell:
    """Chain residual blocks; the first changes size and channels where needed.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        in_channels: Channels of the input.
        channels: The blocks' channels; the output has ``block.expansion`` times as many.
        num_blocks: How many.
        stride: Step of the first block.
        with_cp: Recompute the blocks in the backward pass, to save memory.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
    """
    out_channels = channels * block.expansion
    options = {'with_cp': with_cp, 'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
    downsample = None
    if stride != 1 or in_channels != out_channels:
        downsample = nn.SequentialCell(
            build_conv_layer(conv_cfg, in_channels, out_channels, 1, stride=stride, bias=False),
            build_norm_layer(norm_cfg, out_channels)[1],
        )
    blocks = [block(in_channels, channels, stride, downsample, **options)]
    blocks.extend(block(out_channels, channels, **options) for _ in range(num_blocks - 1))
    return nn.SequentialCell(*blocks)

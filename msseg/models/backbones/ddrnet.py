"""DDRNet, and the blocks that it shares with other two-branch networks of MMSegmentation 1.x."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    AdaptiveAvgPool2d,
    ConvModule,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    resize,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.models.layers.pooling import AvgPool2d
from msseg.utils.arguments import Channels, File, checked

_ORDER = ('norm', 'act', 'conv')
# Of the poolings of the context: kernel size, stride, padding.
_POOLS = ((5, 2, 2), (9, 4, 4), (17, 8, 8))


@BACKBONES.register_module()
class DDRNet(nn.Cell):
    """Deep dual-resolution network: two maps at an eighth of the image's size, rounded up.

    The first, of ``2 * channels`` channels, is the detail branch after its first exchange with the
    context branch, for an auxiliary head; the second, of ``4 * channels``, is the result.

    Args:
        in_channels: Channels of the image.
        channels: Base of the channels.
        ppm_channels: Channels inside of the pooling pyramid.
        align_corners: How the context's maps are enlarged.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`; of the convolutions inside of blocks.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Source: Hong et al., Deep Dual-resolution Networks (2021); MMSegmentation 1.2 ``DDRNet``, whose
    parameter names it keeps. Norms of all blocks are `norm_cfg`'s, where upstream's first blocks
    have a batch norm that is not synchronised.

    Examples:
        >>> DDRNet(channels=4, ppm_channels=4).out_channels
        [8, 16]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        channels: Channels = 32,
        ppm_channels: Channels = 128,
        align_corners: bool = False,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.align_corners = align_corners
        layers = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        linear = {'norm_cfg': norm_cfg, 'act_cfg': None}
        self.stem = nn.SequentialCell(make_stem(in_channels, channels, 2, make_layer, **layers))
        context, spatial = [], []
        for i in range(3):
            block, count = (PlainBlock, 2) if i < 2 else (PlainBottleneck, 1)
            width = channels * (8 if i else 4)
            before = channels * 2 ** (i + 1)
            context.append(make_layer(block, before, width, count, 2, **layers))
            width = channels * 2
            spatial.append(make_layer(block, width, width, count, **layers))
        self.context_branch_layers = nn.CellList(context)
        self.spatial_branch_layers = nn.CellList(spatial)
        self.compression_1 = ConvModule(channels * 4, channels * 2, 1, **linear)
        self.compression_2 = ConvModule(channels * 8, channels * 2, 1, **linear)
        step = {'stride': 2, 'padding': 1}
        self.down_1 = ConvModule(channels * 2, channels * 4, 3, **step, **linear)
        self.down_2 = nn.SequentialCell(
            ConvModule(channels * 2, channels * 4, 3, **step, **layers),
            ConvModule(channels * 4, channels * 8, 3, **step, **linear),
        )
        self.spp = DAPPM(channels * 16, ppm_channels, channels * 4, **layers)
        self.relu = nn.ReLU()
        self.out_channels = [channels * 2, channels * 4]
        self.pretrained = pretrained
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Give the two maps for an (n, in_channels, h, w) image of any size."""
        x = self.stem(image)
        context = self.context_branch_layers[0](x)
        details = self.spatial_branch_layers[0](x)
        size = details.shape[2:]
        compressed = self.compression_1(self.relu(context))
        context = context + self.down_1(self.relu(details))
        details = details + resize(compressed, size, self.align_corners)
        first = details
        context = self.context_branch_layers[1](self.relu(context))
        details = self.spatial_branch_layers[1](self.relu(details))
        compressed = self.compression_2(self.relu(context))
        context = context + self.down_2(self.relu(details))
        details = details + resize(compressed, size, self.align_corners)
        details = self.spatial_branch_layers[2](self.relu(details))
        context = self.spp(self.context_branch_layers[2](self.relu(context)))
        return first, details + resize(context, size, self.align_corners)


class PlainBlock(nn.Cell):
    """Two 3x3 convolutions and a shortcut, with an activation at the end or without.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the output.
        stride: Step of the first convolution.
        downsample: The shortcut; None keeps the input as it is.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        act_cfg_out: The activation at the end; None for none.

    Source: MMSegmentation 1.2 ``BasicBlock``.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Cell | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        act_cfg_out: Mapping | None = RELU,
    ) -> None:
        super().__init__()
        self.conv1 = ConvModule(
            in_channels, channels, 3, stride, 1, norm_cfg=norm_cfg, act_cfg=act_cfg
        )
        self.conv2 = ConvModule(channels, channels, 3, 1, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.downsample = nn.Identity() if downsample is None else downsample
        self.act = nn.Identity() if act_cfg_out is None else build_activation_layer(act_cfg_out)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        return self.act(self.conv2(self.conv1(x)) + self.downsample(x))


class PlainBottleneck(nn.Cell):
    """1x1, 3x3 and 1x1 convolutions and a shortcut; see `PlainBlock`.

    Args:
        in_channels: Channels of the input.
        channels: Channels inside; the output has twice as many.
        stride: Step of the second convolution.
        downsample: The shortcut; None keeps the input as it is.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        act_cfg_out: The activation at the end; None for none.

    Source: MMSegmentation 1.2 ``Bottleneck``.
    """

    expansion = 2

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Cell | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        act_cfg_out: Mapping | None = None,
    ) -> None:
        super().__init__()
        options = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.conv1 = ConvModule(in_channels, channels, 1, **options)
        self.conv2 = ConvModule(channels, channels, 3, stride, 1, **options)
        self.conv3 = ConvModule(channels, channels * 2, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.downsample = nn.Identity() if downsample is None else downsample
        self.act = nn.Identity() if act_cfg_out is None else build_activation_layer(act_cfg_out)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        return self.act(self.conv3(self.conv2(self.conv1(x))) + self.downsample(x))


class DAPPM(nn.Cell):
    """Pyramid of averages over growing windows, each refined together with the one before.

    Args:
        in_channels: Channels of the input.
        branch_channels: Channels of each scale.
        out_channels: Channels of the result.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.

    Source: as `DDRNet`; MMSegmentation 1.2 ``DAPPM`` with its five scales.
    """

    def __init__(
        self,
        in_channels: int,
        branch_channels: int,
        out_channels: int,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
    ) -> None:
        super().__init__()
        self.options = {'bias': False, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg, 'order': _ORDER}
        self.scales = nn.CellList([ConvModule(in_channels, branch_channels, 1, **self.options)])
        for pool in (*(AvgPool2d(in_channels, *each) for each in _POOLS), AdaptiveAvgPool2d(1)):
            conv = ConvModule(in_channels, branch_channels, 1, **self.options)
            self.scales.append(nn.SequentialCell(pool, conv))
        self._add_processes(branch_channels)
        total = branch_channels * len(self.scales)
        self.compression = ConvModule(total, out_channels, 1, **self.options)
        self.shortcut = ConvModule(in_channels, out_channels, 1, **self.options)

    def _add_processes(self, width: int) -> None:
        count = len(self.scales) - 1
        self.processes = nn.CellList(
            [ConvModule(width, width, 3, padding=1, **self.options) for _ in range(count)]
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, out_channels, h, w)."""
        size = x.shape[2:]
        last = self.scales[0](x)
        scales = (last,)
        for i in range(1, len(self.scales)):
            last = self.processes[i - 1](resize(self.scales[i](x), size) + last)
            scales = scales + (last,)
        return self.compression(ops.concat(scales, axis=1)) + self.shortcut(x)


def make_stem(
    in_channels: int, channels: int, num_blocks: int, make: Callable[..., nn.Cell], **layers: Any
) -> list[nn.Cell]:
    """Build the layers to an eighth of the image's size, with ``2 * channels`` channels.

    Args:
        in_channels: Channels of the image.
        channels: Channels of the first layers.
        num_blocks: Blocks of each of the two chains.
        make: Builds a chain; see `make_layer`.
        **layers: ``norm_cfg`` and ``act_cfg``.
    """
    return [
        ConvModule(in_channels, channels, 3, 2, 1, **layers),
        ConvModule(channels, channels, 3, 2, 1, **layers),
        make(PlainBlock, channels, channels, num_blocks, **layers),
        nn.ReLU(),
        make(PlainBlock, channels, channels * 2, num_blocks, 2, **layers),
        nn.ReLU(),
    ]


def make_shortcut(
    in_channels: int, out_channels: int, stride: int, norm_cfg: Mapping
) -> nn.SequentialCell:
    """Build a 1x1 convolution and a norm."""
    return nn.SequentialCell(
        build_conv_layer(None, in_channels, out_channels, 1, stride=stride, bias=False),
        build_norm_layer(norm_cfg, out_channels)[1],
    )


def make_layer(
    block: type[PlainBlock] | type[PlainBottleneck],
    in_channels: int,
    channels: int,
    num_blocks: int,
    stride: int = 1,
    norm_cfg: Mapping = BN,
    act_cfg: Mapping = RELU,
    make_shortcut: Callable[..., nn.Cell] = make_shortcut,
) -> nn.SequentialCell:
    """Chain blocks; the last of several ends without an activation.

    Args:
        block: `PlainBlock` or `PlainBottleneck`.
        in_channels: Channels of the input.
        channels: The blocks' channels; the output has ``block.expansion`` times as many.
        num_blocks: Number of blocks.
        stride: Step of the first block.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        make_shortcut: Builds the shortcut of a first block that changes size or channels.
    """
    options = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
    width = channels * block.expansion
    downsample = None
    if stride != 1 or in_channels != width:
        downsample = make_shortcut(in_channels, width, stride, norm_cfg)
    blocks = [block(in_channels, channels, stride, downsample, **options)]
    for i in range(1, num_blocks):
        last = None if i == num_blocks - 1 else act_cfg
        blocks.append(block(width, channels, **options, act_cfg_out=last))
    return nn.SequentialCell(*blocks)

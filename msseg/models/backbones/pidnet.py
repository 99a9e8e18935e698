"""PIDNet: three branches, one of them for boundaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

import mindspore as ms
from mindspore import nn, ops

from msseg.models.backbones.ddrnet import (
    DAPPM,
    PlainBlock,
    PlainBottleneck,
    make_layer,
    make_stem,
)
from msseg.models.builder import BACKBONES
from msseg.models.layers import ConvModule, resize
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, File, Range, checked

Count = Annotated[int, Range(1, 255)]


@BACKBONES.register_module()
class PIDNet(nn.Cell):
    """PIDNet: three maps at an eighth of the image's size, rounded up.

    The first comes from the branch for details (P), the second from that for boundaries (D), both
    of ``2 * channels`` channels and for auxiliary losses. The third, of ``4 * channels``, is the
    result.

    Args:
        in_channels: Channels of the image.
        channels: Base of the channels.
        ppm_channels: Channels inside of the pooling pyramid.
        num_stem_blocks: Blocks of the stem and of the branch for details. 2 is the small network,
            with light layers; other numbers have the large ones.
        num_branch_blocks: Blocks of the branch for context (I).
        align_corners: How maps are enlarged.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Source: Xu et al., PIDNet (2022); MMSegmentation 1.2 ``PIDNet``, whose parameter names it keeps.
    All norms are `norm_cfg`'s, where those of upstream's blocks are not synchronised.

    Examples:
        >>> PIDNet(channels=4, ppm_channels=4).out_channels
        [8, 8, 16]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        channels: Channels = 64,
        ppm_channels: Channels = 96,
        num_stem_blocks: Count = 2,
        num_branch_blocks: Count = 3,
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
        chain = partial(make_layer, make_shortcut=_shortcut)
        width = channels * 2
        stem = make_stem(in_channels, channels, num_stem_blocks, chain, **layers)
        self.stem = nn.SequentialCell(stem)
        self.relu = nn.ReLU()
        context, details = [], []
        for i in range(3):
            block = PlainBlock if i < 2 else PlainBottleneck
            before, inside = channels * 2 ** (i + 1), channels * (8 if i else 4)
            count = num_branch_blocks if i < 2 else 2
            context.append(chain(block, before, inside, count, 2, **layers))
            count = num_stem_blocks if i < 2 else 1
            details.append(chain(block, width, width, count, **layers))
        self.i_branch_layers = nn.CellList(context)
        self.p_branch_layers = nn.CellList(details)
        self.compression_1 = ConvModule(channels * 4, width, 1, **linear)
        self.compression_2 = ConvModule(channels * 8, width, 1, **linear)
        self.pag_1 = PagFM(width, channels, norm_cfg)
        self.pag_2 = PagFM(width, channels, norm_cfg)
        is_small = num_stem_blocks == 2
        first = channels if is_small else width
        branch = [_block(width, first, **layers)]
        if is_small:
            branch.append(chain(PlainBottleneck, channels, channels, 1, **layers))
        else:
            branch.append(_block(width, width, **layers))
        branch.append(chain(PlainBottleneck, width, width, 1, **layers))
        self.d_branch_layers = nn.CellList(branch)
        self.diff_1 = ConvModule(channels * 4, first, 3, padding=1, **linear)
        self.diff_2 = ConvModule(channels * 8, width, 3, padding=1, **linear)
        pyramid = PAPPM if is_small else DAPPM
        self.spp = pyramid(channels * 16, ppm_channels, channels * 4, **layers)
        self.dfm = LightBag(channels * 4, norm_cfg) if is_small else Bag(channels * 4, **layers)
        self.out_channels = [width, width, channels * 4]
        self.pretrained = pretrained
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
        """Give the three maps for an (n, in_channels, h, w) image of any size."""
        x = self.stem(image)
        context = self.relu(self.i_branch_layers[0](x))
        details = self.p_branch_layers[0](x)
        boundary = self.d_branch_layers[0](x)
        size = details.shape[2:]
        details = self.pag_1(details, self.compression_1(context))
        boundary = boundary + resize(self.diff_1(context), size, self.align_corners)
        first_details = details
        context = self.relu(self.i_branch_layers[1](context))
        details = self.p_branch_layers[1](self.relu(details))
        boundary = self.d_branch_layers[1](self.relu(boundary))
        details = self.pag_2(details, self.compression_2(context))
        boundary = boundary + resize(self.diff_2(context), size, self.align_corners)
        first_boundary = boundary
        context = self.spp(self.i_branch_layers[2](context))
        details = self.p_branch_layers[2](self.relu(details))
        boundary = self.d_branch_layers[2](self.relu(boundary))
        context = resize(context, size, self.align_corners)
        return first_details, first_boundary, self.dfm(details, context, boundary)


class PagFM(nn.Cell):
    """Mix details and context by their similarity in each pixel.

    Args:
        in_channels: Channels of both.
        channels: Channels in which they are compared.
        norm_cfg: See `build_norm_layer`.
    """

    def __init__(self, in_channels: int, channels: int, norm_cfg: Mapping = BN) -> None:
        super().__init__()
        self.f_i = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.f_p = ConvModule(in_channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.sum = ops.ReduceSum(keep_dims=True)

    def construct(self, details: ms.Tensor, context: ms.Tensor) -> ms.Tensor:
        """Give (n, in_channels, h, w) of the details' size."""
        size = details.shape[2:]
        similarity = self.f_p(details) * resize(self.f_i(context), size)
        share = ops.sigmoid(self.sum(similarity, 1))
        return share * resize(context, size) + (1.0 - share) * details


class Bag(nn.Cell):
    """Take details where there are boundaries, else context, and convolve.

    Args:
        channels: Channels of all maps.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
    """

    def __init__(self, channels: int, norm_cfg: Mapping = BN, act_cfg: Mapping = RELU) -> None:
        super().__init__()
        layers = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg, 'order': ('norm', 'act', 'conv')}
        self.conv = ConvModule(channels, channels, 3, padding=1, **layers)

    def construct(self, details: ms.Tensor, context: ms.Tensor, boundary: ms.Tensor) -> ms.Tensor:
        """Give (n, channels, h, w) for three such maps."""
        share = ops.sigmoid(boundary)
        return self.conv(share * details + (1.0 - share) * context)


class LightBag(nn.Cell):
    """The same by two 1x1 convolutions.

    Args:
        channels: Channels of all maps.
        norm_cfg: See `build_norm_layer`.
    """

    def __init__(self, channels: int, norm_cfg: Mapping = BN) -> None:
        super().__init__()
        self.f_p = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)
        self.f_i = ConvModule(channels, channels, 1, norm_cfg=norm_cfg, act_cfg=None)

    def construct(self, details: ms.Tensor, context: ms.Tensor, boundary: ms.Tensor) -> ms.Tensor:
        """Give (n, channels, h, w) for three such maps."""
        share = ops.sigmoid(boundary)
        return self.f_p((1.0 - share) * context + details) + self.f_i(context + share * details)


class PAPPM(DAPPM):
    """`DAPPM` whose scales are refined at once, by one grouped convolution."""

    def _add_processes(self, width: int) -> None:
        groups = len(self.scales) - 1
        total = width * groups
        self.processes = ConvModule(total, total, 3, padding=1, groups=groups, **self.options)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, out_channels, h, w)."""
        size = x.shape[2:]
        first = self.scales[0](x)
        scales = ()
        for i in range(1, len(self.scales)):
            scales = scales + (resize(self.scales[i](x), size) + first,)
        refined = self.processes(ops.concat(scales, axis=1))
        return self.compression(ops.concat((first, refined), axis=1)) + self.shortcut(x)


def _shortcut(in_channels: int, out_channels: int, stride: int, norm_cfg: Mapping) -> ConvModule:
    return ConvModule(in_channels, out_channels, 1, stride, norm_cfg=norm_cfg, act_cfg=None)


def _block(in_channels: int, channels: int, norm_cfg: Mapping, act_cfg: Mapping) -> PlainBlock:
    """Build a block that ends without an activation."""
    shortcut = None
    if in_channels != channels:
        shortcut = _shortcut(in_channels, channels, 1, norm_cfg)
    return PlainBlock(in_channels, channels, 1, shortcut, norm_cfg, act_cfg, act_cfg_out=None)

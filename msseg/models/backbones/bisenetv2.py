"""BiSeNetV2: a wide, shallow branch for details and a narrow, deep one for context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    ConvModule,
    DepthwiseSeparableConvModule,
    build_activation_layer,
    build_norm_layer,
    resize,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, Length, NonEmpty, Range, checked


@BACKBONES.register_module()
class BiSeNetV2(nn.Cell):
    """BiSeNetV2's encoder: the fused map and the maps of the semantic branch, for boosters.

    With the default channels the maps are: 0, both branches fused, 1/8 of the image's size; 1 to 4,
    the stages of the semantic branch, 1/4, 1/8, 1/16 and 1/32.

    Args:
        in_channels: Channels of the image.
        detail_channels: Channels of the stages of the detail branch, each half the size of the one
            before.
        semantic_channels: Channels of the stages of the semantic branch, one more than of details;
            the first starts at a quarter of the size.
        semantic_expansion_ratio: Factor of the channels inside of its layers.
        bga_channels: Channels of the fused map; those of either branch's last stage.
        out_indices: Indices of the maps to give, in this order.
        align_corners: How the fusion resizes.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: Channels or indices that do not fit each other.

    Source: Yu et al., BiSeNet V2 (2020), arXiv:2004.02147; MMSegmentation 0.30 ``BiSeNetV2``, whose
    parameter names it keeps. There `conv_cfg`, `norm_cfg` and `act_cfg` have no influence.

    Examples:
        >>> backbone = BiSeNetV2(out_indices=(0, 4))
        >>> backbone.out_channels
        [128, 128]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        detail_channels: NonEmpty[Channels] = (64, 64, 128),
        semantic_channels: Annotated[Sequence[Channels], Length(2)] = (16, 32, 64, 128),
        semantic_expansion_ratio: Annotated[int, Range(1, 255)] = 6,
        bga_channels: Channels = 128,
        out_indices: NonEmpty[Annotated[int, Range(0, 255)]] = (0, 1, 2, 3, 4),
        align_corners: bool = False,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        _check_channels(detail_channels, semantic_channels, bga_channels)
        channels = [bga_channels, *semantic_channels]
        if max(out_indices) >= len(channels):
            raise ValueError(
                f'BiSeNetV2: out_indices is {tuple(out_indices)!r}, expected indices of the '
                f'{len(channels)} maps, 0 to {len(channels) - 1}'
            )
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.out_channels = [channels[i] for i in out_indices]
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.detail = DetailBranch(detail_channels, in_channels, **options)
        self.semantic = SemanticBranch(
            semantic_channels, in_channels, semantic_expansion_ratio, **options
        )
        self.bga = BGALayer(bga_channels, align_corners, **options)
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps for an (n, c, h, w) image of any size."""
        semantic = self.semantic(image)
        maps = (self.bga(self.detail(image), semantic[-1]),) + semantic[:-1]
        chosen = ()
        for i in self.out_indices:
            chosen = chosen + (maps[i],)
        return chosen


def _check_channels(details: Sequence[int], semantics: Sequence[int], fused: int) -> None:
    if len(semantics) != len(details) + 1:
        raise ValueError(
            f'BiSeNetV2: semantic_channels is {tuple(semantics)!r}, expected {len(details) + 1} '
            f'numbers, one more than detail_channels ({tuple(details)!r})'
        )
    if semantics[0] < 2:
        raise ValueError(f'BiSeNetV2: semantic_channels[0] is {semantics[0]}, expected at least 2')
    for name, value in (('detail_channels', details), ('semantic_channels', semantics)):
        if value[-1] != fused:
            raise ValueError(
                f'BiSeNetV2: {name} is {tuple(value)!r}, expected bga_channels ({fused}) last: the '
                'branches are multiplied'
            )


class DetailBranch(nn.Cell):
    """Stages of 3x3 convolutions, each of which halves the size; see `BiSeNetV2`."""

    def __init__(self, detail_channels: Sequence[int], in_channels: int, **options: Any) -> None:
        super().__init__()
        stages = []
        for i, width in enumerate(detail_channels):
            convs = [ConvModule(in_channels, width, 3, 2, 1, **options)]
            convs.extend(ConvModule(width, width, 3, 1, 1, **options) for _ in range(2 if i else 1))
            stages.append(nn.SequentialCell(convs))
            in_channels = width
        self.detail_branch = nn.CellList(stages)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the stages to an (n, c, h, w) image."""
        for stage in self.detail_branch:
            x = stage(x)
        return x


class SemanticBranch(nn.Cell):
    """Stem, gather-and-expansion stages and context embedding; see `BiSeNetV2`."""

    def __init__(
        self, semantic_channels: Sequence[int], in_channels: int, exp_ratio: int, **options: Any
    ) -> None:
        super().__init__()
        last = len(semantic_channels)
        self.stage1 = StemBlock(in_channels, semantic_channels[0], **options)
        for i in range(1, last):
            before, width = semantic_channels[i - 1 : i + 1]
            layers = [GELayer(before, width, exp_ratio, 2, **options)]
            layers.extend(
                GELayer(width, width, exp_ratio, 1, **options)
                for _ in range(3 if i == last - 1 else 1)
            )
            setattr(self, f'stage{i + 1}', nn.SequentialCell(layers))
        width = semantic_channels[-1]
        setattr(self, f'stage{last}_CEBlock', CEBlock(width, width, **options))
        self.stage_names = [f'stage{i + 1}' for i in range(last)] + [f'stage{last}_CEBlock']

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the map of each stage, and of the context embedding, for an (n, c, h, w) image."""
        maps = ()
        for name in self.stage_names:
            x = getattr(self, name)(x)
            maps = maps + (x,)
        return maps


class StemBlock(nn.Cell):
    """A quarter of the size, by convolutions and by max pooling; the paper's figure 5a."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        half = out_channels // 2
        self.conv_first = ConvModule(in_channels, out_channels, 3, 2, 1, **options)
        self.convs = nn.SequentialCell(
            ConvModule(out_channels, half, 1, **options),
            ConvModule(half, out_channels, 3, 2, 1, **options),
        )
        self.pool = nn.MaxPool2d(3, 2, pad_mode='pad', padding=1)
        self.fuse_last = ConvModule(out_channels * 2, out_channels, 3, 1, 1, **options)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the layers to (n, c, h, w)."""
        x = self.conv_first(x)
        return self.fuse_last(ops.concat((self.convs(x), self.pool(x)), axis=1))


class GELayer(nn.Cell):
    """Gather-and-expansion layer: 3x3, depthwise, 1x1, and a shortcut; the paper's figure 5.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; those of the input if `stride` is 1.
        exp_ratio: Factor of the channels inside.
        stride: 1 or 2.
        **options: Layers of `ConvModule`.
    """

    def __init__(
        self, in_channels: int, out_channels: int, exp_ratio: int, stride: int, **options: Any
    ) -> None:
        super().__init__()
        inner = in_channels * exp_ratio
        linear = {**options, 'act_cfg': None}
        self.conv1 = ConvModule(in_channels, in_channels, 3, 1, 1, **options)
        first = {'groups': in_channels, **(options if stride == 1 else linear)}
        depthwise = [ConvModule(in_channels, inner, 3, stride, 1, **first)]
        self.shortcut = None
        if stride != 1:
            depthwise.append(ConvModule(inner, inner, 3, 1, 1, groups=inner, **options))
            self.shortcut = nn.SequentialCell(
                DepthwiseSeparableConvModule(in_channels, out_channels, 3, stride, 1, **linear)
            )
        self.dwconv = nn.SequentialCell(depthwise)
        self.conv2 = nn.SequentialCell(ConvModule(inner, out_channels, 1, **linear))
        self.act = build_activation_layer(options['act_cfg'])

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the layer to (n, c, h, w)."""
        shortcut = x if self.shortcut is None else self.shortcut(x)
        return self.act(self.conv2(self.dwconv(self.conv1(x))) + shortcut)


class CEBlock(nn.Cell):
    """Context embedding: the image's mean is added to every pixel; the paper's figure 5b."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        norm = build_norm_layer(options['norm_cfg'], in_channels)[1]
        self.gap = nn.SequentialCell(AdaptiveAvgPool2d(1), norm)
        self.conv_gap = ConvModule(in_channels, out_channels, 1, **options)
        self.conv_last = ConvModule(out_channels, out_channels, 3, 1, 1, **options)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        return self.conv_last(x + self.conv_gap(self.gap(x)))


class BGALayer(nn.Cell):
    """Bilateral guided aggregation: each branch gates the other; the paper's figure 6.

    Args:
        channels: Channels of both inputs and of the output.
        align_corners: How maps are resized.
        **options: Layers of `ConvModule`.
    """

    def __init__(self, channels: int, align_corners: bool, **options: Any) -> None:
        super().__init__()
        self.align_corners = align_corners
        linear = {**options, 'act_cfg': None}
        separable = {**linear, 'pw_norm_cfg': None}
        sizes = (channels, channels, 3)
        self.detail_dwconv = nn.SequentialCell(
            DepthwiseSeparableConvModule(*sizes, 1, 1, **separable)
        )
        pool = AvgPool2d(channels, 3, 2, 1)
        self.detail_down = nn.SequentialCell(ConvModule(*sizes, 2, 1, **linear), pool)
        self.semantic_conv = nn.SequentialCell(ConvModule(*sizes, 1, 1, **linear))
        self.semantic_dwconv = nn.SequentialCell(
            DepthwiseSeparableConvModule(*sizes, 1, 1, **separable)
        )
        self.conv = ConvModule(*sizes, 1, 1, **options)

    def construct(self, detail: ms.Tensor, semantic: ms.Tensor) -> ms.Tensor:
        """Fuse (n, c, h, w) and (n, c, h', w'), a quarter as large, at the first one's size."""
        size = detail.shape[2:]
        gate = ops.sigmoid(resize(self.semantic_conv(semantic), size, self.align_corners))
        fine = self.detail_dwconv(detail) * gate
        coarse = self.detail_down(detail) * ops.sigmoid(self.semantic_dwconv(semantic))
        return self.conv(fine + resize(coarse, size, self.align_corners))

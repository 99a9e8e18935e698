"""Twins: PCPVT and SVT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import mindspore as ms
from mindspore import nn

from msseg.models.backbones.twins_layers import (
    ConditionalPositionEncoding,
    GSAEncoderLayer,
    LSAEncoderLayer,
)
from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    PatchEmbed,
    build_norm_layer,
    drop_path_rates,
    initialise_transformer,
    to_map,
)
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.transformer import LN, dropout
from msseg.utils.arguments import Channels, File, NonEmpty, PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

Counts = NonEmpty[PositiveInt]
Kernels = NonEmpty[Annotated[int, Range(1, 255)]]
Indices = NonEmpty[Annotated[int, Range(0, 15)]]


@BACKBONES.register_module()
class PCPVT(nn.Cell):
    """Twins-PCPVT: the maps of the chosen stages.

    Each stage merges patches and applies transformer layers, whose keys and values come from a
    smaller map. A convolution after the first layer tells patches their places.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of each stage. This list and the next five may be longer than `depths`.
        patch_sizes: Height and width of each stage's patches.
        strides: Step from patch to patch.
        num_heads: Attention heads of each stage.
        mlp_ratios: Channels inside of feed-forward networks, as a multiple of the stage's.
        out_indices: The stages, from 0, whose maps are given, in the stages' order.
        qkv_bias: Whether the projections of the attention have biases.
        drop_rate: Share of elements that is dropped after patches and projections in training.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        drop_path_rate: Share of samples whose branches the last layer drops in training, twice in a
            row as upstream; it rises in equal steps from 0 at the first.
        norm_cfg: The norms of patches and of `norm_after_stage`; see `build_norm_layer`. Those of
            the layers are ``LN``.
        depths: Layers of each stage.
        sr_ratios: How much smaller the map for keys and values is, of each stage.
        norm_after_stage: Whether a norm follows each stage.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default linear layers are truncated normal of deviation
            0.02 and convolutions Kaiming.

    Source: Chu et al., Twins (2021); MMSegmentation 0.30 ``PCPVT``, whose parameter names it keeps.

    Examples:
        >>> net = PCPVT(embed_dims=(4, 8), num_heads=(1, 2), depths=(1, 1), out_indices=(0, 1))
        >>> net.out_channels
        [4, 8]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        embed_dims: NonEmpty[Channels] = (64, 128, 256, 512),
        patch_sizes: Kernels = (4, 2, 2, 2),
        strides: Kernels = (4, 2, 2, 2),
        num_heads: Counts = (1, 2, 4, 8),
        mlp_ratios: Kernels = (4, 4, 4, 4),
        out_indices: Indices = (0, 1, 2, 3),
        qkv_bias: bool = False,
        drop_rate: Ratio = 0.0,
        attn_drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.0,
        norm_cfg: Mapping = LN,
        depths: Counts = (3, 4, 6, 3),
        sr_ratios: Kernels = (8, 4, 2, 1),
        norm_after_stage: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        lists = dict(embed_dims=embed_dims, patch_sizes=patch_sizes, strides=strides)
        lists |= dict(num_heads=num_heads, mlp_ratios=mlp_ratios, sr_ratios=sr_ratios)
        _check(type(self).__name__, len(depths), out_indices, lists)
        self.in_channels = in_channels
        self.out_indices = tuple(sorted(set(out_indices)))
        self.norm_after_stage = norm_after_stage
        widths = [in_channels, *embed_dims]
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        drops = dict(drop_rate=drop_rate, attn_drop_rate=attn_drop_rate, qkv_bias=qkv_bias)
        embeds, encodings, stages, norms = [], [], [], []
        for i, depth in enumerate(depths):
            width = embed_dims[i]
            embeds.append(
                PatchEmbed(widths[i], width, patch_sizes[i], strides[i], norm_cfg=norm_cfg)
            )
            encodings.append(ConditionalPositionEncoding(width))
            sizes = (width, num_heads[i], mlp_ratios[i] * width)
            layers = [
                self._layer(k, i, sizes, sr_ratios[i], drop_path_rate=next(rates), **drops)
                for k in range(depth)
            ]
            stages.append(nn.CellList(layers))
            if norm_after_stage:
                norms.append(build_norm_layer(norm_cfg, width)[1])
        self.patch_embeds = nn.CellList(embeds)
        self.position_encoding_drops = nn.CellList([dropout(drop_rate) for _ in depths])
        self.position_encodings = nn.CellList(encodings)
        self.layers = nn.CellList(stages)
        if norm_after_stage:
            self.norm_list = nn.CellList(norms)
        self.smallest_image = _smallest_image(strides, self.layers)
        self.out_channels = [embed_dims[i] for i in self.out_indices]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        initialise_transformer(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps of an (n, in_channels, h, w) image."""
        x, maps = image, ()
        for i in range(len(self.layers)):
            tokens, size = self.patch_embeds[i](x)
            tokens = self.position_encoding_drops[i](tokens)
            for k in range(len(self.layers[i])):
                tokens = self.layers[i][k](tokens, size)
                if k == 0:
                    tokens = self.position_encodings[i](tokens, size)
            if self.norm_after_stage:
                tokens = self.norm_list[i](tokens)
            x = to_map(tokens, size)
            if i in self.out_indices:
                maps = maps + (x,)
        return maps

    def _layer(
        self, place: int, stage: int, sizes: tuple[int, int, int], sr_ratio: int, **drops: float
    ) -> nn.Cell:
        """Build the layer at a place, from 0, of a stage."""
        return GSAEncoderLayer(*sizes, sr_ratio=sr_ratio, **drops)


@BACKBONES.register_module()
class SVT(PCPVT):
    """Twins-SVT: `PCPVT` in which every second layer, from the first, attends within windows.

    Args:
        in_channels: Channels of the image.
        embed_dims: Channels of each stage.
        patch_sizes: Height and width of each stage's patches.
        strides: Step from patch to patch.
        num_heads: Attention heads of each stage.
        mlp_ratios: Channels inside of feed-forward networks, as a multiple of the stage's.
        out_indices: The stages, from 0, whose maps are given; None: all.
        qkv_bias: Whether the projections of the attention have biases.
        drop_rate: See `PCPVT`.
        attn_drop_rate: See `PCPVT`.
        drop_path_rate: See `PCPVT`.
        norm_cfg: See `PCPVT`.
        depths: Layers of each stage.
        sr_ratios: See `PCPVT`.
        windiow_sizes: Height and width of each stage's windows; the name is MMSegmentation's.
        norm_after_stage: Whether a norm follows each stage.
        pretrained: See `PCPVT`.
        init_cfg: See `PCPVT`.

    Source: Chu et al., Twins (2021); MMSegmentation 0.30 ``SVT``, whose parameter names it keeps.

    Examples:
        >>> SVT(embed_dims=(4, 8), num_heads=(1, 2), depths=(1, 2)).out_channels
        [4, 8]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        embed_dims: NonEmpty[Channels] = (64, 128, 256),
        patch_sizes: Kernels = (4, 2, 2, 2),
        strides: Kernels = (4, 2, 2, 2),
        num_heads: Counts = (1, 2, 4),
        mlp_ratios: Kernels = (4, 4, 4),
        out_indices: Indices | None = None,
        qkv_bias: bool = False,
        drop_rate: Ratio = 0.0,
        attn_drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.2,
        norm_cfg: Mapping = LN,
        depths: Counts = (4, 4, 4),
        sr_ratios: Kernels = (4, 2, 1),
        windiow_sizes: Kernels = (7, 7, 7),
        norm_after_stage: bool = True,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        _check('SVT', len(depths), (0,), dict(windiow_sizes=windiow_sizes))
        self._window_sizes = tuple(windiow_sizes)
        super().__init__(
            in_channels,
            embed_dims,
            patch_sizes,
            strides,
            num_heads,
            mlp_ratios,
            tuple(range(len(depths))) if out_indices is None else out_indices,
            qkv_bias,
            drop_rate,
            attn_drop_rate,
            drop_path_rate,
            norm_cfg,
            depths,
            sr_ratios,
            norm_after_stage,
            pretrained,
            init_cfg,
        )

    def _layer(
        self, place: int, stage: int, sizes: tuple[int, int, int], sr_ratio: int, **drops: float
    ) -> nn.Cell:
        if place % 2 == 0:
            return LSAEncoderLayer(*sizes, window_size=self._window_sizes[stage], **drops)
        return super()._layer(place, stage, sizes, sr_ratio, **drops)


def _check(
    who: str, count: int, out_indices: Sequence[int], lists: Mapping[str, Sequence[int]]
) -> None:
    for key, values in lists.items():
        if len(values) < count:
            expected = f'at least {count} numbers, as many as depths'
            raise UserValueError(key=key, got=values, expected=expected, who=who)
    if max(out_indices) >= count:
        expected = f'numbers from 0 to {count - 1}, below the number of depths'
        raise UserValueError(key='out_indices', got=out_indices, expected=expected, who=who)


def _smallest_image(strides: Sequence[int], stages: nn.CellList) -> int:
    """Return the smallest height of an image whose maps the attention can make smaller."""
    side = 1
    for stride, layers in reversed(list(zip(strides, stages, strict=False))):
        side = max(side, *(getattr(layer.attn, 'sr_ratio', 1) for layer in layers))
        side = (side - 1) * stride + 1  # patches reach over the border
    return side

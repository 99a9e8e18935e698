"""Swin Transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from msseg.models.backbones.swin_attention import ShiftWindowMSA, WindowMSA, window_mask
from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    FFN,
    PatchEmbed,
    apply_init_cfg,
    build_norm_layer,
    drop_path_rates,
    fit_positions,
    freeze_parameters,
    initialise_transformer,
    recompute_without_norms,
    resize_table,
    to_map,
    to_tokens,
)
from msseg.models.layers.dropout import Ratio, freeze_dropouts
from msseg.models.layers.transformer import (
    GELU,
    LN,
    drop_path_layer,
    dropout,
)
from msseg.utils.arguments import (
    Channels,
    File,
    NonEmpty,
    Pixels,
    Positive,
    PositiveInt,
    Range,
    checked,
)
from msseg.utils.errors import UserValueError

Counts = NonEmpty[PositiveInt]
Window = Annotated[int, Range(1, 255)]
_BEFORE_STAGES = ('patch_embed', 'absolute_pos_embed')


@BACKBONES.register_module()
class SwinTransformer(nn.Cell):
    """Swin Transformer: the maps of the chosen stages.

    Layers attend within windows; every second one shifts the windows by half their size.

    Args:
        pretrain_img_size: Size of the images of the pretraining, for `use_abs_pos_embed`.
        in_channels: Channels of the image.
        embed_dims: Channels of the first stage; each further one has twice as many.
        patch_size: Height and width of a patch.
        window_size: Height and width of a window in patches.
        mlp_ratio: Channels inside of feed-forward networks, as a multiple of the stage's.
        depths: Layers of each stage.
        num_heads: Attention heads of each stage.
        strides: Step of the patches (`patch_size`) and of the merging before each further stage.
        out_indices: The stages, from 0, whose maps are given, in the stages' order.
        qkv_bias: Whether the projections of the attention have biases.
        qk_scale: Factor of the products of queries and keys; None: one over the root of the head's
            channels.
        patch_norm: Whether a norm follows the patches and precedes each merging's projection.
        drop_rate: Share of elements that is dropped after projections in training.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        drop_path_rate: Share of samples whose branch the last layer drops in training; it rises in
            equal steps from 0 at the first.
        use_abs_pos_embed: Whether a table of positions is added to the patches. It is resized to
            the image.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        with_cp: Recompute the layers in the backward pass to save memory.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        frozen_stages: The patches (0) and the stages up to this one, from 1, are not trained and
            drop nothing; -1 trains all.
        init_cfg: See `apply_init_cfg`; by default linear layers are truncated normal of deviation
            0.02.

    Source: Liu et al., Swin Transformer (2021); MMSegmentation 0.30 ``SwinTransformer``, whose
    parameter names it keeps.

    Examples:
        >>> SwinTransformer(embed_dims=4, depths=(1, 2), num_heads=(1, 2), strides=(4, 2),
        ...                 out_indices=(0, 1)).out_channels
        [4, 8]
    """

    @checked
    def __init__(
        self,
        pretrain_img_size: Pixels | tuple[Pixels, Pixels] = 224,
        in_channels: Channels = 3,
        embed_dims: Channels = 96,
        patch_size: Window = 4,
        window_size: Window = 7,
        mlp_ratio: Positive = 4,
        depths: Counts = (2, 2, 6, 2),
        num_heads: Counts = (3, 6, 12, 24),
        strides: Counts = (4, 2, 2, 2),
        out_indices: NonEmpty[Annotated[int, Range(0, 15)]] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: Positive | None = None,
        patch_norm: bool = True,
        drop_rate: Ratio = 0.0,
        attn_drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.1,
        use_abs_pos_embed: bool = False,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LN,
        with_cp: bool = False,
        pretrained: File | None = None,
        frozen_stages: Annotated[int, Range(-1, 16)] = -1,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        _check(depths, out_indices, strides, patch_size, frozen_stages, num_heads=num_heads)
        self.in_channels = in_channels
        self.out_indices = tuple(sorted(set(out_indices)))
        norm_of_patches = norm_cfg if patch_norm else None
        self.patch_embed = PatchEmbed(
            in_channels, embed_dims, patch_size, strides[0], norm_cfg=norm_of_patches
        )
        self.absolute_pos_embed = None
        if use_abs_pos_embed:
            size = pretrain_img_size
            size = (size, size) if isinstance(size, int) else size
            self.table_size = (size[0] // patch_size, size[1] // patch_size)
            shape = (1, self.table_size[0] * self.table_size[1], embed_dims)
            table = initializer(TruncatedNormal(0.02), shape, ms.float32)
            self.absolute_pos_embed = Parameter(table, 'absolute_pos_embed')
        self.drop_after_pos = dropout(drop_rate)
        rates = iter(drop_path_rates(drop_path_rate, sum(depths)))
        widths = [embed_dims * 2**i for i in range(len(depths))]
        self.stages = nn.CellList()
        for i, width in enumerate(widths):
            downsample = None
            if i + 1 < len(depths):
                downsample = PatchMerging(width, 2 * width, strides[i + 1], norm_of_patches)
            blocks = [
                SwinBlock(
                    width,
                    num_heads[i],
                    int(mlp_ratio * width),
                    window_size,
                    window_size // 2 if k % 2 else 0,
                    qkv_bias,
                    qk_scale,
                    drop_rate,
                    attn_drop_rate,
                    next(rates),
                    act_cfg,
                    norm_cfg,
                    with_cp,
                )
                for k in range(depths[i])
            ]
            self.stages.append(SwinStage(blocks, window_size, downsample))
        for i in self.out_indices:
            setattr(self, f'norm{i}', build_norm_layer(norm_cfg, widths[i])[1])
        self.out_channels = [widths[i] for i in self.out_indices]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        initialise_transformer(self)
        apply_init_cfg(self, dict(type='PyTorchDefault', layer='Conv2d'))
        self._freeze(frozen_stages)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps of an (n, in_channels, h, w) image of any size."""
        x, size = self.patch_embed(image)
        if self.absolute_pos_embed is not None:
            table = to_map(self.absolute_pos_embed, self.table_size)
            x = x + to_tokens(resize_table(table, size))
        x = self.drop_after_pos(x)
        maps = ()
        for i in range(len(self.stages)):
            out, out_size = self.stages[i](x, size), size
            if i in self.out_indices:
                maps = maps + (to_map(getattr(self, f'norm{i}')(out), out_size),)
            x = out
            if i + 1 < len(self.stages):
                x, size = self.stages[i].downsample(out, size)
        return maps

    def fit_table(self, name: str, table: np.ndarray) -> np.ndarray | None:
        """Resize a file's table of positions, that of a square map, to ``pretrain_img_size``."""
        is_table = name == 'absolute_pos_embed'
        return fit_positions(table, self.table_size, num_extra=0) if is_table else None

    def layer_depth(self, name: str, num_layers: int) -> int | None:
        """Return 0 for what precedes the layers, and numbers from 1 for the layers of all stages.

        The merging of patches after a stage has the depth of its last layer.

        Source: Xie et al., SimMIM (2022), fine-tuning of Swin Transformer.
        """
        part, *inner = name.split('.')
        if part != 'stages':
            return 0 if part in _BEFORE_STAGES else None
        stage = int(inner[0])
        lengths = [len(each.blocks) for each in self.stages]
        inside = int(inner[2]) + 1 if inner[1] == 'blocks' else lengths[stage]
        return sum(lengths[:stage]) + inside

    def stage_depth(self, name: str) -> int | None:
        """Return 0 for what precedes the stages, and numbers from 1 for them."""
        part, *inner = name.split('.')
        if part != 'stages':
            return 0 if part in _BEFORE_STAGES else None
        return int(inner[0]) + 1

    def _freeze(self, frozen_stages: int) -> None:
        if frozen_stages < 0:
            return
        frozen = [self.patch_embed, self.drop_after_pos]
        if self.absolute_pos_embed is not None:
            self.absolute_pos_embed.requires_grad = False
        for i in range(frozen_stages):
            frozen.append(self.stages[i])
            if i in self.out_indices:
                frozen.append(getattr(self, f'norm{i}'))
        for cell in frozen:
            freeze_parameters(cell)
            freeze_dropouts(cell)


class SwinStage(nn.Cell):
    """The layers of a stage; ``downsample`` leads to the next one.

    Args:
        blocks: The layers.
        window_size: Height and width of a window in patches.
        downsample: The merging of patches after the stage; None for the last one.
    """

    fixed_size_reason = 'its windows and their masks depend on the size'

    def __init__(
        self, blocks: Sequence[SwinBlock], window_size: int, downsample: PatchMerging | None
    ) -> None:
        super().__init__()
        self.blocks = nn.CellList(blocks)
        self.window_size = window_size
        if downsample is not None:
            self.downsample = downsample

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Apply to tokens (n, h w, c) of a map of `size`."""
        mask = window_mask(size[0], size[1], self.window_size)
        for block in self.blocks:
            x = block(x, size, mask)
        return x


class SwinBlock(nn.Cell):
    """Attention within windows and a feed-forward network, each after a norm.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        feedforward_channels: Length inside of the feed-forward network.
        window_size: Height and width of a window in patches.
        shift_size: By how many patches the windows are shifted.
        qkv_bias: Whether the projections of the attention have biases.
        qk_scale: Factor of the products of queries and keys; None for the usual one.
        drop_rate: Share of elements that is dropped after projections.
        attn_drop_rate: Share of the attention weights that is dropped.
        drop_path_rate: Share of samples whose branches are dropped.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        with_cp: Recompute the layer in the backward pass.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        window_size: int = 7,
        shift_size: int = 0,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LN,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        path = drop_path_layer(drop_path_rate)
        self.norm1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = ShiftWindowMSA(
            WindowMSA(
                embed_dims, num_heads, window_size, qkv_bias, qk_scale, attn_drop_rate, drop_rate
            ),
            shift_size,
            path,
        )
        self.norm2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, 2, act_cfg, drop_rate, path)
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor, size: tuple[int, int], mask: ms.Tensor) -> ms.Tensor:
        """Apply to tokens (n, h w, c) of a map of `size`."""
        x = x + self.attn(self.norm1(x), size, mask)
        return self.ffn(self.norm2(x), x)


class PatchMerging(nn.Cell):
    """Concatenate the channels of 2x2 patches, and project them after a norm.

    Args:
        in_channels: Channels of the map.
        out_channels: Channels of the result.
        stride: Step from one group of patches to the next.
        norm_cfg: See `build_norm_layer`; None for none.

    Source: MMSegmentation 0.30 ``PatchMerging``: channels in the order of PyTorch's ``nn.Unfold``.
    """

    def __init__(
        self, in_channels: int, out_channels: int, stride: int = 2, norm_cfg: Mapping | None = LN
    ) -> None:
        super().__init__()
        self.stride = stride
        width = 4 * in_channels
        self.norm = nn.Identity() if norm_cfg is None else build_norm_layer(norm_cfg, width)[1]
        self.reduction = nn.Dense(width, out_channels, has_bias=False)

    def construct(self, x: ms.Tensor, size: tuple[int, int]) -> tuple[ms.Tensor, tuple[int, int]]:
        """Turn tokens (n, h w, c) of a map of `size` into those of a smaller one, and its size."""
        x = to_map(x, size)
        n, c, h, w = x.shape
        stride = self.stride
        if stride == 1:
            x = ops.Pad(((0, 0), (0, 0), (0, 1), (0, 1)))(x)
            parts = (x[:, :, :h, :w], x[:, :, :h, 1:], x[:, :, 1:, :w], x[:, :, 1:, 1:])
            x = ops.stack(parts, axis=2).reshape(n, 4 * c, h * w).transpose(0, 2, 1)
        else:
            # no slices with steps: their gradient fails on the CPU for some sizes (MindSpore 2.8)
            if h % stride or w % stride:
                x = ops.Pad(((0, 0), (0, 0), (0, -h % stride), (0, -w % stride)))(x)
            h, w = -(-h // stride), -(-w // stride)
            x = x.reshape(n, c, h, stride, w, stride)
            if stride > 2:
                x = x[:, :, :, :2, :, :2]
            x = x.transpose(0, 2, 4, 1, 3, 5).reshape(n, h * w, 4 * c)
        return self.reduction(self.norm(x)), (h, w)


def _check(
    depths: Sequence[int],
    out_indices: Sequence[int],
    strides: Sequence[int],
    patch_size: int,
    frozen_stages: int,
    **of_stages: Sequence[int],
) -> None:
    who, count = 'SwinTransformer', len(depths)
    for key, values in {'strides': strides, **of_stages}.items():
        if len(values) != count:
            expected = f'{count} numbers, as many as depths'
            raise UserValueError(key=key, got=values, expected=expected, who=who)
    if strides[0] != patch_size:
        expected = f'patch_size={patch_size} as the first: patches do not overlap'
        raise UserValueError(key='strides', got=strides, expected=expected, who=who)
    if max(out_indices) >= count:
        expected = f'numbers from 0 to {count - 1}, below the number of depths'
        raise UserValueError(key='out_indices', got=out_indices, expected=expected, who=who)
    if frozen_stages > count:
        expected = f'at most the {count} stages'
        raise UserValueError(key='frozen_stages', got=frozen_stages, expected=expected, who=who)

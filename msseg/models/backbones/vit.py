"""Vision Transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, TruncatedNormal, initializer

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    PatchEmbed,
    TransformerEncoderLayer,
    apply_init_cfg,
    build_norm_layer,
    drop_path_rates,
    fit_positions,
    freeze_statistics,
    initialise_transformer,
    resize_table,
    to_map,
    to_tokens,
)
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.layer_depth import layer_depth_of_vit
from msseg.models.layers.transformer import GELU, LN, dropout
from msseg.utils.arguments import Channels, File, NonEmpty, Pixels, PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

_KAIMING = {'type': 'Kaiming', 'layer': 'Conv2d', 'mode': 'fan_in'}
Index = Annotated[int, Range(0, 1023)]
Patch = Annotated[int, Range(1, 255)]


@BACKBONES.register_module()
class VisionTransformer(nn.Cell):
    """Vision Transformer: the maps after the chosen layers, all of the size of the patches.

    A patch at the right or lower edge that is not whole is filled with zeros. Where an image has
    another number of patches than the table of positions, the table is resized to the image.

    Args:
        img_size: Size of the images (h, w), or one number for both, which gives the table of
            positions its size.
        patch_size: Height and width of a patch in pixels.
        in_channels: Channels of the image.
        embed_dims: Channels of the maps.
        num_layers: Number of layers.
        num_heads: Attention heads of each layer.
        mlp_ratio: Channels inside of feed-forward networks, as a multiple of `embed_dims`.
        out_indices: The layers, from 0, whose maps are given, in the layers' order; -1: the last.
        qkv_bias: Whether the projections of the attention have biases.
        drop_rate: Share of elements that is dropped after projections in training.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        drop_path_rate: Share of samples whose branch the last layer drops in training; it rises in
            equal steps from 0 at the first.
        with_cls_token: Whether the class token takes part in the attention.
        output_cls_token: Whether each map comes in a tuple with its class token, for `DPTHead`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        patch_norm: Whether a norm follows the patches.
        final_norm: Whether a norm follows the last layer.
        interpolate_mode: How the table of positions is resized.
        num_fcs: Linear layers of each feed-forward network.
        norm_eval: Norms with running statistics use them in training; layer norms have none.
        with_cp: Recompute the layers in the backward pass to save memory.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default linear layers are truncated normal of deviation
            0.02 and the patches' convolution Kaiming.
        patch_bias: Whether the patches' convolution has a bias. MMSegmentation 1.x's has none by
            default, which the translation of its files sets.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words (2021); MMSegmentation 0.30
    ``VisionTransformer``, whose parameter names it keeps. As there, the table of positions is left
    as it is for images of another shape with the same number of patches.

    Examples:
        >>> backbone = VisionTransformer(32, embed_dims=4, num_layers=2, num_heads=2)
        >>> [each.shape for each in backbone(ms.ops.ones((1, 3, 48, 20)))]
        [(1, 4, 3, 2)]
    """

    fixed_size_reason = 'its table of positions is resized to the image'
    layer_depth = staticmethod(layer_depth_of_vit)

    @checked
    def __init__(
        self,
        img_size: Pixels | NonEmpty[Pixels] = 224,
        patch_size: Patch = 16,
        in_channels: Channels = 3,
        embed_dims: Channels = 768,
        num_layers: PositiveInt = 12,
        num_heads: PositiveInt = 12,
        mlp_ratio: Annotated[int, Range(1, 255)] = 4,
        out_indices: Annotated[int, Range(-1, 1023)] | NonEmpty[Index] = -1,
        qkv_bias: bool = True,
        drop_rate: Ratio = 0.0,
        attn_drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.0,
        with_cls_token: bool = True,
        output_cls_token: bool = False,
        norm_cfg: Mapping = LN,
        act_cfg: Mapping = GELU,
        patch_norm: bool = False,
        final_norm: bool = False,
        interpolate_mode: Literal['bicubic', 'bilinear', 'nearest'] = 'bicubic',
        num_fcs: PositiveInt = 2,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        patch_bias: bool = True,
    ) -> None:
        super().__init__()
        if output_cls_token and not with_cls_token:
            expected = 'False, as with_cls_token is False'
            raise UserValueError(
                key='output_cls_token', got=True, expected=expected, who='VisionTransformer'
            )
        self.in_channels = in_channels
        self.with_cls_token = with_cls_token
        self.output_cls_token = output_cls_token
        self.interpolate_mode = interpolate_mode
        self.table_size = _table_size(img_size, patch_size)
        self.out_indices = _chosen_layers(out_indices, num_layers)
        self.out_channels = [embed_dims] * len(self.out_indices)
        self.out_strides = [patch_size] * len(self.out_indices)
        self.patch_embed = PatchEmbed(
            in_channels,
            embed_dims,
            patch_size,
            bias=patch_bias,
            norm_cfg=norm_cfg if patch_norm else None,
        )
        length = 1 + self.table_size[0] * self.table_size[1]
        law = TruncatedNormal(0.02)
        self.cls_token = Parameter(initializer(law, (1, 1, embed_dims), ms.float32), 'cls_token')
        table = initializer(law, (1, length, embed_dims), ms.float32)
        self.pos_embed = Parameter(table, 'pos_embed')
        self.drop_after_pos = dropout(drop_rate)
        self.layers = nn.CellList(
            [
                TransformerEncoderLayer(
                    embed_dims,
                    num_heads,
                    mlp_ratio * embed_dims,
                    drop_rate,
                    attn_drop_rate,
                    rate,
                    num_fcs,
                    qkv_bias,
                    act_cfg,
                    norm_cfg,
                    with_cp,
                )
                for rate in drop_path_rates(drop_path_rate, num_layers)
            ]
        )
        self.norm_name = ''
        if final_norm:
            self.norm_name, norm = build_norm_layer(norm_cfg, embed_dims, 1)
            setattr(self, self.norm_name, norm)
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        self._initialise()
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple:
        """Give the chosen maps of an (n, in_channels, h, w) image of any size.

        Returns:
            (n, embed_dims, h', w') for each chosen layer, with sizes rounded up; with
            `output_cls_token` tuples of that and the class token (n, embed_dims).
        """
        x, size = self.patch_embed(image)
        x = x.astype(self.cls_token.dtype)
        positions = self.positions(size)
        if self.with_cls_token:
            token = ops.broadcast_to(self.cls_token, (x.shape[0], 1, x.shape[2]))
            x = ops.cat((token, x), axis=1) + positions
        else:
            x = x + positions[:, 1:]
        x = self.drop_after_pos(x)
        outputs = ()
        for i in range(len(self.layers)):
            x = self.layers[i](x)
            if self.norm_name and i + 1 == len(self.layers):
                x = getattr(self, self.norm_name)(x)
            if i in self.out_indices:
                out = to_map(x[:, 1:] if self.with_cls_token else x, size)
                outputs = outputs + ((out, x[:, 0]) if self.output_cls_token else out,)
        return outputs

    def positions(self, size: tuple[int, int]) -> ms.Tensor:
        """Give the positions (1, 1 + h w, embed_dims) of the class token and of (h, w) patches."""
        if size[0] * size[1] == self.table_size[0] * self.table_size[1]:
            return self.pos_embed
        table = to_map(self.pos_embed[:, 1:], self.table_size)
        table = to_tokens(resize_table(table, size, self.interpolate_mode))
        return ops.cat((self.pos_embed[:, :1], table), axis=1)

    def fit_table(self, name: str, table: np.ndarray) -> np.ndarray | None:
        """Resize a file's table of positions, that of a square map, to ``img_size``."""
        if name != 'pos_embed':
            return None
        return fit_positions(table, self.table_size, self.interpolate_mode)

    def _initialise(self) -> None:
        initialise_transformer(self)
        apply_init_cfg(self, _KAIMING)
        for layer in self.layers:
            for _, cell in layer.ffn.cells_and_names():
                if isinstance(cell, nn.Dense):
                    bias = initializer(Normal(1e-6), cell.bias.shape, cell.bias.dtype)
                    cell.bias.set_data(bias)


def _table_size(img_size: int | Sequence[int], patch_size: int) -> tuple[int, int]:
    """Return how many whole patches an image has downwards and to the right."""
    sizes = [img_size] if isinstance(img_size, int) else list(img_size)
    if len(sizes) > 2 or min(sizes) < patch_size:
        expected = f'one or two numbers of at least patch_size={patch_size}'
        raise UserValueError(
            key='img_size', got=img_size, expected=expected, who='VisionTransformer'
        )
    return sizes[0] // patch_size, sizes[-1] // patch_size


def _chosen_layers(out_indices: int | Sequence[int], num_layers: int) -> tuple[int, ...]:
    indices = [out_indices] if isinstance(out_indices, int) else out_indices
    chosen = {num_layers - 1 if out_indices == -1 else index for index in indices}
    if max(chosen) >= num_layers:
        expected = f'numbers from 0 to {num_layers - 1}, below num_layers'
        raise UserValueError(
            key='out_indices', got=out_indices, expected=expected, who='VisionTransformer'
        )
    return tuple(sorted(chosen))

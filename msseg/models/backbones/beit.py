"""BEiT: a transformer with biases by relative position."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, TruncatedNormal, initializer

from msseg.models.backbones.swin_attention import relative_positions
from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    FFN,
    BatchProduct,
    PatchEmbed,
    build_norm_layer,
    drop_path_rates,
    freeze_statistics,
    initialise_transformer,
    to_map,
)
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.layer_depth import layer_depth_of_vit
from msseg.models.layers.pixelwise import row_softmax
from msseg.models.layers.transformer import GELU, LN, before_shortcut, drop_path_layer, dropout
from msseg.utils.arguments import (
    Channels,
    File,
    Length,
    NonEmpty,
    NonNegative,
    Pixels,
    Range,
    checked,
)
from msseg.utils.errors import UserValueError

Count = Annotated[int, Range(1, 255)]
LayerIndex = Annotated[int, Range(-1, 254)]
ImageSize = Pixels | Annotated[Sequence[Pixels], Length(1, 2)]
Bias = Literal['qkv', 'qv_bias', 'none']


@BACKBONES.register_module()
class BEiT(nn.Cell):
    """BEiT: the maps after the chosen layers, all of one size.

    A class token joins the patches. The layers add biases to the attention that depend on how far
    two patches are apart, so images have the size for which the network is built: ``image_sizes``.

    Args:
        img_size: Height and width of images; two numbers are (h, w).
        patch_size: Height and width of a patch. Pixels that fill no patch, below and on the right,
            are left out.
        in_channels: Channels of the image.
        embed_dims: Channels of the maps.
        num_layers: Number of layers.
        num_heads: Attention heads, a divisor of `embed_dims`.
        mlp_ratio: Channels inside of feed-forward networks, as a multiple of `embed_dims`.
        out_indices: The layers, from 0, whose maps are given, in the layers' order; -1 alone is the
            last one.
        qv_bias: Whether queries and values have biases.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        drop_path_rate: Share of samples whose branch the last layer drops in training; it rises in
            equal steps from 0 at the first.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        patch_norm: Whether a norm follows the patches.
        final_norm: Whether a norm follows the last layer.
        num_fcs: Linear layers in a feed-forward network, at least 2.
        norm_eval: Keep the running statistics of norms that have such. Layer norms have none.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_values: Initial value of the learnt factors on the branches' channels.
        init_cfg: See `apply_init_cfg`; by default linear layers are truncated normal of deviation
            0.02 and convolutions Kaiming.

    Source: Bao et al., BEiT (2022); MMSegmentation 0.30 ``BEiT``, whose parameter names it keeps.

    Examples:
        >>> net = BEiT((32, 48), embed_dims=4, num_layers=2, num_heads=2, out_indices=(0, 1))
        >>> net.out_channels, net.image_sizes
        ([4, 4], ((32, 47), (48, 63)))
    """

    fixed_size_reason = 'its biases by relative position are those of one size'
    has_qkv_bias = False
    layer_depth = staticmethod(layer_depth_of_vit)

    @checked
    def __init__(
        self,
        img_size: ImageSize = 224,
        patch_size: Pixels = 16,
        in_channels: Channels = 3,
        embed_dims: Channels = 768,
        num_layers: Count = 12,
        num_heads: Count = 12,
        mlp_ratio: Count = 4,
        out_indices: LayerIndex | NonEmpty[LayerIndex] = -1,
        qv_bias: bool = True,
        attn_drop_rate: Ratio = 0.0,
        drop_path_rate: Ratio = 0.0,
        norm_cfg: Mapping = LN,
        act_cfg: Mapping = GELU,
        patch_norm: bool = False,
        final_norm: bool = False,
        num_fcs: Annotated[int, Range(2, 255)] = 2,
        norm_eval: bool = False,
        pretrained: File | None = None,
        init_values: NonNegative = 0.1,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        bias: Bias = 'qkv' if self.has_qkv_bias else 'qv_bias' if qv_bias else 'none'
        if embed_dims % num_heads:
            expected = f'a divisor of embed_dims={embed_dims}'
            raise UserValueError(key='num_heads', got=num_heads, expected=expected, who=who)
        self.in_channels = in_channels
        self.out_indices = _chosen_layers(out_indices, num_layers, who)
        self.out_channels = [embed_dims] * len(self.out_indices)
        self.map_size = _map_size(img_size, patch_size, who)
        self.image_sizes = tuple(
            (length * patch_size, (length + 1) * patch_size - 1) for length in self.map_size
        )
        self.patch_embed = PatchEmbed(
            in_channels,
            embed_dims,
            patch_size,
            padding=0,
            norm_cfg=norm_cfg if patch_norm else None,
        )
        self.layers = nn.CellList(
            [
                BEiTLayer(
                    embed_dims,
                    num_heads,
                    mlp_ratio * embed_dims,
                    self.map_size,
                    attn_drop_rate,
                    rate,
                    num_fcs,
                    bias,
                    act_cfg,
                    norm_cfg,
                    init_values,
                )
                for rate in drop_path_rates(drop_path_rate, num_layers)
            ]
        )
        self.has_final_norm = final_norm
        if final_norm:
            self.ln1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        token = initializer(TruncatedNormal(0.02), (1, 1, embed_dims), ms.float32)
        self.cls_token = Parameter(token, 'cls_token')
        _initialise(self)
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps of an (n, in_channels, h, w) image of a size in `image_sizes`."""
        x, size = self.patch_embed(image)
        if size != self.map_size:
            raise ValueError('the image has another size than the network')
        n, _, c = x.shape
        x = ops.cat((ops.broadcast_to(self.cls_token, (n, 1, c)), x), axis=1)
        x = self.add_positions(x)
        maps = ()
        for i in range(len(self.layers)):
            x = self.layers[i](x)
            if self.has_final_norm and i + 1 == len(self.layers):
                x = self.ln1(x)
            if i in self.out_indices:
                maps = maps + (to_map(x[:, 1:], size),)
        return maps

    def add_positions(self, x: ms.Tensor) -> ms.Tensor:
        """Add what depends on the position to tokens (n, 1 + h w, c): nothing here."""
        return x


class BEiTLayer(nn.Cell):
    """Attention and a feed-forward network, each after a norm, with a factor on each channel.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads.
        feedforward_channels: Length inside of the feed-forward network.
        map_size: Height and width of the map that the tokens, but for the first, make.
        attn_drop_rate: Share of the attention weights that is dropped.
        drop_path_rate: Share of samples whose branches are dropped.
        num_fcs: Linear layers in the feed-forward network.
        bias: Which projections of the attention have biases.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        init_values: Initial value of the factors.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        feedforward_channels: int,
        map_size: tuple[int, int],
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        num_fcs: int = 2,
        bias: Bias = 'qv_bias',
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LN,
        init_values: float = 0.1,
    ) -> None:
        super().__init__()
        self.ln1 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.attn = BEiTAttention(embed_dims, num_heads, map_size, bias, attn_drop_rate)
        self.ln2 = build_norm_layer(norm_cfg, embed_dims)[1]
        self.ffn = FFN(embed_dims, feedforward_channels, num_fcs, act_cfg, add_identity=False)
        self.drop_path = before_shortcut(drop_path_layer(drop_path_rate))
        for name in ('gamma_1', 'gamma_2'):
            factors = initializer(init_values, (embed_dims,), ms.float32)
            self.insert_param_to_cell(name, Parameter(factors, name))

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to tokens (n, 1 + h w, embed_dims)."""
        x = x + self.drop_path(self.gamma_1 * self.attn(self.ln1(x)))
        return x + self.drop_path(self.gamma_2 * self.ffn(self.ln2(x)))


class BEiTAttention(nn.Cell):
    """Attention of a class token and patches, with a bias by relative position.

    Args:
        embed_dims: Length of a token.
        num_heads: Number of heads, a divisor of `embed_dims`.
        map_size: Height and width of the map that the patches make.
        bias: ``'qkv'``, ``'none'``, or ``'qv_bias'``: queries and values have biases.
        attn_drop_rate: Share of the attention weights that is dropped in training.
    """

    def __init__(
        self,
        embed_dims: int,
        num_heads: int,
        map_size: tuple[int, int],
        bias: Bias = 'qv_bias',
        attn_drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.map_size = map_size
        self.scale = (embed_dims // num_heads) ** -0.5
        index = positions_with_class_token(*map_size)
        table = ops.zeros((index.max() + 1, num_heads), ms.float32)
        self.relative_position_bias_table = Parameter(table, 'relative_position_bias_table')
        self.index = ms.Tensor(index.ravel(), ms.int32)
        self.qkv = nn.Dense(embed_dims, 3 * embed_dims, has_bias=bias == 'qkv')
        self.has_qv_bias = bias == 'qv_bias'
        if self.has_qv_bias:
            self.q_bias = Parameter(ops.zeros(embed_dims, ms.float32), 'q_bias')
            self.v_bias = Parameter(ops.zeros(embed_dims, ms.float32), 'v_bias')
            self.k_bias = ops.zeros(embed_dims, ms.float32)
        self.attn_drop = dropout(attn_drop_rate)
        self.proj = nn.Dense(embed_dims, embed_dims)
        self.softmax = row_softmax()
        self.similarity = BatchProduct(transpose_b=True)
        self.mixture = BatchProduct()

    def fit_table(self, name: str, table: np.ndarray) -> np.ndarray | None:
        """Resize a file's table of biases, that of another, square map."""
        is_table = name == 'relative_position_bias_table' and table.ndim == 2
        return resize_biases(table, self.map_size) if is_table else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to tokens (n, 1 + h w, c)."""
        n, tokens, c = x.shape
        heads = self.num_heads
        qkv = self.qkv(x)
        if self.has_qv_bias:
            qkv = qkv + ops.cat((self.q_bias, self.k_bias, self.v_bias))
        qkv = qkv.reshape(n, tokens, 3, heads, c // heads).transpose(2, 0, 3, 1, 4)
        bias = ops.gather(self.relative_position_bias_table, self.index, 0)
        bias = bias.reshape(1, tokens, tokens, heads).transpose(0, 3, 1, 2)
        weights = self.similarity(qkv[0] * self.scale, qkv[1]) + bias
        weights = self.attn_drop(self.softmax(weights))
        out = self.mixture(weights, qkv[2]).transpose(0, 2, 1, 3).reshape(n, tokens, c)
        return self.proj(out)


def positions_with_class_token(h: int, w: int) -> np.ndarray:
    """Return the rows of the table of biases for a class token and the patches of a map.

    Returns:
        (1 + h w, 1 + h w): the last three rows of the table, in this order, are for the class token
        to a patch, for a patch to the class token, and for the class token to itself.

    Examples:
        >>> positions_with_class_token(1, 2)
        array([[5, 3, 3],
               [4, 1, 0],
               [4, 2, 1]])
    """
    count = (2 * h - 1) * (2 * w - 1)
    index = np.empty((1 + h * w, 1 + h * w), int)
    index[1:, 1:] = relative_positions(h, w)
    index[0, 1:] = count
    index[1:, 0] = count + 1
    index[0, 0] = count + 2
    return index


def resize_biases(table: np.ndarray, map_size: tuple[int, int]) -> np.ndarray | None:
    """Resize the biases by relative position of a square map.

    Those of near patches stay nearly as they are, those of far ones are stretched: the old
    positions are taken to be apart in a geometric sequence that reaches over the new map.

    Args:
        table: ((2 side - 1) ** 2 + 3, num_heads); the last rows are those of the class token.
        map_size: (h, w) of the new map.

    Returns:
        ((2 h - 1) (2 w - 1) + 3, num_heads); None for a table of another length.

    Source: Bao et al., BEiT (2022), fine-tuning for segmentation; MMSegmentation 0.30
        ``BEiT.resize_rel_pos_embed``, for square maps.
    """
    from scipy.interpolate import RectBivariateSpline

    old = math.isqrt(max(len(table) - 3, 0))
    if old < 3 or old**2 != len(table) - 3 or old % 2 == 0:
        return None
    new = [2 * length - 1 for length in map_size]
    rows, columns = (_stretched(old, length) for length in new)
    places = [np.arange(length) - length // 2 for length in new]
    degree = min(3, old - 1)
    biases = [
        RectBivariateSpline(rows, columns, each.reshape(old, old), kx=degree, ky=degree)(*places)
        for each in table[:-3].T
    ]
    resized = np.stack(biases, axis=-1).reshape(-1, table.shape[1])
    return np.concatenate((resized, table[-3:])).astype(np.float32)


def _stretched(old: int, new: int) -> np.ndarray:
    """Return where `old` positions, an odd number, stand between `new` whole numbers around 0."""
    half, reach = old // 2, new // 2
    if old == new:
        return np.arange(-half, half + 1)
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        ratio = (low + high) / 2
        if (1 - ratio**half) / (1 - ratio) > reach:
            high = ratio
        else:
            low = ratio
    places = np.cumsum(ratio ** np.arange(half))
    return np.concatenate((-places[::-1], [0.0], places))


def _initialise(backbone: nn.Cell) -> None:
    initialise_transformer(backbone)
    conv = backbone.patch_embed.projection
    law = Normal(math.sqrt(2.0 / math.prod(conv.weight.shape[1:])))
    conv.weight.set_data(initializer(law, conv.weight.shape, conv.weight.dtype))
    for name, layer in backbone.cells_and_names():
        if isinstance(layer, nn.Dense) and '.ffn.' in name:
            layer.bias.set_data(initializer(Normal(1e-6), layer.bias.shape, layer.bias.dtype))


def _chosen_layers(out_indices: int | Sequence[int], num_layers: int, who: str) -> tuple[int, ...]:
    if out_indices == -1:
        return (num_layers - 1,)
    chosen = (out_indices,) if isinstance(out_indices, int) else tuple(sorted(set(out_indices)))
    if chosen[0] < 0 or chosen[-1] >= num_layers:
        expected = f'numbers from 0 to {num_layers - 1}, below num_layers'
        raise UserValueError(key='out_indices', got=out_indices, expected=expected, who=who)
    return chosen


def _map_size(img_size: int | Sequence[int], patch_size: int, who: str) -> tuple[int, int]:
    sides = (img_size,) if isinstance(img_size, int) else tuple(img_size)
    h, w = (length // patch_size for length in (sides[0], sides[-1]))
    if min(h, w) < 1:
        expected = f'at least patch_size={patch_size}'
        raise UserValueError(key='img_size', got=img_size, expected=expected, who=who)
    return h, w

"""MAE: the transformer of masked autoencoders, with a table of positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import mindspore as ms
import numpy as np
from mindspore import Parameter, ops

from msseg.models.backbones.beit import BEiT, Count, ImageSize, LayerIndex
from msseg.models.builder import BACKBONES
from msseg.models.layers import fit_positions
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.transformer import GELU, LN
from msseg.utils.arguments import Channels, File, NonEmpty, NonNegative, Pixels, Range, checked


@BACKBONES.register_module()
class MAE(BEiT):
    """MAE: a `BEiT` with a table of positions and biases of queries, keys and values.

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

    Source: He et al., Masked Autoencoders Are Scalable Vision Learners (2022); MMSegmentation 0.30
    ``MAE``, whose parameter names it keeps.

    Examples:
        >>> net = MAE(img_size=32, embed_dims=4, num_layers=2, num_heads=2)
        >>> [each.shape for each in net.set_train(False)(ms.ops.ones((1, 3, 32, 32)))]
        [(1, 4, 2, 2)]
    """

    has_qkv_bias = True

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
        super().__init__(
            img_size,
            patch_size,
            in_channels,
            embed_dims,
            num_layers,
            num_heads,
            mlp_ratio,
            out_indices,
            False,
            attn_drop_rate,
            drop_path_rate,
            norm_cfg,
            act_cfg,
            patch_norm,
            final_norm,
            num_fcs,
            norm_eval,
            pretrained,
            init_values,
            init_cfg,
        )
        num_tokens = 1 + self.map_size[0] * self.map_size[1]
        table = ops.zeros((1, num_tokens, embed_dims), ms.float32)
        self.pos_embed = Parameter(table, 'pos_embed')

    def add_positions(self, x: ms.Tensor) -> ms.Tensor:
        """Add the table of positions to tokens (n, 1 + h w, c)."""
        return x + self.pos_embed

    def fit_table(self, name: str, table: np.ndarray) -> np.ndarray | None:
        """Resize a file's table of positions, that of a square map, to ``img_size``."""
        return fit_positions(table, self.map_size) if name == 'pos_embed' else None

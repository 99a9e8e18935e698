"""Segmenter's mask transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Normal, initializer

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import (
    BatchProduct,
    TransformerEncoderLayer,
    apply_init_cfg,
    build_norm_layer,
    drop_path_rates,
    to_map,
    to_tokens,
)
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.transformer import GELU, LN
from msseg.utils.arguments import Channels, NonNegative, PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

_EPS = 1e-12  # of PyTorch's F.normalize


@HEADS.register_module()
class SegmenterMaskTransformerHead(BaseDecodeHead):
    """Compares each pixel with an embedding of each class, after both have attended to each other.

    There is no classifying convolution: ``channels`` and ``dropout_ratio`` have no effect.

    Args:
        in_channels: Channels of the map.
        num_layers: Number of transformer layers.
        num_heads: Attention heads of each layer.
        embed_dims: Length of a token.
        mlp_ratio: Channels inside of feed-forward networks, as a multiple of `embed_dims`.
        drop_path_rate: Share of samples whose branch the last layer drops in training; it rises in
            equal steps from 0 at the first.
        drop_rate: Share of elements that is dropped after projections in training.
        attn_drop_rate: Share of the attention weights that is dropped in training.
        num_fcs: Linear layers of each feed-forward network.
        qkv_bias: Whether the projections of the attention have biases.
        act_cfg: See `build_activation_layer`.
        norm_cfg: See `build_norm_layer`.
        init_std: Deviation of the initial weights of linear layers and embeddings.
        init_cfg: See `apply_init_cfg`; None for those weights.
        **kwargs: See `BaseDecodeHead`.

    Source: Strudel et al., Segmenter (2021), arXiv:2105.05633, section 3.2; MMSegmentation 0.30
    ``SegmenterMaskTransformerHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        in_channels: Channels,
        num_layers: PositiveInt,
        num_heads: PositiveInt,
        embed_dims: Channels,
        mlp_ratio: Annotated[int, Range(1, 255)] = 4,
        drop_path_rate: Ratio = 0.1,
        drop_rate: Ratio = 0.0,
        attn_drop_rate: Ratio = 0.0,
        num_fcs: PositiveInt = 2,
        qkv_bias: bool = True,
        act_cfg: Mapping = GELU,
        norm_cfg: Mapping = LN,
        init_std: NonNegative = 0.02,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(in_channels, init_cfg=init_cfg, **kwargs)
        if self.out_channels != self.num_classes:
            expected = f'num_classes ({self.num_classes}): each class has an embedding'
            raise UserValueError(
                key='out_channels',
                got=self.out_channels,
                expected=expected,
                who=type(self).__name__,
            )
        del self.conv_seg
        self.dropout = None
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
                )
                for rate in drop_path_rates(drop_path_rate, num_layers)
            ]
        )
        self.dec_proj = nn.Dense(in_channels, embed_dims)
        shape = (1, self.num_classes, embed_dims)
        self.cls_emb = Parameter(initializer(Normal(init_std), shape, ms.float32), 'cls_emb')
        self.patch_proj = nn.Dense(embed_dims, embed_dims, has_bias=False)
        self.classes_proj = nn.Dense(embed_dims, embed_dims, has_bias=False)
        self.decoder_norm = build_norm_layer(norm_cfg, embed_dims)[1]
        self.mask_norm = build_norm_layer(norm_cfg, self.num_classes)[1]
        self.similarity = BatchProduct(transpose_b=True)
        apply_init_cfg(self, {'type': 'TruncNormal', 'layer': 'Linear', 'std': init_std})

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give logits (n, num_classes, h, w) at the chosen feature map's size."""
        x = self.transform_inputs(inputs)
        size, count = x.shape[2:], self.num_classes
        x = self.dec_proj(to_tokens(x)).astype(self.cls_emb.dtype)
        classes = ops.broadcast_to(self.cls_emb, (x.shape[0], count, x.shape[2]))
        x = ops.cat((x, classes), axis=1)
        for layer in self.layers:
            x = layer(x)
        x = self.decoder_norm(x)
        patches = unit_vectors(self.patch_proj(x[:, :-count]))
        classes = unit_vectors(self.classes_proj(x[:, -count:]))
        return to_map(self.mask_norm(self.similarity(patches, classes)), size)


def unit_vectors(x: ms.Tensor) -> ms.Tensor:
    """Divide vectors, along the last axis, by their length, in float32."""
    x = x.astype(ms.float32)
    return x / ops.maximum(ops.sqrt((x * x).sum(-1, keepdims=True)), _EPS)

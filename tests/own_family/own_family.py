"""A family of a user's own: backbone, head, optimizer rule, ONNX translation.

Nothing of it is known to msseg; a config reaches it by ``custom_imports`` alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops
from mindspore.common.initializer import TruncatedNormal, initializer

from msseg.export import translates
from msseg.models.builder import BACKBONES, HEADS
from msseg.models.decode_heads import BaseDecodeHead
from msseg.models.layers import (
    BatchProduct,
    ConvModule,
    build_activation_layer,
    build_conv_layer,
    build_dropout,
    build_norm_layer,
    build_upsample_layer,
    resize,
)
from msseg.runner import OPTIMIZER_CONSTRUCTORS
from msseg.runner.optimizer import named_parameters


class Attention(nn.Cell):
    """Multi-head self-attention.

    Args:
        dims: Length of a token.
        num_heads: Number of heads.
        drop_rate: Share of the attention that is dropped in training.
    """

    def __init__(self, dims: int, num_heads: int, drop_rate: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.scale = (dims // num_heads) ** -0.5
        self.qkv = nn.Dense(dims, 3 * dims)
        self.proj = nn.Dense(dims, dims)
        self.drop = build_dropout(dict(type='Dropout', drop_prob=drop_rate))
        self.similarity = BatchProduct(transpose_b=True)
        self.mixture = BatchProduct()
        self.softmax = nn.Softmax(axis=-1)

    def construct(self, x: Tensor) -> Tensor:
        """Apply to (n, tokens, dims)."""
        n, tokens, dims = x.shape
        shape = (n, tokens, 3, self.num_heads, dims // self.num_heads)
        qkv = self.qkv(x).reshape(shape).transpose(2, 0, 3, 1, 4)
        q, k, v = qkv[0], qkv[1], qkv[2]
        weights = self.softmax(self.similarity(q * self.scale, k))
        y = self.mixture(self.drop(weights), v).transpose(0, 2, 1, 3)
        return self.proj(y.reshape(n, tokens, dims))


class Block(nn.Cell):
    """Attention and two linear layers, each with a norm before and a shortcut.

    Args:
        dims: Length of a token.
        num_heads: Number of heads.
        drop_path_rate: Share of samples whose branches are dropped in training.
    """

    def __init__(self, dims: int, num_heads: int, drop_path_rate: float) -> None:
        super().__init__()
        self.ln1 = build_norm_layer(dict(type='LN', eps=1e-6), dims)[1]
        self.attn = Attention(dims, num_heads, drop_path_rate)
        self.ln2 = build_norm_layer(dict(type='LN', eps=1e-6), dims)[1]
        self.fc1 = nn.Dense(dims, 2 * dims)
        self.act = build_activation_layer(dict(type='GELU'))
        self.fc2 = nn.Dense(2 * dims, dims)
        self.drop_path = build_dropout(dict(type='DropPath', drop_prob=drop_path_rate))

    def construct(self, x: Tensor) -> Tensor:
        """Apply to (n, tokens, dims)."""
        x = x + self.drop_path(self.attn(self.ln1(x)))
        return x + self.drop_path(self.fc2(self.act(self.fc1(self.ln2(x)))))


@BACKBONES.register_module()
class OwnTransformer(nn.Cell):
    """A plain vision transformer that gives the map of every block.

    Args:
        in_channels: Channels of the image.
        dims: Length of a token.
        depth: Number of blocks.
        num_heads: Heads of attention.
        patch_size: Side of a patch in pixels.
        table_size: Side of the position table, which is resized to the image's patches.
        drop_path_rate: Share of samples whose branches are dropped in training.
        init_cfg: See `apply_init_cfg`.
    """

    def __init__(
        self,
        in_channels: int = 3,
        dims: int = 16,
        depth: int = 2,
        num_heads: int = 2,
        patch_size: int = 8,
        table_size: int = 5,
        drop_path_rate: float = 0.2,
        init_cfg: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.init_cfg = init_cfg
        self.patch_embed = build_conv_layer(None, in_channels, dims, patch_size, stride=patch_size)
        table = initializer(TruncatedNormal(0.02), (1, dims, table_size, table_size), ms.float32)
        self.pos_embed = Parameter(table, 'pos_embed')
        self.blocks = nn.CellList([Block(dims, num_heads, drop_path_rate) for _ in range(depth)])
        self.norm = build_norm_layer(dict(type='LN', eps=1e-6), dims)[1]
        self.out_channels = [dims] * depth

    def construct(self, image: Tensor) -> tuple[Tensor, ...]:
        """Give the (n, dims, h', w') map of each block for an (n, c, h, w) image."""
        x = self.patch_embed(image)
        n, dims, h, w = x.shape
        x = x + resize(self.pos_embed, (h, w))
        x = x.reshape(n, dims, h * w).transpose(0, 2, 1)
        maps = ()
        for block in self.blocks:
            x = block(x)
            maps = maps + (self.norm(x).transpose(0, 2, 1).reshape(n, dims, h, w),)
        return maps


@HEADS.register_module()
class OwnHead(BaseDecodeHead):
    """Fuses several maps, enlarges them by a transposed convolution and takes cosines.

    Args:
        in_channels: Channels of each map.
        **kwargs: See `BaseDecodeHead`.
    """

    def __init__(self, in_channels: Sequence[int], **kwargs: Any) -> None:
        super().__init__(in_channels, input_transform='multiple_select', **kwargs)
        norm = dict(type='GN', num_groups=2)
        self.laterals = nn.CellList(
            [ConvModule(width, self.channels, 1, norm_cfg=norm) for width in in_channels]
        )
        upsample = dict(type='deconv', kernel_size=2, stride=2)
        self.upsample = build_upsample_layer(upsample, self.channels, self.channels)
        self.gn = build_norm_layer(norm, self.channels)[1]
        self.cosine = ops.Cos()

    def construct(self, inputs: tuple[Tensor, ...]) -> Tensor:
        """Give logits (n, num_classes, 2 h', 2 w')."""
        maps = self.transform_inputs(inputs)
        total = self.laterals[0](maps[0])
        for i in range(1, len(maps)):
            total = total + self.laterals[i](maps[i])
        return self.cls_seg(self.cosine(self.gn(self.upsample(total))))


@translates('Cos')
def _cosine(builder: Any, node: Any) -> str:
    return builder.emit('Cos', [builder.read(node.inputs[0])])


@OPTIMIZER_CONSTRUCTORS.register_module()
class OwnLayerDecay:
    """Lower rates for layers further from the head.

    Args:
        num_layers: Number of blocks.
        decay_rate: Factor on the rate from a layer to the one before it.
    """

    def __init__(self, num_layers: int, decay_rate: float) -> None:
        self.num_layers = num_layers
        self.decay_rate = decay_rate

    def multipliers(self, model: nn.Cell) -> Iterator[tuple[Parameter, float, float]]:
        """Yield each trainable parameter with its factors on learning rate and weight decay."""
        for name, _, parameter in named_parameters(model):
            layer = self.num_layers + 1
            if name.startswith('backbone.blocks.'):
                layer = int(name.split('.')[2]) + 1
            elif name.startswith(('backbone.patch_embed', 'backbone.pos_embed')):
                layer = 0
            decay = 0.0 if parameter.ndim == 1 or name.endswith('pos_embed') else 1.0
            yield parameter, self.decay_rate ** (self.num_layers + 1 - layer), decay

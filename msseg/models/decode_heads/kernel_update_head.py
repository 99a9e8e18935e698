"""A stage of K-Net's head."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.layers import (
    FFN,
    BatchProduct,
    ConvModule,
    KernelUpdator,
    MultiheadAttention,
    Rescale,
    apply_init_cfg,
    build_activation_layer,
    build_norm_layer,
    build_transformer_layer,
    resize,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.transformer import LN
from msseg.registry import call_with_cfg
from msseg.utils.arguments import Channels, PositiveInt, Probability, Range, checked
from msseg.utils.errors import UserValueError

Kernel = Annotated[int, Range(1, 255)]
Layers = Annotated[int, Range(0, 100)]
_UPDATOR: Mapping = MappingProxyType({'type': 'KernelUpdator'})
_SMALL = {'type': 'Normal', 'std': 0.01, 'override': {'name': 'fc_mask'}}


@HEADS.register_module()
class KernelUpdateHead(nn.Cell):
    """Gathers features by masks, updates the classes' kernels with them, and makes masks anew.

    A stage of `IterativeDecodeHead`; no decode head by itself.

    Args:
        num_classes: Number of classes; those of the head that generates the kernels count.
        num_ffn_fcs: Number of linear layers in the feed-forward network, at least 2.
        num_heads: Number of heads of the attention between classes.
        num_mask_fcs: Number of linear layers before ``fc_mask``.
        feedforward_channels: Length inside of the feed-forward network.
        in_channels: Channels of a tap of the kernels, and of the map with `feat_transform_cfg`.
        out_channels: Channels of a tap of the kernels that make masks: those of the map.
        dropout: Share dropped in attention and feed-forward network in training.
        act_cfg: See `build_activation_layer`.
        ffn_act_cfg: That of the feed-forward network.
        conv_kernel_size: Height and width of the kernels, an odd number.
        feat_transform_cfg: The convolution of the map: arguments of `ConvModule`, and
            ``kernel_size`` (1); None for none.
        kernel_init: Whether ``fc_mask`` starts normal, of deviation 0.01.
        with_ffn: Whether there is a feed-forward network.
        feat_gather_stride: Stride of the map's convolution.
        mask_transform_stride: 2 makes masks of half the size, and enlarges them.
        kernel_updator_cfg: The layer that updates kernels, such as `KernelUpdator`, the default.

    Raises:
        ValueError: Arguments that contradict each other.

    Source: Zhang et al., K-Net: Towards Unified Image Segmentation (2021); MMSegmentation 0.30
    ``KernelUpdateHead``, whose parameter names it keeps. As there in effect, linear layers start
    as PyTorch's (its ``init_weights`` is never called), but for `kernel_init`.
    """

    @checked
    def __init__(
        self,
        num_classes: Channels = 150,
        num_ffn_fcs: PositiveInt = 2,
        num_heads: PositiveInt = 8,
        num_mask_fcs: Layers = 3,
        feedforward_channels: Channels = 2048,
        in_channels: Channels = 256,
        out_channels: Channels = 256,
        dropout: Probability = 0.0,
        act_cfg: Mapping = RELU,
        ffn_act_cfg: Mapping = RELU,
        conv_kernel_size: Kernel = 1,
        feat_transform_cfg: Mapping | None = None,
        kernel_init: bool = False,
        with_ffn: bool = True,
        feat_gather_stride: Kernel = 1,
        mask_transform_stride: Literal[1, 2] = 1,
        kernel_updator_cfg: Mapping = _UPDATOR,
    ) -> None:
        super().__init__()
        if conv_kernel_size % 2 == 0:
            raise self._problem('conv_kernel_size', conv_kernel_size, 'an odd number')
        self.num_classes = num_classes
        self.in_channels, self.out_channels = in_channels, out_channels
        self.conv_kernel_size, self.taps = conv_kernel_size, conv_kernel_size**2
        width = in_channels * self.taps
        self.attention = MultiheadAttention(width, num_heads, dropout)
        self.attention_norm = build_norm_layer(LN, width)[1]
        self.kernel_update_conv = build_transformer_layer(kernel_updator_cfg)
        self._set_map_layers(feat_transform_cfg, feat_gather_stride, mask_transform_stride)
        self.ffn = None
        if with_ffn:
            self.ffn = FFN(in_channels, feedforward_channels, num_ffn_fcs, ffn_act_cfg, dropout)
            self.ffn_norm = build_norm_layer(LN, in_channels)[1]
        layers = []
        for _ in range(num_mask_fcs):
            layers.append(nn.Dense(in_channels, in_channels, has_bias=False))
            layers.append(build_norm_layer(LN, in_channels)[1])
            layers.append(build_activation_layer(act_cfg))
        self.mask_fcs = nn.CellList(layers)
        self.fc_mask = nn.Dense(in_channels, out_channels)
        reach = conv_kernel_size // 2
        self.pad = ops.Pad(((0, 0), (0, 0), (reach, reach), (reach, reach))) if reach else None
        self.gather = ops.BatchMatMul(transpose_b=True)
        self.product = BatchProduct()
        if kernel_init:
            apply_init_cfg(self, _SMALL)

    def check_channels(self, channels: int, length: int) -> int:
        """Return the length of a class's updated kernel.

        Args:
            channels: Channels of the map.
            length: Length of a class's kernel before.

        Raises:
            ValueError: The stage does not fit them.
        """
        width, total = self.in_channels, self.in_channels * self.taps
        of_map = f'{channels}, the channels of the map'
        if self.feat_transform is not None and width != channels:
            raise self._problem('in_channels', width, of_map)
        if self.out_channels != channels:
            raise self._problem('out_channels', self.out_channels, of_map)
        if length % width or length % channels:
            expected = f'kernels of {length} numbers, a multiple of it and of {of_map}'
            raise self._problem('in_channels', width, expected)
        layer = self.kernel_update_conv
        if isinstance(layer, KernelUpdator) and channels % layer.in_channels:
            expected = f'a divisor of {of_map}'
            raise self._problem('kernel_updator_cfg.in_channels', layer.in_channels, expected)
        if isinstance(layer, KernelUpdator):
            given = length // layer.in_channels * layer.out_channels
            if given != total:
                problem = (
                    f'kernel_updator_cfg gives kernels of {given} numbers, but in_channels '
                    f'({width}) and conv_kernel_size ({self.conv_kernel_size}) need {total}'
                )
                raise UserValueError(problem, advice='give another out_channels', who=_WHO)
        return total

    def construct(
        self, x: ms.Tensor, kernels: ms.Tensor, masks: ms.Tensor, has_mask_size: bool = False
    ) -> tuple[ms.Tensor, ms.Tensor]:
        """Update masks and kernels.

        Args:
            x: The map (n, c, h, w).
            kernels: (n, classes, length), of one image or of all.
            masks: (n, classes, h', w').
            has_mask_size: Whether masks are known to have the map's size.

        Returns:
            Masks and kernels of the same axes.
        """
        if self.feat_transform is not None:
            x = self.feat_transform(x)
        if not has_mask_size:
            masks = resize(masks, x.shape[2:])
        tokens = self.kernel_update_conv(_gathered(self.gather, masks, x), self._by_taps(kernels))
        tokens = self.attention_norm(self.attention(tokens, tokens))
        n, classes, _ = tokens.shape
        tokens = tokens.reshape(n, classes * self.taps, self.in_channels)
        if self.ffn is not None:
            tokens = self.ffn_norm(self.ffn(tokens))
        filters = tokens
        for layer in self.mask_fcs:
            filters = layer(filters)
        filters = self.fc_mask(filters)
        if self.shrink is not None:
            x = self.shrink(x)
        masks = self._convolve(x, filters)
        if self.enlarge is not None:
            masks = self.enlarge(masks)
        return masks, self._by_channels(tokens)

    def _convolve(self, x: ms.Tensor, filters: ms.Tensor) -> ms.Tensor:
        """Convolve each image (n, c, h, w) with its own filters (n, classes * taps, c)."""
        n, c, h, w = x.shape
        classes, size = filters.shape[1] // self.taps, self.conv_kernel_size
        if self.pad is None:
            return self.product(filters, x.reshape(n, c, h * w)).reshape(n, classes, h, w)
        x = self.pad(x)
        filters = filters.reshape(filters.shape[0], classes, self.taps, c)
        total = 0.0
        for i in range(size):
            for j in range(size):
                shifted = x[:, :, i : i + h, j : j + w].reshape(n, c, h * w)
                total = total + self.product(filters[:, :, i * size + j], shifted)
        return total.reshape(n, classes, h, w)

    def _by_taps(self, kernels: ms.Tensor) -> ms.Tensor:
        """Order kernels (n, classes, length) by taps, then channels, from the opposite."""
        n, classes, length = kernels.shape
        taps = length // self.in_channels
        if taps == 1:
            return kernels
        kernels = kernels.reshape(n, classes, self.in_channels, taps)
        return kernels.transpose(0, 1, 3, 2).reshape(n, classes, length)

    def _by_channels(self, tokens: ms.Tensor) -> ms.Tensor:
        """Turn tokens (n, classes * taps, in_channels) into kernels as PyTorch orders them."""
        if self.taps == 1:
            return tokens
        n, count, c = tokens.shape
        kernels = tokens.reshape(n, count // self.taps, self.taps, c)
        return kernels.transpose(0, 1, 3, 2).reshape(n, count // self.taps, c * self.taps)

    def _set_map_layers(self, cfg: Mapping | None, stride: int, mask_stride: int) -> None:
        if cfg is None and stride != 1:
            expected = '1 without feat_transform_cfg, whose convolution has it'
            raise self._problem('feat_gather_stride', stride, expected)
        options: dict[str, Any] = {'kernel_size': 1, **(cfg or {})}
        kernel, padding = options['kernel_size'], stride // 2
        self.feat_transform = None
        if cfg is not None:
            self.feat_transform = call_with_cfg(
                ConvModule,
                cfg.copy(),
                'feat_transform_cfg',
                in_channels=self.in_channels,
                out_channels=self.in_channels,
                kernel_size=1,
                stride=stride,
                padding=padding,
            )
        self.shrink = Rescale(0.5) if mask_stride == 2 and stride == 1 else None
        self.enlarge = Rescale(2) if mask_stride == 2 else None
        self.keeps_size = mask_stride == stride == kernel == 1
        smallest = 2 if self.shrink is not None else 1
        self.smallest_map = max(1, (smallest - 1) * stride + kernel - 2 * padding)

    @staticmethod
    def _problem(key: str, got: Any, expected: str) -> UserValueError:
        return UserValueError(key=key, got=got, expected=expected, who=_WHO)


_WHO = KernelUpdateHead.__name__


def _gathered(product: ops.BatchMatMul, masks: ms.Tensor, x: ms.Tensor) -> ms.Tensor:
    """Sum the map's pixels by each class's share of them: (n, classes, c).

    Sums over a whole map leave the range of float16.
    """
    n, c, h, w = x.shape
    shares = ops.softmax(masks.astype(ms.float32), axis=1)
    pixels = x.astype(ms.float32).reshape(n, c, h * w)
    return product(shares.reshape(n, masks.shape[1], h * w), pixels)

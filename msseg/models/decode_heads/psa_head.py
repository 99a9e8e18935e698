"""PSANet's head: each pixel gives to and takes from others by their place relative to it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import BatchProduct, ConvModule, build_conv_layer, resize
from msseg.utils.arguments import Positive, Range, Size, checked

_BOTH = 'bi-direction'


@HEADS.register_module()
class PSAHead(BaseDecodeHead):
    """Attends by masks that are learnt for each pixel: weights by the distance in rows and columns.

    The graph depends on the image's size: each size of image is compiled by itself, and is exported
    by itself.

    Args:
        mask_size: Rows and columns of the masks, (h, w). Pixels outside of the mask have the
            weight 0 before the softmax.
        psa_type: ``'collect'``: a pixel's mask says what it takes from the others;
            ``'distribute'``: what it gives to them; ``'bi-direction'``: both.
        compact: Whether the mask's numbers are those of all pixels in order, not by distance. The
            map, shrunk, must then have as many pixels as the mask.
        shrink_factor: Factor by which the map is shrunk before it attends.
        normalization_factor: Divisor of the result; None: the number of pixels in the mask.
        psa_softmax: Whether the weights are normalised by a softmax.
        **kwargs: See `BaseDecodeHead`.

    Source: Zhao et al., PSANet: Point-wise Spatial Attention Network (2018); MMSegmentation 0.30
    ``PSAHead``, whose parameter names it keeps.
    """

    fixed_size_reason = 'its masks are spread over the map by its size'

    @checked
    def __init__(
        self,
        mask_size: Size,
        psa_type: Literal['collect', 'distribute', 'bi-direction'] = _BOTH,
        compact: bool = False,
        shrink_factor: Annotated[int, Range(1, 255)] = 2,
        normalization_factor: Positive | None = 1.0,
        psa_softmax: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask_size, self.psa_type = tuple(mask_size), psa_type
        self.compact, self.shrink_factor = compact, shrink_factor
        self.psa_softmax = psa_softmax
        count = mask_size[0] * mask_size[1]
        self.normalization_factor = count if normalization_factor is None else normalization_factor
        self.is_bidirectional = psa_type == _BOTH
        width, options = self.channels, self.conv_options
        self.reduce = ConvModule(self.in_channels, width, 1, **options)
        self.attention = self._make_attention(count)
        if self.is_bidirectional:
            self.reduce_p = ConvModule(self.in_channels, width, 1, **options)
            self.attention_p = self._make_attention(count)
        total = width * (2 if self.is_bidirectional else 1)
        self.proj = ConvModule(total, self.in_channels, 1, padding=1, **options)
        self.bottleneck = ConvModule(self.in_channels * 2, width, 3, padding=1, **options)
        self.product = BatchProduct()

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature map's size."""
        x = self.transform_inputs(inputs)
        first = 'distribute' if self.psa_type == 'distribute' else 'collect'
        context = self._attend(self.reduce(x), self.attention, first)
        if self.is_bidirectional:
            given = self._attend(self.reduce_p(x), self.attention_p, 'distribute')
            context = ops.concat((context, given), axis=1)
        align_corners = self.shrunk(x.shape[2:])[1]
        context = resize(self.proj(context), x.shape[2:], align_corners)
        return self.bottleneck(ops.concat((x, context), axis=1))

    def _attend(self, x: ms.Tensor, attention: nn.Cell, psa_type: str) -> ms.Tensor:
        if self.shrink_factor != 1:
            size, align_corners = self.shrunk(x.shape[2:])
            x = resize(x, size, align_corners)
        n, c, h, w = x.shape
        y = attention(x)
        if self.compact:
            weights = self._order_compact(y, psa_type)
        else:
            weights = psa_mask(y, self.mask_size, psa_type)
        weights = weights.astype(ms.float32)
        if self.psa_softmax:
            weights = ops.softmax(weights, axis=1)
        y = self.product(x.reshape(n, c, h * w), weights)
        return y.reshape(n, c, h, w) * (1.0 / self.normalization_factor)

    def shrunk(self, size: tuple[int, int]) -> tuple[tuple[int, int], bool]:
        """Return the size at which the map attends, and the ``align_corners`` of both resizes."""
        factor = self.shrink_factor
        if factor == 1:
            return size, self.align_corners
        h, w = size
        if h % factor and w % factor:
            return ((h - 1) // factor + 1, (w - 1) // factor + 1), True
        return (h // factor, w // factor), False

    def _order_compact(self, y: ms.Tensor, psa_type: str) -> ms.Tensor:
        n, count, h, w = y.shape
        if count != h * w:
            raise ValueError(
                'PSAHead: with compact=True the map, shrunk, must have as many pixels as a mask: '
                'choose another crop size, mask_size or shrink_factor'
            )
        y = y.reshape(n, count, count)
        # MMSegmentation turns those that are collected, but of both kinds the others.
        is_turned = (psa_type == 'distribute') == self.is_bidirectional
        return y.transpose(0, 2, 1) if is_turned else y

    def _make_attention(self, count: int) -> nn.Cell:
        width = self.channels
        return nn.SequentialCell(
            ConvModule(width, width, 1, **self.conv_options),
            build_conv_layer(None, width, count, 1, bias=False),
        )


def psa_mask(y: ms.Tensor, mask_size: tuple[int, int], psa_type: str) -> ms.Tensor:
    """Spread each pixel's mask over the map: centred at the pixel, and 0 outside of it.

    Args:
        y: (n, mask_h * mask_w, h, w), a mask at each pixel.
        mask_size: (mask_h, mask_w). The middle is at ``(mask_h - 1) // 2, (mask_w - 1) // 2``.
        psa_type: See `PSAHead`.

    Returns:
        (n, h * w, h * w): for ``'distribute'`` at [p, q] what the mask of pixel p has for pixel q,
        for ``'collect'`` at [q, p].

    Source: as `PSAHead`, section 3.3.

    Examples:
        >>> masks = ms.Tensor([[[[1.0, 4.0]], [[2.0, 5.0]], [[3.0, 6.0]]]])  # at two pixels
        >>> psa_mask(masks, (1, 3), 'distribute').asnumpy().tolist()
        [[[2.0, 3.0], [4.0, 5.0]]]
    """
    n, _, h, w = y.shape
    rows, columns = mask_size
    y = y.reshape(n, rows, columns, h, w).transpose(0, 3, 1, 4, 2)
    y = _by_place(y.reshape(n * h * rows, w, columns))
    y = y.reshape(n, h, rows, w, w).transpose(0, 3, 4, 1, 2)
    y = _by_place(y.reshape(n * w * w, h, rows)).reshape(n, w, w, h, h)
    order = (0, 3, 1, 4, 2) if psa_type == 'distribute' else (0, 4, 2, 3, 1)
    return y.transpose(*order).reshape(n, h * w, h * w)


def _by_place(x: ms.Tensor) -> ms.Tensor:
    """Turn (b, p, m), of numbers by distance from p, into (b, p, q), of numbers by place q."""
    b, length, count = x.shape
    half = (count - 1) // 2
    before, behind = length - 1 - half, length - count + half
    x = x[:, :, max(-before, 0) : count - max(-behind, 0)]
    if max(before, behind) > 0:
        x = ops.Pad(((0, 0), (0, 0), (max(before, 0), max(behind, 0))))(x)
    if length == 1:
        return x
    # Now there are 2 * length - 1 distances in a row. In rows that are one shorter, those of the
    # next pixel begin one later: places are below each other.
    x = x.reshape(b, length * (2 * length - 1))[:, length - 1 : (2 * length + 1) * (length - 1)]
    return x.reshape(b, length, 2 * length - 2)[:, :, :length]

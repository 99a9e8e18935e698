"""Interlaced sparse self-attention, and ISANet's head."""

from __future__ import annotations

from typing import Annotated, Any

import mindspore as ms
from mindspore import ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, SelfAttentionBlock
from msseg.utils.arguments import Channels, Named, Range, checked

_Length = Annotated[int, Range(1, 255)]
Window = Annotated[tuple[_Length, _Length], Named('(h, w)')]


@HEADS.register_module()
class ISAHead(BaseDecodeHead):
    """Pixels attend to those at the same place of all windows, then to those of their own window.

    A map whose height or width is no multiple of the window's is padded with zeros, which take part
    in the attention. How it is divided depends on its size: a file is exported for one size.

    Args:
        isa_channels: Channels of keys and queries.
        down_factor: Height and width of the windows.
        **kwargs: See `BaseDecodeHead`.

    Source: Huang et al., Interlaced Sparse Self-Attention (2019); MMSegmentation 0.30 ``ISAHead``,
    whose parameter names it keeps.
    """

    fixed_size_reason = 'the number of windows depends on the size'
    runs_at_any_size = True

    @checked
    def __init__(self, isa_channels: Channels, down_factor: Window = (8, 8), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        options = self.conv_options
        self.down_factor = tuple(down_factor)
        self.in_conv = ConvModule(self.in_channels, self.channels, 3, padding=1, **options)
        attention = (self.channels, isa_channels, self.down_factor)
        self.global_relation = WindowAttention(*attention, across=True, **options)
        self.local_relation = WindowAttention(*attention, across=False, **options)
        self.out_conv = ConvModule(self.channels * 2, self.channels, 1, **options)
        # As many zeros as any size needs: what is too much is cut off, without a branch.
        self.pad = ops.Pad(((0, 0), (0, 0), *((length - 1, length - 1) for length in down_factor)))

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the chosen feature map's size."""
        x = self.in_conv(self.transform_inputs(inputs))
        h, w = x.shape[2:]
        window_h, window_w = self.down_factor
        whole_h = (h + window_h - 1) // window_h * window_h
        whole_w = (w + window_w - 1) // window_w * window_w
        top, left = (whole_h - h) // 2, (whole_w - w) // 2
        row, column = window_h - 1 - top, window_w - 1 - left
        y = self.pad(x)[:, :, row : row + whole_h, column : column + whole_w]
        y = self.local_relation(self.global_relation(y))
        y = y[:, :, top : top + h, left : left + w]
        return self.out_conv(ops.concat((y, x), axis=1))


class WindowAttention(SelfAttentionBlock):
    """Attention of pixels to those of their own window, or to those at its place in all windows.

    Args:
        in_channels: Channels of input and output.
        channels: Channels of keys and queries.
        window: Height and width of a window.
        across: Whether pixels attend across windows instead of within them.
        **options: Layers of `ConvModule`.

    Source: as `ISAHead`, section 3.
    """

    def __init__(
        self, in_channels: int, channels: int, window: tuple[int, int], across: bool, **options: Any
    ) -> None:
        super().__init__(
            in_channels,
            in_channels,
            channels,
            in_channels,
            key_query_num_convs=2,
            key_query_norm=True,
            matmul_norm=True,
            **options,
        )
        self.output_project = ConvModule(in_channels, in_channels, 1, **options)
        self.window = window
        self.across = across

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Attend in (n, c, h, w), of multiples of the window."""
        query, key = self._group(self.query_project(x)), self._group(self.key_project(x))
        context = self.attend(query, key, self._group(self.value_project(x)))
        return self.output_project(self._join(context, x.shape[2:]))

    def _group(self, x: ms.Tensor) -> ms.Tensor:
        """Return (n, groups, c, pixels of a group) of (n, c, h, w)."""
        n, c, h, w = x.shape
        window_h, window_w = self.window
        x = x.reshape(n, c, h // window_h, window_h, w // window_w, window_w)
        if self.across:
            x = x.transpose(0, 3, 5, 1, 2, 4)
        else:
            x = x.transpose(0, 2, 4, 1, 3, 5)
        _, rows, columns, _, height, width = x.shape
        return x.reshape(n, rows * columns, c, height * width)

    def _join(self, groups: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Undo `_group`."""
        n, _, c, _ = groups.shape
        h, w = size
        window_h, window_w = self.window
        num_h, num_w = h // window_h, w // window_w
        if self.across:
            x = groups.reshape(n, window_h, window_w, c, num_h, num_w).transpose(0, 3, 4, 1, 5, 2)
        else:
            x = groups.reshape(n, num_h, num_w, c, window_h, window_w).transpose(0, 3, 1, 4, 2, 5)
        return x.reshape(n, c, h, w)

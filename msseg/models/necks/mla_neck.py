"""SETR's neck for multi-level aggregation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.models.builder import NECKS
from msseg.models.layers import ConvModule, build_norm_layer
from msseg.utils.arguments import Channels, NonEmpty, checked

_LN: Mapping = MappingProxyType({'type': 'LN', 'eps': 1e-6, 'requires_grad': True})


@NECKS.register_module()
class MLANeck(nn.Cell):
    """Adds each map of a transformer to those of the deeper layers; all have one size.

    The results begin with the deepest map, as in MMSegmentation.

    Args:
        in_channels: Channels of the maps.
        out_channels: Channels of each result. The attribute is a list of them.
        norm_layer: The norm over the channels of each pixel, see `build_norm_layer`.
        norm_cfg: That of the convolutions, see `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.

    Source: Zheng et al., SETR (2021), arXiv:2012.15840, section 3.2; MMSegmentation 0.30
    ``MLANeck``, whose parameter names it keeps.

    Examples:
        >>> neck = MLANeck([8, 8], out_channels=4)
        >>> [each.shape for each in neck((ms.ops.ones((1, 8, 5, 6)), ms.ops.ones((1, 8, 5, 6))))]
        [(1, 4, 5, 6), (1, 4, 5, 6)]
    """

    @checked
    def __init__(
        self,
        in_channels: NonEmpty[Channels],
        out_channels: Channels,
        norm_layer: Mapping = _LN,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = tuple(in_channels)
        self.out_channels = [out_channels] * len(in_channels)
        self.norm = nn.CellList([build_norm_layer(norm_layer, c)[1] for c in in_channels])
        self.mla = MLAModule(in_channels, out_channels, norm_cfg=norm_cfg, act_cfg=act_cfg)

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Give a map (n, out_channels, h, w) for each one."""
        normed = ()
        for i in range(len(self.in_channels)):
            n, c, h, w = inputs[i].shape
            tokens = self.norm[i](inputs[i].reshape(n, c, h * w).transpose(0, 2, 1))
            normed = normed + (tokens.transpose(0, 2, 1).reshape(n, c, h, w),)
        return self.mla(normed)


class MLAModule(nn.Cell):
    """Projects maps, adds them up from the deepest one, and convolves the sums.

    Args:
        in_channels: Channels of the maps.
        out_channels: Channels of each result.
        **options: Layers of `ConvModule`.
    """

    def __init__(self, in_channels: tuple[int, ...], out_channels: int, **options: Any) -> None:
        super().__init__()
        self.channel_proj = nn.CellList(
            [ConvModule(c, out_channels, 1, **options) for c in in_channels]
        )
        self.feat_extract = nn.CellList(
            [ConvModule(out_channels, out_channels, 3, padding=1, **options) for _ in in_channels]
        )

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Give a result for each map, that of the last one first."""
        last = len(inputs) - 1
        total = self.channel_proj[last](inputs[last])
        outputs = (self.feat_extract[0](total),)
        for i in range(1, last + 1):
            total = total + self.channel_proj[last - i](inputs[last - i])
            outputs = outputs + (self.feat_extract[i](total),)
        return outputs

"""A neck that gives the maps of a transformer the sizes of a pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mindspore as ms
from mindspore import nn

from msseg.models.builder import NECKS
from msseg.models.layers import ConvModule, Rescale, apply_init_cfg
from msseg.utils.arguments import Channels, NonEmpty, Positive, checked
from msseg.utils.errors import ArgumentError

_XAVIER: Mapping = MappingProxyType(
    {'type': 'Xavier', 'layer': 'Conv2d', 'distribution': 'uniform'}
)


@NECKS.register_module()
class MultiLevelNeck(nn.Cell):
    """Projects maps, resizes each by a factor of its own, and convolves it.

    Args:
        in_channels: Channels of the maps. Of a single map all results are made.
        out_channels: Channels of each result. The attribute is a list of them.
        scales: The factors: whole numbers, or 1 divided by one.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.

    Raises:
        ValueError: As many maps as are neither one nor one for each factor, or another factor.

    Source: MMSegmentation 0.30 ``MultiLevelNeck``, whose parameter names and initialisation it
    keeps. There further maps than factors are projected, but never used.

    Examples:
        >>> neck = MultiLevelNeck([8], out_channels=4, scales=[0.5, 2])
        >>> [each.shape for each in neck((ms.ops.ones((1, 8, 5, 6)),))]
        [(1, 4, 2, 3), (1, 4, 10, 12)]
    """

    @checked
    def __init__(
        self,
        in_channels: NonEmpty[Channels],
        out_channels: Channels,
        scales: NonEmpty[Positive] = (0.5, 1, 2, 4),
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = None,
    ) -> None:
        super().__init__()
        if len(in_channels) not in (1, len(scales)):
            expected = f'1 number, or {len(scales)}, as many as scales'
            raise ArgumentError(
                key='in_channels', got=in_channels, expected=expected, who='MultiLevelNeck'
            )
        self.in_channels = tuple(in_channels)
        self.out_channels = [out_channels] * len(scales)
        options = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.lateral_convs = nn.CellList(
            [ConvModule(c, out_channels, 1, **options) for c in in_channels]
        )
        self.convs = nn.CellList(
            [ConvModule(out_channels, out_channels, 3, padding=1, **options) for _ in scales]
        )
        self.resizes = nn.CellList([_rescale(factor) for factor in scales])
        apply_init_cfg(self, _XAVIER)

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Give a map for each factor."""
        maps = ()
        for i in range(len(self.in_channels)):
            maps = maps + (self.lateral_convs[i](inputs[i]),)
        outputs = ()
        for i in range(len(self.out_channels)):
            x = maps[i] if len(self.in_channels) > 1 else maps[0]
            outputs = outputs + (self.convs[i](self.resizes[i](x)),)
        return outputs


def _rescale(factor: float) -> Rescale:
    try:
        return Rescale(factor)
    except ValueError as error:
        raise ValueError(f'MultiLevelNeck: scales: {error}') from error

"""FastFCN's neck: joint pyramid upsampling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import NECKS
from msseg.models.layers import ConvModule, DepthwiseSeparableConvModule, resize
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, NonEmpty, Range, checked
from msseg.utils.errors import UserValueError

Level = Annotated[int, Range(0, 255)]


@NECKS.register_module()
class JPU(nn.Cell):
    """Joins the last feature maps at the resolution of the first, instead of dilating the backbone.

    The maps used are convolved, resized to the first one's size and concatenated; separable
    convolutions of several dilations make the last result. The other results are the maps used
    except for the last, unchanged.

    Args:
        in_channels: Channels of all feature maps of the backbone, the highest resolution first.
        mid_channels: Channels of each convolution's result.
        start_level: Index of the first feature map that is used.
        end_level: Index after the last feature map that is used; -1: all are used.
        dilations: Dilations of the separable convolutions. The last result has
            ``len(dilations) * mid_channels`` channels.
        align_corners: How maps are resized.
        conv_cfg: See `build_conv_layer`; not of the separable convolutions.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.
        init_cfg: See `apply_init_cfg`.

    Raises:
        ValueError: Levels that do not exist.

    Source: Wu et al., FastFCN (2019); MMSegmentation 0.30 ``JPU``, whose parameter names it keeps.

    Examples:
        >>> neck = JPU([4, 8, 16], mid_channels=6)
        >>> maps = [ms.ops.ones((1, 4 * 2**i, 16 // 2**i, 16 // 2**i)) for i in range(3)]
        >>> [each.shape for each in neck.set_train(False)(tuple(maps))]
        [(1, 4, 16, 16), (1, 8, 8, 8), (1, 24, 16, 16)]
    """

    @checked
    def __init__(
        self,
        in_channels: NonEmpty[Channels] = (512, 1024, 2048),
        mid_channels: Channels = 512,
        start_level: Level = 0,
        end_level: Annotated[int, Range(-1, 255)] = -1,
        dilations: NonEmpty[Annotated[int, Range(1, 255)]] = (1, 2, 4, 8),
        align_corners: bool = False,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = BN,
        act_cfg: Mapping | None = RELU,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        end = len(in_channels) if end_level == -1 else end_level
        _check_levels(len(in_channels), start_level, end)
        self.in_channels = tuple(in_channels)
        self.start_level, self.end_level = start_level, end
        self.align_corners = align_corners
        used = in_channels[start_level:end]
        self.out_channels = [*used[:-1], len(dilations) * mid_channels]
        options = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.conv_layers = nn.CellList(
            [
                nn.SequentialCell(
                    ConvModule(width, mid_channels, 3, padding=1, conv_cfg=conv_cfg, **options)
                )
                for width in used
            ]
        )
        total = len(used) * mid_channels
        self.dilation_layers = nn.CellList(
            [
                nn.SequentialCell(
                    DepthwiseSeparableConvModule(
                        total, mid_channels, 3, 1, each, each, dw_act_cfg=None, **options
                    )
                )
                for each in dilations
            ]
        )
        self.init_cfg = init_cfg

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Give the maps used except for the last, and the joint one, for the backbone's maps."""
        used = inputs[self.start_level : self.end_level]
        first = self.conv_layers[0](used[0])
        joint = (first,)
        for i in range(1, len(used)):
            x = self.conv_layers[i](used[i])
            joint = joint + (resize(x, first.shape[2:], self.align_corners),)
        joint = ops.concat(joint, axis=1)
        dilated = ()
        for layer in self.dilation_layers:
            dilated = dilated + (layer(joint),)
        return used[:-1] + (ops.concat(dilated, axis=1),)


def _check_levels(count: int, start: int, end: int) -> None:
    if end > count:
        expected = f'-1, or at most {count}, the length of in_channels'
        raise UserValueError(key='end_level', got=end, expected=expected, who='JPU')
    if start >= end:
        expected = f'below {end}, the end of the levels'
        raise UserValueError(key='start_level', got=start, expected=expected, who='JPU')

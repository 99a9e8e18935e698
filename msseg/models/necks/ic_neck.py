"""ICNet's neck: cascade feature fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import NECKS
from msseg.models.layers import ConvModule, resize
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, checked


@NECKS.register_module()
class ICNeck(nn.Cell):
    """Fuses ICNet's maps from the smallest to the largest, with three results.

    The last one is for the decode head. The first two are the smaller maps before each fusion, at
    the larger one's size, for auxiliary heads (the paper's cascade label guidance).

    Args:
        in_channels: Channels of ICNet's three maps, the largest map first.
        out_channels: Channels of each result. The attribute is a list of them.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: The convolutions' activation, see `build_activation_layer`; that of the sums is
            ReLU.
        align_corners: How maps are resized.
        init_cfg: See `apply_init_cfg`.

    Source: Zhao et al., ICNet (2018), section 3.3; MMSegmentation 0.30 ``ICNeck``, whose parameter
    names it keeps.

    Examples:
        >>> neck = ICNeck((4, 6, 8), out_channels=5)
        >>> maps = [ms.ops.ones((2, 4 + 2 * i, 16 // 2**i, 8 // 2**i)) for i in range(3)]
        >>> [each.shape for each in neck.set_train(False)(tuple(maps))]
        [(2, 5, 8, 4), (2, 5, 16, 8), (2, 5, 16, 8)]
    """

    @checked
    def __init__(
        self,
        in_channels: tuple[Channels, Channels, Channels] = (64, 256, 256),
        out_channels: Channels = 128,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        align_corners: bool = False,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = tuple(in_channels)
        self.out_channels = [out_channels] * 3
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        first, second, third = in_channels
        self.cff_24 = CascadeFeatureFusion(third, second, out_channels, align_corners, **options)
        self.cff_12 = CascadeFeatureFusion(
            out_channels, first, out_channels, align_corners, **options
        )
        self.init_cfg = init_cfg

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
        """Give the results for ICNet's maps, (n, c, h, w) each."""
        first, second, third = inputs
        fused, low24 = self.cff_24(third, second)
        fused, low12 = self.cff_12(fused, first)
        return low24, low12, fused


class CascadeFeatureFusion(nn.Cell):
    """Adds a smaller map, resized and convolved, and a larger one; the paper's figure 3.

    Args:
        low_channels: Channels of the smaller map.
        high_channels: Channels of the larger map.
        out_channels: Channels of the results.
        align_corners: How the smaller map is resized.
        **options: Layers of `ConvModule`.
    """

    def __init__(
        self,
        low_channels: int,
        high_channels: int,
        out_channels: int,
        align_corners: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        self.conv_low = ConvModule(low_channels, out_channels, 3, padding=2, dilation=2, **options)
        self.conv_high = ConvModule(high_channels, out_channels, 1, **options)

    def construct(self, low: ms.Tensor, high: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Give the sum and the resized smaller map, both at the larger one's size."""
        low = self.conv_low(resize(low, high.shape[2:], self.align_corners))
        # The larger map first: an ONNX file for any size takes the size from what is before.
        return ops.relu(self.conv_high(high) + low), low

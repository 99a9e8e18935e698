"""Fast-SCNN: a fast backbone of two branches that share their first layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.backbones.inverted_residual import InvertedResidual
from msseg.models.builder import BACKBONES
from msseg.models.decode_heads.psp_head import PPM
from msseg.models.layers import ConvModule, DepthwiseSeparableConvModule, resize
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, Length, NonEmpty, Range, checked
from msseg.utils.errors import UserValueError

_POOL_SCALES = (1, 2, 3, 6)
_NUM_POOLS = len(_POOL_SCALES)
_NUM_BLOCKS = 3  # of each stage of the deep branch
_EXPAND_RATIO = 6
Three = Length(3, 3)


@BACKBONES.register_module()
class FastSCNN(nn.Cell):
    """Fast-SCNN: detail (1/8 of the image's size), context (1/32) and their fusion (1/8).

    Args:
        in_channels: Channels of the image.
        downsample_dw_channels: Channels of the first two halvings.
        global_in_channels: Channels of the detail.
        global_block_channels: Channels of the deep branch's three stages.
        global_block_strides: Step of each stage's first block.
        global_out_channels: Channels of the context.
        higher_in_channels: Channels of the detail, `global_in_channels`.
        lower_in_channels: Channels of the context, `global_out_channels`; a multiple of
            `fusion_out_channels`.
        fusion_out_channels: Channels of the fusion.
        out_indices: The maps that are given, and their order: detail 0, context 1, fusion 2.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        align_corners: How maps are resized.
        dw_act_cfg: The activation after the depthwise convolutions of the second and third
            halving; None for none, ``'default'`` for `act_cfg`.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: Numbers of channels that do not fit each other.

    Source: Poudel et al., Fast-SCNN (2019); MMSegmentation 0.30 ``FastSCNN``, whose parameter names
    it keeps, and which has `conv_cfg` and `act_cfg` in a part of the layers only.

    Examples:
        >>> FastSCNN(out_indices=(0, 2)).out_channels
        [64, 128]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        downsample_dw_channels: Annotated[Sequence[Channels], Length(2, 2)] = (32, 48),
        global_in_channels: Channels = 64,
        global_block_channels: Annotated[Sequence[Channels], Three] = (64, 96, 128),
        global_block_strides: Annotated[Sequence[Literal[1, 2]], Three] = (2, 2, 1),
        global_out_channels: Channels = 128,
        higher_in_channels: Channels = 64,
        lower_in_channels: Channels = 128,
        fusion_out_channels: Channels = 128,
        out_indices: NonEmpty[Annotated[int, Range(0, 2)]] = (0, 1, 2),
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        align_corners: bool = False,
        dw_act_cfg: Mapping | Literal['default'] | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        lower, last = lower_in_channels, global_block_channels[-1]
        for key, got, fits, expected in (
            (
                'higher_in_channels',
                higher_in_channels,
                higher_in_channels == global_in_channels,
                f'{global_in_channels}, as global_in_channels',
            ),
            (
                'lower_in_channels',
                lower,
                lower == global_out_channels,
                f'{global_out_channels}, as global_out_channels',
            ),
            (
                'fusion_out_channels',
                fusion_out_channels,
                lower % fusion_out_channels == 0,
                f'a divisor of lower_in_channels ({lower})',
            ),
            (
                'global_block_channels[-1]',
                last,
                last % _NUM_POOLS == 0,
                f'a multiple of {_NUM_POOLS}',
            ),
        ):
            if not fits:
                raise UserValueError(key=key, got=got, expected=expected, who='FastSCNN')
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        widths = (in_channels, *downsample_dw_channels, global_in_channels)
        self.learning_to_downsample = LearningToDownsample(widths, dw_act_cfg, **options)
        self.global_feature_extractor = GlobalFeatureExtractor(
            (global_in_channels, *global_block_channels),
            global_out_channels,
            global_block_strides,
            align_corners,
            **options,
        )
        self.feature_fusion = FeatureFusionModule(
            higher_in_channels, lower_in_channels, fusion_out_channels, align_corners, **options
        )
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        channels = (higher_in_channels, lower_in_channels, fusion_out_channels)
        self.out_channels = [channels[i] for i in self.out_indices]
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen feature maps of an (n, c, h, w) image of any size."""
        detail = self.learning_to_downsample(image)
        context = self.global_feature_extractor(detail)
        maps = (detail, context, self.feature_fusion(detail, context))
        chosen = ()
        for i in self.out_indices:
            chosen = chosen + (maps[i],)
        return chosen


class LearningToDownsample(nn.Cell):
    """Three halvings, by a convolution and two separable ones. Source: as `FastSCNN`.

    Args:
        widths: Channels of the image and after each halving.
        dw_act_cfg: See `FastSCNN`.
        **options: Layers of `ConvModule`.
    """

    def __init__(
        self, widths: Sequence[int], dw_act_cfg: Mapping | str | None, **options: Any
    ) -> None:
        super().__init__()
        step = {'stride': 2, 'padding': 1, **options}
        self.conv = ConvModule(widths[0], widths[1], 3, **step)
        step = {'dw_act_cfg': dw_act_cfg, **step}
        self.dsconv1 = DepthwiseSeparableConvModule(widths[1], widths[2], 3, **step)
        self.dsconv2 = DepthwiseSeparableConvModule(widths[2], widths[3], 3, **step)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give an eighth of (n, c, h, w)."""
        return self.dsconv2(self.dsconv1(self.conv(x)))


class GlobalFeatureExtractor(nn.Cell):
    """Three stages of inverted residual blocks, and pyramid pooling. Source: as `FastSCNN`.

    Args:
        widths: Channels of the input and of each stage.
        out_channels: Channels of the output.
        strides: Step of each stage's first block.
        align_corners: How pooled maps are resized back.
        **options: Layers of `ConvModule`.
    """

    def __init__(
        self,
        widths: Sequence[int],
        out_channels: int,
        strides: Sequence[int],
        align_corners: bool,
        **options: Any,
    ) -> None:
        super().__init__()
        for i, stride in enumerate(strides):
            before, after = widths[i : i + 2]
            blocks = [InvertedResidual(before, after, stride, _EXPAND_RATIO, **options)]
            for _ in range(_NUM_BLOCKS - 1):
                blocks.append(InvertedResidual(after, after, 1, _EXPAND_RATIO, **options))
            setattr(self, f'bottleneck{i + 1}', nn.SequentialCell(blocks))
        width = widths[-1]
        self.ppm = PPM(_POOL_SCALES, width, width // _NUM_POOLS, align_corners, **options)
        self.out = ConvModule(2 * width, out_channels, 3, padding=1, **options)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give the context of (n, c, h, w), a quarter of its size by default."""
        x = self.bottleneck3(self.bottleneck2(self.bottleneck1(x)))
        return self.out(ops.concat((x,) + self.ppm(x), axis=1))


class FeatureFusionModule(nn.Cell):
    """Adds the context, resized and convolved, to the detail. Source: as `FastSCNN`.

    Args:
        higher_in_channels: Channels of the detail.
        lower_in_channels: Channels of the context.
        out_channels: Channels of the output.
        align_corners: How the context is resized.
        act_cfg: The activation of the depthwise convolution; the sum has ReLU.
        **options: Other layers of `ConvModule`.
    """

    def __init__(
        self,
        higher_in_channels: int,
        lower_in_channels: int,
        out_channels: int,
        align_corners: bool,
        act_cfg: Mapping,
        **options: Any,
    ) -> None:
        super().__init__()
        self.align_corners = align_corners
        depthwise = {'padding': 1, 'groups': out_channels, 'act_cfg': act_cfg}
        self.dwconv = ConvModule(lower_in_channels, out_channels, 3, **depthwise, **options)
        self.conv_lower_res = ConvModule(out_channels, out_channels, 1, act_cfg=None, **options)
        self.conv_higher_res = ConvModule(
            higher_in_channels, out_channels, 1, act_cfg=None, **options
        )
        self.relu = nn.ReLU()

    def construct(self, detail: ms.Tensor, context: ms.Tensor) -> ms.Tensor:
        """Give (n, out_channels, h, w), h and w as those of the detail."""
        context = resize(context, detail.shape[2:], self.align_corners)
        context = self.conv_lower_res(self.dwconv(context))
        return self.relu(self.conv_higher_res(detail) + context)

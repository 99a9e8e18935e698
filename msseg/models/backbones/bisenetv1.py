"""BiSeNetV1: a shallow path for details beside a pretrained backbone for context."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES, build_backbone
from msseg.models.contract import check_inner_backbone
from msseg.models.layers import AdaptiveAvgPool2d, ConvModule, resize_nearest
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, Length, Range, checked
from msseg.utils.errors import ArgumentError

Map = Annotated[int, Range(0, 2)]


@BACKBONES.register_module()
class BiSeNetV1(nn.Cell):
    """BiSeNetV1's encoder, with three maps: both paths fused, and two of the context path.

    With the default strides of a ResNet all are 1/8 of the image's size but the last, 1/16.

    Args:
        backbone_cfg: The config of a backbone with four maps, from 1/4 to 1/32 of the size.
        in_channels: Channels of the image.
        spatial_channels: Channels of the four layers of the spatial path.
        context_channels: Channels of the context path, and of the backbone's last two maps.
        out_indices: Indices of the maps to give, in this order.
        align_corners: Accepted as False for MMSegmentation's configs: maps are resized by repeating
            pixels.
        out_channels: Channels of the fused map.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: Channels that do not fit each other or the backbone.

    Source: Yu et al., BiSeNet (2018), arXiv:1808.00897; MMSegmentation 0.30 ``BiSeNetV1``, whose
    parameter names it keeps. There `conv_cfg`, `norm_cfg` and `act_cfg` have no influence.

    Examples:
        >>> resnet = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
        >>> channels = dict(spatial_channels=(4, 4, 4, 8), context_channels=(8, 16, 32))
        >>> BiSeNetV1(resnet, out_channels=16, **channels).out_channels
        [16, 8, 8]
    """

    @checked
    def __init__(
        self,
        backbone_cfg: Mapping,
        in_channels: Channels = 3,
        spatial_channels: tuple[Channels, Channels, Channels, Channels] = (64, 64, 64, 128),
        context_channels: tuple[Channels, Channels, Channels] = (128, 256, 512),
        out_indices: Annotated[Sequence[Map], Length()] = (0, 1, 2),
        align_corners: Literal[False] = False,
        out_channels: Channels = 256,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        fused = spatial_channels[3] + context_channels[0]
        if fused != context_channels[1]:
            expected = f'{context_channels[1]} - {context_channels[0]} last (of context_channels)'
            raise ArgumentError(
                key='spatial_channels', got=spatial_channels, expected=expected, who='BiSeNetV1'
            )
        channels = (out_channels, context_channels[0], context_channels[0])
        self.in_channels = in_channels
        self.out_indices = tuple(out_indices)
        self.out_channels = [channels[i] for i in out_indices]
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        self.context_path = ContextPath(backbone_cfg, context_channels, **options)
        maps = (None, None, *context_channels[1:])
        check_inner_backbone(self.context_path.backbone, in_channels, maps, 'BiSeNetV1')
        self.spatial_path = SpatialPath(in_channels, spatial_channels, **options)
        self.ffm = FeatureFusionModule(fused, out_channels, **options)
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen maps for an (n, c, h, w) image of any size."""
        context8, context16 = self.context_path(image)
        maps = (self.ffm(self.spatial_path(image), context8), context8, context16)
        chosen = ()
        for i in self.out_indices:
            chosen = chosen + (maps[i],)
        return chosen


class SpatialPath(nn.Cell):
    """Three strided convolutions and a 1x1: an eighth of the size; see `BiSeNetV1`."""

    def __init__(self, in_channels: int, num_channels: Sequence[int], **options: Any) -> None:
        super().__init__()
        first, second, third, last = num_channels
        self.layer1 = ConvModule(in_channels, first, 7, 2, 3, **options)
        self.layer2 = ConvModule(first, second, 3, 2, 1, **options)
        self.layer3 = ConvModule(second, third, 3, 2, 1, **options)
        self.layer4 = ConvModule(third, last, 1, **options)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the layers to an (n, c, h, w) image."""
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class AttentionRefinementModule(nn.Cell):
    """A 3x3 convolution whose channels are scaled by the image's mean; the paper's figure 2b."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv_layer = ConvModule(in_channels, out_channels, 3, 1, 1, **options)
        linear = {**options, 'act_cfg': None}
        self.atten_conv_layer = nn.SequentialCell(
            AdaptiveAvgPool2d(1),
            ConvModule(out_channels, out_channels, 1, bias=False, **linear),
            nn.Sigmoid(),
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the module to (n, c, h, w)."""
        x = self.conv_layer(x)
        return x * self.atten_conv_layer(x)


class ContextPath(nn.Cell):
    """A backbone whose last two maps and mean are refined and summed; see `BiSeNetV1`."""

    def __init__(self, backbone_cfg: Mapping, channels: Sequence[int], **options: Any) -> None:
        super().__init__()
        width = channels[0]
        self.always_resizes = False  # set by an export for any size
        self.backbone = build_backbone(backbone_cfg)
        self.arm16 = AttentionRefinementModule(channels[1], width, **options)
        self.arm32 = AttentionRefinementModule(channels[2], width, **options)
        self.conv_head32 = ConvModule(width, width, 3, 1, 1, **options)
        self.conv_head16 = ConvModule(width, width, 3, 1, 1, **options)
        self.gap_conv = nn.SequentialCell(
            AdaptiveAvgPool2d(1), ConvModule(channels[2], width, 1, **options)
        )

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Give maps of the sizes of the backbone's second and third one."""
        _, x8, x16, x32 = self.backbone(x)
        refined32 = self.arm32(x32) + self.gap_conv(x32)
        context16 = self.conv_head32(resize_nearest(refined32, x16.shape[2:], self.always_resizes))
        refined16 = self.arm16(x16) + context16
        context8 = self.conv_head16(resize_nearest(refined16, x8.shape[2:], self.always_resizes))
        return context8, context16


class FeatureFusionModule(nn.Cell):
    """A 1x1 convolution over both paths, scaled by its mean, and a shortcut; figure 2c."""

    def __init__(self, in_channels: int, out_channels: int, **options: Any) -> None:
        super().__init__()
        self.conv1 = ConvModule(in_channels, out_channels, 1, **options)
        self.gap = AdaptiveAvgPool2d(1)
        self.conv_atten = nn.SequentialCell(
            ConvModule(out_channels, out_channels, 1, bias=False, **options), nn.Sigmoid()
        )

    def construct(self, spatial: ms.Tensor, context: ms.Tensor) -> ms.Tensor:
        """Fuse two maps of one size."""
        x = self.conv1(ops.concat((spatial, context), axis=1))
        return x * self.conv_atten(self.gap(x)) + x

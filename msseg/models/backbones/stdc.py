"""STDCNet, and its context path: a fast backbone of short dense concatenations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.backbones.bisenetv1 import AttentionRefinementModule
from msseg.models.builder import BACKBONES, build_backbone
from msseg.models.contract import check_inner_backbone
from msseg.models.layers import AdaptiveAvgPool2d, AvgPool2d, ConvModule, resize, resize_nearest
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.registry import call_with_cfg
from msseg.utils.arguments import Channels, File, Range, checked
from msseg.utils.errors import ArgumentError

_STRIDES = {
    'STDCNet1': ((2, 1), (2, 1), (2, 1)),
    'STDCNet2': ((2, 1, 1, 1), (2, 1, 1, 1, 1), (2, 1, 1)),
}
_FFM: Mapping = MappingProxyType({'in_channels': 512, 'out_channels': 256, 'scale_factor': 4})


@BACKBONES.register_module()
class STDCNet(nn.Cell):
    """STDCNet: three feature maps of 1/8, 1/16 and 1/32 of the image's size.

    Args:
        stdc_type: ``'STDCNet1'``, two modules a stage, or ``'STDCNet2'``, three to five.
        in_channels: Channels of the image.
        channels: Channels of two convolutions and of three stages.
        bottleneck_type: Whether a module concatenates its layers' outputs (``'cat'``), or adds the
            input to them as well (``'add'``).
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`; the 1x1 convolutions have ReLU in any case.
        num_convs: Number of layers of a module.
        with_final_conv: Whether a 1x1 convolution follows the last stage.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: Channels that cannot be halved so often, or a bad value.

    Source: Fan et al., Rethinking BiSeNet (2021), arXiv:2104.13188; MMSegmentation 0.30
    ``STDCNet``, whose parameter names it keeps.

    Examples:
        >>> options = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
        >>> net = STDCNet('STDCNet1', 3, (4, 4, 16, 16, 32), 'cat', **options).set_train(False)
        >>> [m.shape for m in net(ms.ops.ones((1, 3, 64, 64)))]
        [(1, 16, 8, 8), (1, 16, 4, 4), (1, 32, 2, 2)]
    """

    @checked
    def __init__(
        self,
        stdc_type: Literal['STDCNet1', 'STDCNet2'],
        in_channels: Channels,
        channels: tuple[Channels, Channels, Channels, Channels, Channels],
        bottleneck_type: Literal['add', 'cat'],
        norm_cfg: Mapping | None,
        act_cfg: Mapping | None,
        num_convs: Annotated[int, Range(2, 16)] = 4,
        with_final_conv: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        divisor = 2 ** (num_convs - 1)
        if any(width % divisor for width in channels[2:]):
            expected = f'multiples of {divisor} from the third on (2 ** (num_convs - 1))'
            raise ArgumentError(key='channels', got=channels, expected=expected, who='STDCNet')
        options = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        stages = [
            ConvModule(in_channels, channels[0], 3, 2, 1, **options),
            ConvModule(channels[0], channels[1], 3, 2, 1, **options),
        ]
        for i, strides in enumerate(_STRIDES[stdc_type], 1):
            before, width = channels[i : i + 2]
            modules = [
                STDCModule(width if k else before, width, stride, num_convs, bottleneck_type,
                           **options)
                for k, stride in enumerate(strides)
            ]  # fmt: skip
            stages.append(nn.SequentialCell(modules))
        self.stages = nn.CellList(stages)
        self.out_channels = list(channels[2:])
        self.final_conv = None
        if with_final_conv:
            self.out_channels[-1] = max(1024, channels[-1])
            self.final_conv = ConvModule(channels[-1], self.out_channels[-1], 1, **options)
        self.in_channels = in_channels
        self.pretrained = pretrained
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the stages' maps for an (n, c, h, w) image of any size."""
        x = self.stages[1](self.stages[0](image))
        x8 = self.stages[2](x)
        x16 = self.stages[3](x8)
        x32 = self.stages[4](x16)
        if self.final_conv is not None:
            x32 = self.final_conv(x32)
        return x8, x16, x32


class STDCModule(nn.Cell):
    """Layers of ever fewer channels in a row, whose outputs are concatenated.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output; those of the input for ``'add'`` and a stride of 1.
        stride: 1 or 2.
        num_convs: Number of layers.
        fusion_type: ``'add'`` or ``'cat'``; see `STDCNet`.
        **options: Layers of `ConvModule`.

    Source: the paper's figure 3; MMSegmentation 0.30 ``STDCModule``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        num_convs: int,
        fusion_type: str,
        **options: Any,
    ) -> None:
        super().__init__()
        half = out_channels // 2
        linear = {'norm_cfg': options['norm_cfg'], 'act_cfg': None}
        first = ConvModule(in_channels, half, 1, norm_cfg=options['norm_cfg'])
        self.adds = fusion_type == 'add'
        self.downsample = self.skip = None
        if stride == 2:
            downsample = ConvModule(half, half, 3, 2, 1, groups=half, **linear)
            if self.adds:
                first = nn.SequentialCell(first, downsample)
                self.skip = nn.SequentialCell(
                    ConvModule(in_channels, in_channels, 3, 2, 1, groups=in_channels, **linear),
                    ConvModule(in_channels, out_channels, 1, **linear),
                )
            else:
                self.downsample = downsample
                self.skip = AvgPool2d(half, 3, 2, 1)
        layers = [first]
        for i in range(1, num_convs):
            width = out_channels // 2 ** min(i + 1, num_convs - 1)
            layers.append(ConvModule(out_channels // 2**i, width, 3, 1, 1, **options))
        self.layers = nn.CellList(layers)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the module to (n, c, h, w)."""
        first = self.layers[0](x)
        y = first if self.downsample is None else self.downsample(first)
        outputs = (first if self.adds or self.skip is None else self.skip(first),)
        # by index: a slice of a list of cells names its parameters anew (MindSpore 2.8)
        for i in range(1, len(self.layers)):
            y = self.layers[i](y)
            outputs = outputs + (y,)
        fused = ops.concat(outputs, axis=1)
        if not self.adds:
            return fused
        return fused + (x if self.skip is None else self.skip(x))


@BACKBONES.register_module()
class STDCContextPathNet(nn.Cell):
    """STDCNet with a context path.

    The four maps are the backbone's first one, 1/8 of the image's size, for `STDCHead`; two of the
    context path, 1/16 and 1/8; and the fused one, 1/8, for the decode head.

    Args:
        backbone_cfg: The config of an `STDCNet`, or of another backbone with three such maps.
        last_in_channels: Channels of the backbone's last map and of the one before.
        out_channels: Channels of the context path.
        ffm_cfg: The feature fusion's ``in_channels`` (those of the backbone's first map and
            `out_channels`), ``out_channels``, ``scale_factor`` (how many times fewer channels its
            attention has inside), and if wanted ``norm_cfg`` and ``act_cfg``.
        upsample_mode: How the context path enlarges.
        align_corners: How ``'bilinear'`` does; None for ``'nearest'``.
        norm_cfg: See `build_norm_layer`.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: Channels that do not fit each other or the backbone.

    Source: Fan et al., Rethinking BiSeNet (2021), figure 4; MMSegmentation 0.30
    ``STDCContextPathNet``, whose parameter names it keeps. There `norm_cfg` does not reach the
    attention refinement, and other ways to enlarge exist that no config uses.
    """

    @checked
    def __init__(
        self,
        backbone_cfg: Mapping,
        last_in_channels: tuple[Channels, Channels] = (1024, 512),
        out_channels: Channels = 128,
        ffm_cfg: Mapping = _FFM,
        upsample_mode: Literal['nearest', 'bilinear'] = 'nearest',
        align_corners: bool | None = None,
        norm_cfg: Mapping = BN,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        name = type(self).__name__
        if align_corners is not None and upsample_mode == 'nearest':
            expected = "None for upsample_mode='nearest'"
            raise ArgumentError(key='align_corners', got=align_corners, expected=expected, who=name)
        self.backbone = build_backbone(backbone_cfg)
        self.ffm = call_with_cfg(FeatureFusionModule, ffm_cfg.copy(), f'{name}: ffm_cfg')
        maps = (max(ffm_cfg['in_channels'] - out_channels, 1), *last_in_channels[::-1])
        check_inner_backbone(self.backbone, None, maps, name)
        self.arms = nn.CellList(
            [
                AttentionRefinementModule(width, out_channels, norm_cfg=norm_cfg)
                for width in last_in_channels
            ]
        )
        self.convs = nn.CellList(
            [
                ConvModule(out_channels, out_channels, 3, 1, 1, norm_cfg=norm_cfg)
                for _ in last_in_channels
            ]
        )
        self.pool = AdaptiveAvgPool2d(1)
        self.conv_avg = ConvModule(last_in_channels[0], out_channels, 1, norm_cfg=norm_cfg)
        self.always_resizes = False  # set by an export for any size
        self.is_nearest = upsample_mode == 'nearest'
        self.align_corners = bool(align_corners)
        self.out_channels = [maps[0], out_channels, out_channels, ffm_cfg['out_channels']]
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the four maps for an (n, c, h, w) image of any size."""
        x8, x16, x32 = self.backbone(image)
        # one pixel, enlarged in any way, is the same everywhere
        refined = self.arms[0](x32) + self.conv_avg(self.pool(x32))
        context16 = self.convs[0](self._enlarge(refined, x16.shape[2:]))
        refined = self.arms[1](x16) + context16
        context8 = self.convs[1](self._enlarge(refined, x8.shape[2:]))
        return x8, context16, context8, self.ffm(x8, context8)

    def _enlarge(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        if self.is_nearest:
            return resize_nearest(x, size, self.always_resizes)
        return resize(x, size, self.align_corners)


class FeatureFusionModule(nn.Cell):
    """A 1x1 convolution over both paths, scaled by an attention, and a shortcut."""

    @checked
    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        scale_factor: Annotated[int, Range(1, 65535)] = 4,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
    ) -> None:
        super().__init__()
        if scale_factor > out_channels:
            expected = f'at most out_channels ({out_channels})'
            raise ArgumentError(
                key='scale_factor', got=scale_factor, expected=expected, who='FeatureFusionModule'
            )
        inner = out_channels // scale_factor
        self.conv0 = ConvModule(in_channels, out_channels, 1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.attention = nn.SequentialCell(
            AdaptiveAvgPool2d(1),
            ConvModule(out_channels, inner, 1, bias=False, act_cfg=act_cfg),
            ConvModule(inner, out_channels, 1, bias=False, act_cfg=None),
            nn.Sigmoid(),
        )

    def construct(self, spatial: ms.Tensor, context: ms.Tensor) -> ms.Tensor:
        """Fuse two maps of one size."""
        x = self.conv0(ops.concat((spatial, context), axis=1))
        return x * self.attention(x) + x

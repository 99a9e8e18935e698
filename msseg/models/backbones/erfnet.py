"""ERFNet: an encoder and a decoder of factorised residual blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    Dropout,
    apply_init_cfg,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    build_upsample_layer,
    resize,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.dropout import Ratio
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, NonEmpty, Range, checked
from msseg.utils.errors import UserValueError

_EPS = 1e-3
_UPSAMPLE = {'type': 'deconv', 'kernel_size': 3, 'stride': 2, 'padding': 1, 'output_padding': 1}
_PYTORCH = {'type': 'PyTorchDefault', 'layer': ['Conv2d', 'ConvTranspose2d']}
Depths = NonEmpty[Annotated[int, Range(0, 100)]]


@BACKBONES.register_module()
class ERFNet(nn.Cell):
    """ERFNet: one feature map, of half the image's size by default.

    Args:
        in_channels: Channels of the image.
        enc_downsample_channels: Channels after each halving of the encoder.
        enc_stage_non_bottlenecks: Number of residual blocks after each halving but the first.
        enc_non_bottleneck_dilations: Dilations of the last stage's blocks, repeated; their number
            divides that of the blocks.
        enc_non_bottleneck_channels: Channels of the encoder's blocks, those after its halvings
            but the first.
        dec_upsample_channels: Channels after each doubling of the decoder.
        dec_stages_non_bottleneck: Number of residual blocks after each doubling.
        dec_non_bottleneck_channels: Channels of the decoder's blocks, those after its doublings.
        dropout_ratio: Share of elements that the encoder's blocks drop.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`; ``eps`` is 1e-3 unless it is given here.
        act_cfg: See `build_activation_layer`.
        init_cfg: See `apply_init_cfg`; by default as PyTorch initialises.

    Raises:
        ValueError: Lists that do not fit each other.

    Source: Romera et al., ERFNet (2018); MMSegmentation 0.30 ``ERFNet``, whose parameter names it
    keeps, and which ignores `conv_cfg`, `norm_cfg` and `act_cfg`.

    Examples:
        >>> ERFNet(dec_upsample_channels=(32, 8), dec_non_bottleneck_channels=(32, 8)).out_channels
        [8]
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        enc_downsample_channels: NonEmpty[Channels] = (16, 64, 128),
        enc_stage_non_bottlenecks: Depths = (5, 8),
        enc_non_bottleneck_dilations: NonEmpty[Annotated[int, Range(1, 255)]] = (2, 4, 8, 16),
        enc_non_bottleneck_channels: NonEmpty[Channels] = (64, 128),
        dec_upsample_channels: NonEmpty[Channels] = (64, 16),
        dec_stages_non_bottleneck: Depths = (2, 2),
        dec_non_bottleneck_channels: NonEmpty[Channels] = (64, 16),
        dropout_ratio: Ratio = 0.1,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        widths, dilations = list(enc_downsample_channels), list(enc_non_bottleneck_dilations)
        *depths, last_depth = enc_stage_non_bottlenecks
        for key, got, expected in (
            ('len(enc_stage_non_bottlenecks)', len(depths) + 1, len(widths) - 1),
            ('enc_non_bottleneck_channels', [*enc_non_bottleneck_channels], widths[1:]),
            ('len(dec_upsample_channels)', len(dec_upsample_channels), len(widths) - 1),
            ('len(dec_stages_non_bottleneck)', len(dec_stages_non_bottleneck), len(widths) - 1),
            (
                'dec_non_bottleneck_channels',
                [*dec_non_bottleneck_channels],
                [*dec_upsample_channels],
            ),
        ):
            if got != expected:
                raise UserValueError(key=key, got=got, expected=expected, who='ERFNet')
        if last_depth % len(dilations):
            raise UserValueError(
                key='enc_stage_non_bottlenecks[-1]',
                got=last_depth,
                expected=f'a multiple of the {len(dilations)} enc_non_bottleneck_dilations',
                who='ERFNet',
            )
        layers = {
            'conv_cfg': conv_cfg,
            'norm_cfg': {'eps': _EPS, **norm_cfg},
            'act_cfg': act_cfg,
        }
        stages = [[1] * depth for depth in depths] + [dilations * (last_depth // len(dilations))]
        encoder = [DownsamplerBlock(in_channels, widths[0], **layers)]
        for before, after, stage in zip(widths, widths[1:], stages, strict=False):
            encoder.append(DownsamplerBlock(before, after, **layers))
            encoder += [NonBottleneck1d(after, dropout_ratio, each, **layers) for each in stage]
        decoder, width = [], widths[-1]
        for after, depth in zip(dec_upsample_channels, dec_stages_non_bottleneck, strict=True):
            decoder.append(
                UpsamplerBlock(width, after, norm_cfg=layers['norm_cfg'], act_cfg=act_cfg)
            )
            decoder += [NonBottleneck1d(after, 0.0, 1, **layers) for _ in range(depth)]
            width = after
        self.encoder = nn.CellList(encoder)
        self.decoder = nn.CellList(decoder)
        self.in_channels = in_channels
        self.out_channels = [width]
        # the last halving pools two pixels or more
        self.smallest_image = 2 ** (len(widths) - 1) + 1
        self.init_cfg = init_cfg
        apply_init_cfg(self, _PYTORCH)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the feature map of an (n, c, h, w) image of any size."""
        x = image
        for block in self.encoder:
            x = block(x)
        for block in self.decoder:
            x = block(x)
        return (x,)


class DownsamplerBlock(nn.Cell):
    """Halve by a strided convolution and by max pooling, concatenate, normalise, activate.

    Where a side is odd, the pooled map is one pixel smaller, and resized. Source: as `ERFNet`.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        conv_cfg: Mapping | None,
        norm_cfg: Mapping,
        act_cfg: Mapping,
    ) -> None:
        super().__init__()
        if out_channels <= in_channels:
            expected = f'more than the {in_channels} channels before'
            raise UserValueError(
                key='enc_downsample_channels', got=out_channels, expected=expected, who='ERFNet'
            )
        width = out_channels - in_channels
        self.conv = build_conv_layer(conv_cfg, in_channels, width, 3, stride=2, padding=1)
        self.pool = nn.MaxPool2d(kernel_size=2, stride=2)
        self.bn = build_norm_layer(norm_cfg, out_channels)[1]
        self.act = build_activation_layer(act_cfg)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, out_channels, h', w') with sizes halved and rounded up."""
        y = self.conv(x)
        pooled = resize(self.pool(x), y.shape[2:])
        return self.act(self.bn(ops.concat((y, pooled), axis=1)))


class NonBottleneck1d(nn.Cell):
    """Residual block of 3x1 and 1x3 convolutions, twice; the second pair is dilated.

    Source: as `ERFNet`.
    """

    def __init__(
        self,
        channels: int,
        drop_rate: float,
        dilation: int,
        conv_cfg: Mapping | None,
        norm_cfg: Mapping,
        act_cfg: Mapping,
    ) -> None:
        super().__init__()
        self.act = build_activation_layer(act_cfg)
        layers = []
        for step in (1, dilation):
            for kernel_size, padding, spacing in (
                ((3, 1), (step, 0), (step, 1)),
                ((1, 3), (0, step), (1, step)),
            ):
                options = {'padding': padding, 'dilation': spacing}
                conv = build_conv_layer(conv_cfg, channels, channels, kernel_size, **options)
                layers += [conv, self.act]
            layers.insert(-1, build_norm_layer(norm_cfg, channels)[1])
        layers[-1] = Dropout(drop_rate)
        self.convs_layers = nn.CellList(layers)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        y = x
        for layer in self.convs_layers:
            y = layer(y)
        return self.act(y + x)


class UpsamplerBlock(nn.Cell):
    """Double by a transposed convolution, normalise, activate. Source: as `ERFNet`."""

    def __init__(
        self, in_channels: int, out_channels: int, norm_cfg: Mapping, act_cfg: Mapping
    ) -> None:
        super().__init__()
        self.conv = build_upsample_layer(_UPSAMPLE, in_channels, out_channels)
        self.bn = build_norm_layer(norm_cfg, out_channels)[1]
        self.act = build_activation_layer(act_cfg)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, out_channels, 2 h, 2 w)."""
        return self.act(self.bn(self.conv(x)))

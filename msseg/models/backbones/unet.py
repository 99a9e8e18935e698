"""UNet: an encoder and a decoder with skip connections at each resolution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    UPSAMPLE_LAYERS,
    ConvModule,
    build_activation_layer,
    build_norm_layer,
    build_upsample_layer,
    freeze_statistics,
    recompute_without_norms,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.registry import call_with_cfg
from msseg.utils.arguments import (
    Channels,
    File,
    NonNegativeInt,
    PositiveInt,
    Range,
    accepted_arguments,
    checked,
)
from msseg.utils.errors import UserValueError

Count = Annotated[int, Range(1, 64)]
Dilation = Annotated[int, Range(1, 1024)]
_BILINEAR: Mapping = MappingProxyType({'scale_factor': 2, 'mode': 'bilinear'})
_INTERP_CONV: Mapping = MappingProxyType({'type': 'InterpConv'})


@UPSAMPLE_LAYERS.register_module()
class InterpConv(nn.Cell):
    """Enlarges a map by interpolation, and applies a convolution, a norm and an activation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        with_cp: Recompute the activations in the backward pass, to save memory.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.
        conv_cfg: See `build_conv_layer`.
        conv_first: Whether the convolution precedes the interpolation.
        kernel_size: Height and width of the kernel.
        stride: Step of the convolution in pixels.
        padding: Zero pixels added on each side.
        upsample_cfg: ``scale_factor`` (a whole number), ``mode`` (``'nearest'`` or ``'bilinear'``)
            and, for the latter, ``align_corners``.

    Source: MMSegmentation 0.30 ``InterpConv``, whose parameter names it keeps.

    Examples:
        >>> layer = InterpConv(8, 4)
        >>> layer(ops.ones((1, 8, 5, 6))).shape, layer.output_length(5)
        ((1, 4, 10, 12), 10)
    """

    @checked
    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        with_cp: bool = False,
        norm_cfg: Mapping | None = BN,
        act_cfg: Mapping | None = RELU,
        *,
        conv_cfg: Mapping | None = None,
        conv_first: bool = False,
        kernel_size: PositiveInt = 1,
        stride: PositiveInt = 1,
        padding: NonNegativeInt = 0,
        upsample_cfg: Mapping = _BILINEAR,
    ) -> None:
        super().__init__()
        layers = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        conv = ConvModule(in_channels, out_channels, kernel_size, stride, padding, **layers)
        upsample = call_with_cfg(_interpolation, upsample_cfg.copy(), 'InterpConv: upsample_cfg')
        self.conv_first, self.conv_sizes = conv_first, (kernel_size, stride, padding)
        self.scale_factor = upsample.scale_factor
        steps = [conv, upsample] if conv_first else [upsample, conv]
        self.interp_upsample = nn.SequentialCell(steps)
        if with_cp:
            recompute_without_norms(self.interp_upsample)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, h, w)."""
        return self.interp_upsample(x)

    def output_length(self, length: int) -> int:
        """Return the height or width that the layer makes of a height or width."""
        kernel_size, stride, padding = self.conv_sizes
        length = length if self.conv_first else length * self.scale_factor
        length = (length + 2 * padding - kernel_size) // stride + 1
        return length * self.scale_factor if self.conv_first else length


@checked
def _interpolation(
    scale_factor: PositiveInt,
    mode: Literal['nearest', 'bilinear'] = 'nearest',
    align_corners: bool | None = None,
) -> nn.Cell:
    options = {'align_corners': bool(align_corners)} if mode == 'bilinear' else {}
    return UPSAMPLE_LAYERS.build({'type': mode, 'scale_factor': scale_factor, **options})


@UPSAMPLE_LAYERS.register_module()
class DeconvModule(nn.Cell):
    """Enlarges a map by a transposed convolution, and applies a norm and an activation.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        with_cp: Recompute the activations in the backward pass, to save memory.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        kernel_size: Height and width of the kernel: `scale_factor` plus an even number.
        scale_factor: Factor in either direction.

    Raises:
        ValueError: `kernel_size` does not suit `scale_factor`.

    Source: MMSegmentation 0.30 ``DeconvModule``, whose parameter names it keeps.

    Examples:
        >>> DeconvModule(8, 4).deconv_upsamping[0].weight.shape
        (8, 4, 4, 4)
    """

    @checked
    def __init__(
        self,
        in_channels: Channels,
        out_channels: Channels,
        with_cp: bool = False,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        *,
        kernel_size: PositiveInt = 4,
        scale_factor: PositiveInt = 2,
    ) -> None:
        super().__init__()
        if kernel_size < scale_factor or (kernel_size - scale_factor) % 2:
            raise UserValueError(
                key='kernel_size',
                got=kernel_size,
                expected=f'scale_factor ({scale_factor}) plus 0, 2, 4 or another even number',
                who='DeconvModule',
            )
        self.scale_factor = scale_factor
        deconv = UPSAMPLE_LAYERS.build(
            {
                'type': 'deconv',
                'in_channels': in_channels,
                'out_channels': out_channels,
                'kernel_size': kernel_size,
                'stride': scale_factor,
                'padding': (kernel_size - scale_factor) // 2,
            }
        )
        norm = build_norm_layer(norm_cfg, out_channels)[1]
        steps = [deconv, norm, build_activation_layer(act_cfg)]
        self.deconv_upsamping = nn.SequentialCell(steps)  # the name in checkpoints
        if with_cp:
            recompute_without_norms(self.deconv_upsamping)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, c, h, w)."""
        return self.deconv_upsamping(x)

    def output_length(self, length: int) -> int:
        """Return the height or width that the layer makes of a height or width."""
        return length * self.scale_factor


class BasicConvBlock(nn.Cell):
    """A chain of 3x3 convolutions; only the first is strided, and all others are dilated."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        num_convs: int,
        stride: int = 1,
        dilation: int = 1,
        with_cp: bool = False,
        **layers: Any,
    ) -> None:
        super().__init__()
        convs = [ConvModule(in_channels, out_channels, 3, stride, 1, **layers)]
        sizes = {'padding': dilation, 'dilation': dilation}
        for _ in range(num_convs - 1):
            convs.append(ConvModule(out_channels, out_channels, 3, **sizes, **layers))
        self.convs = nn.SequentialCell(convs)
        if with_cp:
            recompute_without_norms(self.convs)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        return self.convs(x)


class UpConvBlock(nn.Cell):
    """Brings a map to the size of the encoder's map, joins them, and applies a block.

    Args:
        in_channels: Channels of the map.
        skip_channels: Channels of the encoder's map, and of the output.
        num_convs: Convolutions of the block.
        dilation: Dilation of the block.
        with_cp: See `UNet`.
        upsample_cfg: See `UNet`; None for maps of the same size, joined after a 1x1 convolution.
        **layers: ``conv_cfg``, ``norm_cfg`` and ``act_cfg``.
    """

    def __init__(
        self,
        in_channels: int,
        skip_channels: int,
        num_convs: int,
        dilation: int,
        with_cp: bool,
        upsample_cfg: Mapping | None,
        **layers: Any,
    ) -> None:
        super().__init__()
        sizes = (2 * skip_channels, skip_channels, num_convs)
        self.conv_block = BasicConvBlock(*sizes, dilation=dilation, with_cp=with_cp, **layers)
        if upsample_cfg is None:
            self.upsample = ConvModule(in_channels, skip_channels, 1, **layers)
        else:
            defaults = {k: layers[k] for k in ('norm_cfg', 'act_cfg')}
            self.upsample = build_upsample_layer(
                upsample_cfg, in_channels, skip_channels, with_cp=with_cp, **defaults
            )

    def construct(self, skip: ms.Tensor, x: ms.Tensor) -> ms.Tensor:
        return self.conv_block(ops.cat((skip, self.upsample(x)), 1))


@BACKBONES.register_module()
class UNet(nn.Cell):
    """UNet: the feature maps of the decoder, from the lowest to the highest resolution.

    Heights and widths of images must be multiples of ``size_divisor``, 16 by default.

    Args:
        in_channels: Channels of the image.
        base_channels: Channels of the first stage; each further one has twice as many.
        num_stages: Number of stages of the encoder; the decoder has one fewer.
        strides: Stride of each encoder stage, 1 or 2.
        enc_num_convs: Convolutions in each encoder stage.
        dec_num_convs: Convolutions in each decoder stage, from the highest resolution.
        downsamples: Whether each encoder stage after the first halves the map, by max pooling
            where its stride is 1.
        enc_dilations: Dilation in each encoder stage, except in its first convolution.
        dec_dilations: The same in each decoder stage, from the highest resolution.
        with_cp: Recompute activations in the backward pass, to save memory.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        upsample_cfg: ``InterpConv`` or ``DeconvModule`` with their arguments, or another layer of
            `UPSAMPLE_LAYERS` that takes ``out_channels``.
        norm_eval: Whether batch norm uses its running statistics in training.
        dcn: Deformable convolutions: None only, as upstream.
        plugins: None only, as upstream.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: A list of a wrong length, or an ``upsample_cfg`` that does not double maps.

    Source: Ronneberger et al., U-Net: Convolutional Networks for Biomedical Image Segmentation
    (2015); MMSegmentation 0.30 ``UNet``, whose parameter names it keeps.

    Examples:
        >>> net = UNet(base_channels=4)
        >>> net.out_channels, net.size_divisor
        ([64, 32, 16, 8, 4], 16)
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 3,
        base_channels: Channels = 64,
        num_stages: Annotated[int, Range(1, 10)] = 5,
        strides: Sequence[Literal[1, 2]] = (1, 1, 1, 1, 1),
        enc_num_convs: Sequence[Count] = (2, 2, 2, 2, 2),
        dec_num_convs: Sequence[Count] = (2, 2, 2, 2),
        downsamples: Sequence[bool] = (True, True, True, True),
        enc_dilations: Sequence[Dilation] = (1, 1, 1, 1, 1),
        dec_dilations: Sequence[Dilation] = (1, 1, 1, 1),
        with_cp: bool = False,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = BN,
        act_cfg: Mapping | None = RELU,
        upsample_cfg: Mapping = _INTERP_CONV,
        norm_eval: bool = False,
        dcn: None = None,
        plugins: None = None,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        _check_lengths(num_stages, strides=strides, enc_num_convs=enc_num_convs,
                       enc_dilations=enc_dilations)  # fmt: skip
        _check_lengths(num_stages - 1, dec_num_convs=dec_num_convs, downsamples=downsamples,
                       dec_dilations=dec_dilations)  # fmt: skip
        _check_upsampling(upsample_cfg)
        self.in_channels = in_channels
        layers = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        widths = [base_channels * 2**i for i in range(num_stages)]
        halves = [strides[i + 1] == 2 or downsamples[i] for i in range(num_stages - 1)]
        encoder, decoder, before = [], [], in_channels
        for i, width in enumerate(widths):
            sizes = (before, width, enc_num_convs[i], strides[i], enc_dilations[i], with_cp)
            block = BasicConvBlock(*sizes, **layers)
            pools = i > 0 and halves[i - 1] and strides[i] == 1
            encoder.append(nn.SequentialCell([nn.MaxPool2d(2, 2), block] if pools else [block]))
            before = width
        for i, doubles in enumerate(halves):
            sizes = (widths[i + 1], widths[i], dec_num_convs[i], dec_dilations[i], with_cp)
            decoder.append(UpConvBlock(*sizes, upsample_cfg if doubles else None, **layers))
            _check_doubles(decoder[-1].upsample, doubles)
        self.encoder, self.decoder = nn.CellList(encoder), nn.CellList(decoder)
        self.out_channels = widths[::-1]
        self.size_divisor = 2 ** sum(halves)
        self.init_cfg, self.pretrained = init_cfg, pretrained
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give one feature map for each stage, for an (n, c, h, w) image."""
        x, skips = image, ()
        for i in range(len(self.encoder)):
            x = self.encoder[i](x)
            skips = skips + (x,)
        outputs = (x,)
        for i in range(len(self.decoder) - 1, -1, -1):
            x = self.decoder[i](skips[i], x)
            outputs = outputs + (x,)
        return outputs


def _check_lengths(length: int, **arguments: Sequence) -> None:
    for key, value in arguments.items():
        if len(value) != length:
            kind = 'num_stages' if key.startswith(('strides', 'enc_')) else 'num_stages - 1'
            expected = f'{length} values, which is {kind}'
            raise UserValueError(key=key, got=value, expected=expected, who='UNet')


def _check_upsampling(cfg: Mapping) -> None:
    layer = UPSAMPLE_LAYERS.get(cfg.get('type'))
    takes = accepted_arguments(layer) if layer is not None else None
    if takes is not None and 'out_channels' not in takes:
        raise UserValueError(
            key='upsample_cfg.type',
            got=cfg['type'],
            expected="a layer that changes the channels, such as 'InterpConv' or 'DeconvModule'",
            who='UNet',
        )


def _check_doubles(upsample: nn.Cell, doubles: bool) -> None:
    if not doubles or not hasattr(upsample, 'output_length'):
        return
    got = [upsample.output_length(length) for length in (16, 17)]
    if got != [32, 34]:
        raise UserValueError(
            f'upsample_cfg makes {got[0]} pixels of 16, expected 32: each decoder stage doubles '
            'the map',
            advice='let scale_factor, kernel_size, stride and padding give twice the size',
            who='UNet',
        )

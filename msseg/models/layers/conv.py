"""Convolutions with PyTorch's argument names, and the block of convolution, norm and activation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import HeNormal, initializer

from msseg.models.layers.activation import RELU, build_activation_layer
from msseg.models.layers.conv_gradients import LEAST_PIXELS, SameConv3x3
from msseg.models.layers.norm import build_norm_layer
from msseg.registry import Registry, build_from_cfg
from msseg.utils.errors import check_one_of
from msseg.utils.layer_traits import register_traits
from msseg.utils.upstream import check_cell

_ORDERS = (('conv', 'norm', 'act'), ('norm', 'act', 'conv'))
CONV_LAYERS = Registry('convolution layer', check_cell)


@CONV_LAYERS.register_module(['Conv2d', 'Conv'])
class Conv2d(nn.Conv2d):
    """2-D convolution, initialised as MMCV's Kaiming: normal, fan out, ReLU's gain; bias 0.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Zero pixels added on each side; two numbers: above and below, left and right.
        dilation: Distance between the kernel's taps.
        groups: Number of groups of channels.
        bias: Whether to add a bias.
        pad_mode: ``'pad'``, or ``'same'`` for an output of ``ceil(size / stride)``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        pad_mode: str = 'pad',
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            pad_mode=pad_mode,
            padding=padding if isinstance(padding, int) else (padding[0],) * 2 + (padding[1],) * 2,
            dilation=dilation,
            group=groups,
            has_bias=bias,
            weight_init=HeNormal(negative_slope=0, mode='fan_out', nonlinearity='relu'),
            bias_init='zeros',
        )
        on_cpu = ms.get_context('device_target') == 'CPU'
        numbers = {*self.dilation, *((padding,) if isinstance(padding, int) else padding)}
        is_same = self.kernel_size == (3, 3) and self.stride == (1, 1) and pad_mode == 'pad'
        # in a tuple, so that it is no layer: it has no weights, and names of layers stay
        self.differentiable = ()
        if on_cpu and is_same and groups == 1 and len(numbers) == 1:
            self.differentiable = (SameConv3x3(in_channels, out_channels, *numbers),)
        self.least_pixels = LEAST_PIXELS * max(in_channels, out_channels)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Convolve (n, c, h, w)."""
        y = self._convolve(x)
        return self.bias_add(y, self.bias) if self.has_bias else y

    def to_float(self, dst_type: ms.Type) -> nn.Cell:
        """Compute in another type from now on, with MindSpore's gradients."""
        if dst_type != ms.float32:
            self.differentiable = ()
        return super().to_float(dst_type)

    def _convolve(self, x: ms.Tensor) -> ms.Tensor:
        if self.training and self.differentiable:
            pixels = x.shape[2] * x.shape[3]
            if ops.isconstant(pixels) and pixels >= self.least_pixels:
                return self.differentiable[0](x, self.weight)
        return self.conv2d(x, self.weight)


@CONV_LAYERS.register_module()
class Conv2dAdaptivePadding(Conv2d):
    """Convolution with an output of ``ceil(size / stride)``, as TensorFlow's "same".

    Where the stride does not divide the size, zeros are added: half of them before, the other half,
    and the odd one, behind.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        stride: Step in pixels.
        padding: Ignored, as upstream.
        **kwargs: See `Conv2d`.

    Source: MMCV 1.7 ``Conv2dAdaptivePadding``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs['pad_mode'] = 'same'
        super().__init__(in_channels, out_channels, kernel_size, stride, 0, **kwargs)


@CONV_LAYERS.register_module()
class Conv1d(nn.Cell):
    """1-D convolution of (n, c, length, 1), with PyTorch's weight (out, in, kernel_size).

    MindSpore's ``nn.Conv1d`` has a weight of four axes. Initialised as `Conv2d`.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Length of the kernel.
        stride: Step.
        padding: Zeros added at each end.
        dilation: Distance between the kernel's taps.
        groups: Number of groups of channels.
        bias: Whether to add a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        law = HeNormal(negative_slope=0, mode='fan_out', nonlinearity='relu')
        shape = (out_channels, in_channels // groups, kernel_size)
        self.weight = Parameter(initializer(law, shape), 'weight')
        self.bias = Parameter(initializer('zeros', (out_channels,)), 'bias') if bias else None
        self.convolve = ops.Conv2D(
            out_channels,
            (kernel_size, 1),
            pad_mode='pad',
            pad=(padding, padding, 0, 0),
            stride=(stride, 1),
            dilation=(dilation, 1),
            group=groups,
        )
        self.add_bias = ops.BiasAdd()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Convolve along the third axis."""
        # MindSpore 2.8 casts parameters for mixed precision, but not what is computed of them.
        y = self.convolve(x, self.weight.expand_dims(3).astype(x.dtype))
        return y if self.bias is None else self.add_bias(y, self.bias.astype(y.dtype))


register_traits(Conv1d, precision='low', names=('Conv1d',))


def build_conv_layer(
    conv_cfg: dict | None,
    in_channels: int,
    out_channels: int,
    kernel_size: int | tuple[int, int],
    **options: Any,
) -> nn.Cell:
    """Build the convolution that a ``conv_cfg`` names; None means ``Conv2d``.

    Args:
        conv_cfg: None or such as ``dict(type='Conv2d')``, with a name in `CONV_LAYERS` or a class
            that takes the arguments of `Conv2d`. Further keys are passed on to it.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kernel_size: Height and width of the kernel.
        **options: Other arguments of `Conv2d`.

    Raises:
        KeyError: An unknown ``type``.

    Examples:
        >>> build_conv_layer(None, 3, 8, 3, stride=2, padding=1).weight.shape
        (8, 3, 3, 3)
    """
    channels = {'in_channels': in_channels, 'out_channels': out_channels}
    defaults = {'type': 'Conv2d', **channels, 'kernel_size': kernel_size, **options}
    return build_from_cfg({} if conv_cfg is None else conv_cfg, CONV_LAYERS, defaults)


class ConvModule(nn.Cell):
    """Convolution ``conv``, normalisation (``bn``, ``gn``, …) and activation.

    Arguments before `bias` are those of `Conv2d`.

    Args:
        bias: Whether the convolution has a bias; ``'auto'``: when no normalisation follows.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.
        order: ``('conv', 'norm', 'act')`` or ``('norm', 'act', 'conv')``.

    Source: MMCV 1.7 ``mmcv.cnn.ConvModule``, whose names and initialisation it keeps.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool | str = 'auto',
        conv_cfg: dict | None = None,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = RELU,
        order: Sequence[str] = _ORDERS[0],
    ) -> None:
        super().__init__()
        check_one_of('order', tuple(order), _ORDERS, who='ConvModule')
        self.is_conv_last = order[-1] == 'conv'
        self.conv = build_conv_layer(
            conv_cfg,
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=norm_cfg is None if bias == 'auto' else bool(bias),
        )
        self.norm_name = ''
        if norm_cfg is not None:
            width = in_channels if self.is_conv_last else out_channels
            self.norm_name, norm = build_norm_layer(norm_cfg, width)
            setattr(self, self.norm_name, norm)
        self.activate = build_activation_layer(act_cfg) if act_cfg is not None else None

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the layers to (n, c, h, w)."""
        if not self.is_conv_last:
            x = self.conv(x)
        if self.norm_name:
            x = getattr(self, self.norm_name)(x)
        if self.activate is not None:
            x = self.activate(x)
        return self.conv(x) if self.is_conv_last else x


class DepthwiseSeparableConvModule(nn.Cell):
    """A convolution of each channel, ``depthwise_conv``, then one of pixels, ``pointwise_conv``.

    Arguments before `norm_cfg` are those of `Conv2d`, for the first.

    Args:
        norm_cfg: See `ConvModule`.
        act_cfg: See `ConvModule`.
        dw_norm_cfg: That of ``depthwise_conv``; ``'default'`` means `norm_cfg`.
        dw_act_cfg: That of ``depthwise_conv``; ``'default'`` means `act_cfg`.
        pw_norm_cfg: That of ``pointwise_conv``; ``'default'`` means `norm_cfg`.
        pw_act_cfg: That of ``pointwise_conv``; ``'default'`` means `act_cfg`.
        **options: Other arguments of `ConvModule`, for both.

    Source: Chollet, Xception (2017); MMCV 1.7 ``DepthwiseSeparableConvModule``.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = RELU,
        dw_norm_cfg: Mapping | str | None = 'default',
        dw_act_cfg: Mapping | str | None = 'default',
        pw_norm_cfg: Mapping | str | None = 'default',
        pw_act_cfg: Mapping | str | None = 'default',
        **options: Any,
    ) -> None:
        super().__init__()

        def layers(norm: Mapping | str | None, act: Mapping | str | None) -> dict[str, Any]:
            norm = norm_cfg if norm == 'default' else norm
            act = act_cfg if act == 'default' else act
            return {'norm_cfg': norm, 'act_cfg': act, **options}

        first = (in_channels, in_channels, kernel_size, stride, padding, dilation, in_channels)
        self.depthwise_conv = ConvModule(*first, **layers(dw_norm_cfg, dw_act_cfg))
        self.pointwise_conv = ConvModule(
            in_channels, out_channels, 1, **layers(pw_norm_cfg, pw_act_cfg)
        )

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply both to (n, c, h, w)."""
        return self.pointwise_conv(self.depthwise_conv(x))

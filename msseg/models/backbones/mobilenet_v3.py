"""MobileNetV3: inverted residual blocks with squeeze and excitation, dilated to stride 8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.backbones.inverted_residual import make_divisible
from msseg.models.builder import BACKBONES
from msseg.models.layers import ConvModule, freeze_parameters, freeze_statistics
from msseg.models.layers.norm import BN
from msseg.models.layers.res_block import recompute_without_norms
from msseg.utils.arguments import File, NonEmpty, Range, checked
from msseg.utils.errors import UserValueError

_ADAPTIVE = {'type': 'Conv2dAdaptivePadding'}
# Of each block: kernel, channels inside, channels, squeeze and excitation, activation, stride.
_BLOCKS = {
    'small': (
        (3, 16, 16, True, 'ReLU', 2),
        (3, 72, 24, False, 'ReLU', 2),
        (3, 88, 24, False, 'ReLU', 1),
        (5, 96, 40, True, 'HSwish', 2),
        (5, 240, 40, True, 'HSwish', 1),
        (5, 240, 40, True, 'HSwish', 1),
        (5, 120, 48, True, 'HSwish', 1),
        (5, 144, 48, True, 'HSwish', 1),
        (5, 288, 96, True, 'HSwish', 2),
        (5, 576, 96, True, 'HSwish', 1),
        (5, 576, 96, True, 'HSwish', 1),
    ),
    'large': (
        (3, 16, 16, False, 'ReLU', 1),
        (3, 64, 24, False, 'ReLU', 2),
        (3, 72, 24, False, 'ReLU', 1),
        (5, 72, 40, True, 'ReLU', 2),
        (5, 120, 40, True, 'ReLU', 1),
        (5, 120, 40, True, 'ReLU', 1),
        (3, 240, 80, False, 'HSwish', 2),
        (3, 200, 80, False, 'HSwish', 1),
        (3, 184, 80, False, 'HSwish', 1),
        (3, 184, 80, False, 'HSwish', 1),
        (3, 480, 112, True, 'HSwish', 1),
        (3, 672, 112, True, 'HSwish', 1),
        (5, 672, 160, True, 'HSwish', 2),
        (5, 960, 160, True, 'HSwish', 1),
        (5, 960, 160, True, 'HSwish', 1),
    ),
}
# Numbers of the blocks, from 1, from which dilation 2, dilation 4 and the reduction begin.
_STARTS = {'small': (4, 9, 9), 'large': (7, 13, 13)}
_LAST_CHANNELS = {'small': 576, 'large': 960}
_FEWEST_CHANNELS = 96


@BACKBONES.register_module()
class MobileNetV3(nn.Cell):
    """MobileNetV3 with an output stride of 8, by dilation: feature maps of the chosen layers.

    Layer 0 is the stem, then come the blocks (11 of the small, 15 of the large network), and
    last a 1x1 convolution (12 or 16).

    Args:
        arch: ``'small'`` or ``'large'``.
        conv_cfg: See `build_conv_layer`; the stem and strided blocks pad as TensorFlow.
        norm_cfg: See `build_norm_layer`; the configs give ``eps=0.001``.
        out_indices: The layers whose feature maps are given, in the layers' order.
        frozen_stages: The layers up to this one are not trained; -1 trains all.
        reduction_factor: Divisor of the channels of the last three blocks.
        norm_eval: Whether batch norm uses its running statistics in training.
        with_cp: Recompute the blocks in the backward pass, to save memory.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: A layer that the network does not have.

    Source: Howard et al., Searching for MobileNetV3 (2019); MMSegmentation 0.30 ``MobileNetV3``,
    whose parameter names it keeps.

    Examples:
        >>> MobileNetV3('small', out_indices=(0, 1, 12)).out_channels
        [16, 16, 576]
    """

    @checked
    def __init__(
        self,
        arch: Literal['small', 'large'] = 'small',
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        out_indices: NonEmpty[Annotated[int, Range(0, 16)]] = (0, 1, 12),
        frozen_stages: Annotated[int, Range(-1, 16)] = -1,
        reduction_factor: Annotated[int, Range(1, _FEWEST_CHANNELS)] = 1,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        last = len(_BLOCKS[arch]) + 1
        for key, values in (('out_indices', out_indices), ('frozen_stages', [frozen_stages])):
            if max(values) > last:
                expected = f'at most {last}, the last layer of arch {arch!r}'
                raise UserValueError(key=key, got=max(values), expected=expected, who='MobileNetV3')
        self.in_channels = 3
        self.num_layers = last + 1
        self.out_indices = tuple(sorted(set(out_indices)))
        stem = {'stride': 2, 'padding': 1, 'conv_cfg': _ADAPTIVE, 'norm_cfg': norm_cfg}
        hswish = {'type': 'HSwish'}
        self.layer0 = ConvModule(self.in_channels, 16, 3, act_cfg=hswish, **stem)
        widths, strides = [16], [2]
        doubled, quadrupled, reduced = _STARTS[arch]
        for i, (kernel, inside, channels, with_se, act, stride) in enumerate(_BLOCKS[arch], 1):
            factor = reduction_factor if i >= reduced else 1
            block = InvertedResidualV3(
                widths[-1],
                channels // factor,
                inside // factor,
                kernel,
                stride,
                dilation=1 if i < doubled else 2 if i < quadrupled else 4,
                with_se=with_se,
                conv_cfg=conv_cfg,
                norm_cfg=norm_cfg,
                act_cfg={'type': act},
                with_cp=with_cp,
            )
            setattr(self, f'layer{i}', block)
            widths.append(channels // factor)
            strides.append(strides[-1] * (stride if i < doubled else 1))
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': hswish}
        setattr(self, f'layer{last}', ConvModule(widths[-1], _LAST_CHANNELS[arch], 1, **options))
        widths.append(_LAST_CHANNELS[arch])
        strides.append(strides[-1])
        self.out_channels = [widths[i] for i in self.out_indices]
        self.out_strides = [strides[i] for i in self.out_indices]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        for i in range(frozen_stages + 1):
            freeze_parameters(getattr(self, f'layer{i}'))
            freeze_statistics(getattr(self, f'layer{i}'))
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen feature maps of an (n, 3, h, w) image of any size."""
        x = image
        maps = ()
        for i in range(self.num_layers):
            x = getattr(self, f'layer{i}')(x)
            if i in self.out_indices:
                maps = maps + (x,)
        return maps


class InvertedResidualV3(nn.Cell):
    """MobileNetV3's block: 1x1 to more channels, depthwise, squeeze and excitation, linear 1x1.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        mid_channels: Channels inside; when equal to `in_channels`, the first 1x1 is left out.
        kernel_size: Height and width of the depthwise kernel.
        stride: Step of the depthwise convolution, which a dilation above 1 replaces. A block of
            stride 2 has no shortcut, and pads as TensorFlow.
        dilation: Distance between the depthwise kernel's taps.
        with_se: Whether a squeeze and excitation follows.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        with_cp: Recompute the block in the backward pass, to save memory.

    Source: as `MobileNetV3`, section 5; names of MMSegmentation 0.30.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        mid_channels: int,
        kernel_size: int,
        stride: int,
        dilation: int,
        with_se: bool,
        conv_cfg: Mapping | None,
        norm_cfg: Mapping,
        act_cfg: Mapping,
        with_cp: bool,
    ) -> None:
        super().__init__()
        self.has_shortcut = stride == 1 and in_channels == out_channels
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
        self.expand_conv = None
        if in_channels != mid_channels:
            self.expand_conv = ConvModule(in_channels, mid_channels, 1, act_cfg=act_cfg, **options)
        self.depthwise_conv = ConvModule(
            mid_channels,
            mid_channels,
            kernel_size,
            stride=stride if dilation == 1 else 1,
            padding=kernel_size // 2 * dilation,
            dilation=dilation,
            groups=mid_channels,
            conv_cfg=_ADAPTIVE if stride == 2 else conv_cfg,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
        )
        self.se = SELayer(mid_channels, ratio=4) if with_se else None
        self.linear_conv = ConvModule(mid_channels, out_channels, 1, act_cfg=None, **options)
        if with_cp:
            recompute_without_norms(self)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the block to (n, c, h, w)."""
        y = x if self.expand_conv is None else self.expand_conv(x)
        y = self.depthwise_conv(y)
        if self.se is not None:
            y = self.se(y)
        y = self.linear_conv(y)
        return x + y if self.has_shortcut else y


class SELayer(nn.Cell):
    """Squeeze and excitation: scale channels by a function of their means.

    Args:
        channels: Channels of input and output.
        ratio: Divisor of the channels inside.

    Source: Hu et al., Squeeze-and-Excitation Networks (2018), with MobileNetV3's hard sigmoid.
    """

    def __init__(self, channels: int, ratio: int) -> None:
        super().__init__()
        width = make_divisible(channels // ratio, 8)
        self.conv1 = ConvModule(channels, width, 1)
        hard = {'type': 'HSigmoid', 'bias': 3.0, 'divisor': 6.0}
        self.conv2 = ConvModule(width, channels, 1, act_cfg=hard)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Scale (n, c, h, w)."""
        return x * self.conv2(self.conv1(ops.mean(x, (2, 3), True)))

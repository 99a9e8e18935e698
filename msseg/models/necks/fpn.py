"""Feature pyramid network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.builder import NECKS
from msseg.models.layers import ConvModule, apply_init_cfg, resize
from msseg.models.layers.resize import resize_nearest
from msseg.registry import call_with_cfg
from msseg.utils.arguments import Channels, NonEmpty, PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

_NEAREST: Mapping = MappingProxyType({'mode': 'nearest'})
_XAVIER: Mapping = MappingProxyType(
    {'type': 'Xavier', 'layer': 'Conv2d', 'distribution': 'uniform'}
)
Level = Annotated[int, Range(0, 255)]


@NECKS.register_module()
class FPN(nn.Cell):
    """Feature pyramid network: adds deep feature maps to shallow ones, top-down.

    Args:
        in_channels: Channels of all feature maps of the backbone, the highest resolution first.
        out_channels: Channels of each result. The attribute is a list of them.
        num_outs: Number of results. More than the levels used: each further one halves the last.
        start_level: Index of the first feature map that is used.
        end_level: Index after the last feature map that is used, which allows no further results;
            -1: all are used.
        add_extra_convs: How further results are made: by a convolution of ``'on_input'`` (the last
            feature map), ``'on_lateral'`` or ``'on_output'``; True means ``'on_output'``, or
            ``'on_input'`` by `extra_convs_on_inputs`; False: by leaving out pixels.
        extra_convs_on_inputs: See `add_extra_convs`.
        relu_before_extra_convs: Whether a ReLU precedes the second and later of them.
        no_norm_on_lateral: Whether the 1x1 convolutions have no norm.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.
        upsample_cfg: How maps are enlarged: ``mode`` (``'nearest'`` or ``'bilinear'``),
            ``align_corners``, and ``scale_factor`` in place of the size of the larger map.
        init_cfg: See `apply_init_cfg`.

    Raises:
        ValueError: Levels that do not exist, or a `num_outs` that does not fit them.

    Source: Lin et al., Feature Pyramid Networks (2017); MMSegmentation 0.30 ``FPN``, whose
    parameter names it keeps.

    Examples:
        >>> neck = FPN([4, 8, 16], out_channels=6, num_outs=3)
        >>> maps = [ms.ops.ones((1, 4 * 2**i, 16 // 2**i, 16 // 2**i)) for i in range(3)]
        >>> [each.shape for each in neck(tuple(maps))]
        [(1, 6, 16, 16), (1, 6, 8, 8), (1, 6, 4, 4)]
    """

    @checked
    def __init__(
        self,
        in_channels: NonEmpty[Channels],
        out_channels: Channels,
        num_outs: Annotated[int, Range(1, 255)],
        start_level: Level = 0,
        end_level: Annotated[int, Range(-1, 255)] = -1,
        add_extra_convs: bool | Literal['on_input', 'on_lateral', 'on_output'] = False,
        extra_convs_on_inputs: bool = False,
        relu_before_extra_convs: bool = False,
        no_norm_on_lateral: bool = False,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = None,
        upsample_cfg: Mapping = _NEAREST,
        init_cfg: Mapping | Sequence[Mapping] | None = _XAVIER,
    ) -> None:
        super().__init__()
        end = len(in_channels) if end_level == -1 else end_level
        _check_levels(len(in_channels), start_level, end, num_outs, end_level != -1)
        self.in_channels = tuple(in_channels)
        self.out_channels = [out_channels] * num_outs
        self.start_level, self.num_levels = start_level, end - start_level
        self.upsampling = call_with_cfg(upsample_options, upsample_cfg.copy(), 'upsample_cfg')
        if add_extra_convs is True:
            add_extra_convs = 'on_input' if extra_convs_on_inputs else 'on_output'
        # the gradient of a slice by steps of two fails on the CPU (MindSpore 2.8)
        self.halve = nn.MaxPool2d(kernel_size=1, stride=2)
        self.extra_source = add_extra_convs
        self.always_resizes = False  # set by an export for any size
        self.relu = nn.ReLU() if relu_before_extra_convs else None
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        lateral_options = {**options, 'norm_cfg': None} if no_norm_on_lateral else options
        self.lateral_convs = nn.CellList(
            [
                ConvModule(c, out_channels, 1, **lateral_options)
                for c in in_channels[start_level:end]
            ]
        )
        convs = [
            ConvModule(out_channels, out_channels, 3, padding=1, **options)
            for _ in range(self.num_levels)
        ]
        self.num_extra = num_outs - self.num_levels
        for i in range(self.num_extra if add_extra_convs else 0):
            reads_input = i == 0 and add_extra_convs == 'on_input'
            width = in_channels[end - 1] if reads_input else out_channels
            convs.append(ConvModule(width, out_channels, 3, stride=2, padding=1, **options))
        self.fpn_convs = nn.CellList(convs)
        self.init_cfg = init_cfg
        apply_init_cfg(self, _XAVIER)

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Give `num_outs` maps for the backbone's."""
        last = self.num_levels - 1
        top = self.lateral_convs[last](inputs[self.start_level + last])
        deepest = top
        outputs = (self.fpn_convs[last](top),)
        for i in range(last - 1, -1, -1):
            lateral = self.lateral_convs[i](inputs[self.start_level + i])
            top = lateral + self._upsample(top, lateral.shape[2:])
            outputs = (self.fpn_convs[i](top),) + outputs
        source = outputs[last]
        if self.extra_source == 'on_input':
            source = inputs[self.start_level + last]
        elif self.extra_source == 'on_lateral':
            source = deepest
        for i in range(self.num_extra):
            source = self._next_level(source, i)
            outputs = outputs + (source,)
        return outputs

    def _upsample(self, x: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        mode, align_corners, factor = self.upsampling
        if factor is not None:
            size = (x.shape[2] * factor, x.shape[3] * factor)
        if mode == 'nearest':
            return resize_nearest(x, size, self.always_resizes)
        return resize(x, size, align_corners)

    def _next_level(self, x: ms.Tensor, i: int) -> ms.Tensor:
        if not self.extra_source:
            return self.halve(x)
        if i > 0 and self.relu is not None:
            x = self.relu(x)
        return self.fpn_convs[self.num_levels + i](x)


@checked
def upsample_options(
    mode: Literal['nearest', 'bilinear'] = 'nearest',
    align_corners: bool | None = None,
    scale_factor: PositiveInt | None = None,
) -> tuple[str, bool, int | None]:
    """Return the options of `upsample_cfg`."""
    return mode, bool(align_corners), scale_factor


def _check_levels(count: int, start: int, end: int, num_outs: int, is_end_given: bool) -> None:
    expected = None
    if end > count:
        key, got, expected = 'end_level', end, f'-1, or at most {count}, the length of in_channels'
    elif start >= end:
        key, got, expected = 'start_level', start, f'below {end}, the end of the levels'
    elif is_end_given and num_outs != end - start:
        key, got, expected = 'num_outs', num_outs, f'{end - start}, end_level - start_level'
    elif num_outs < end - start:
        key, got, expected = 'num_outs', num_outs, f'at least {end - start}, the levels used'
    if expected is not None:
        raise UserValueError(key=key, got=got, expected=expected, who='FPN')

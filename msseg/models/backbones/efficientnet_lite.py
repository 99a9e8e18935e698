"""EfficientNet-Lite: EfficientNet without squeeze and excitation, with ReLU6."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.backbones.inverted_residual import RELU6, make_divisible
from msseg.models.backbones.mobilenet_v3 import InvertedResidualV3
from msseg.models.builder import BACKBONES
from msseg.models.layers import ConvModule, freeze_parameters, freeze_statistics
from msseg.utils.arguments import Channels, File, NonEmpty, Range, checked

# Of each architecture: factor of channels, factor of the number of blocks.
ARCHS = {
    'lite0': (1.0, 1.0),
    'lite1': (1.0, 1.1),
    'lite2': (1.1, 1.2),
    'lite3': (1.2, 1.4),
    'lite4': (1.4, 1.8),
}
# Of each stage: kernel, stride, factor of channels inside the blocks, channels, number of blocks.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM_CHANNELS = 32
_BN: Mapping = MappingProxyType({'type': 'BN', 'eps': 0.001})


def stage_depths(arch: str) -> list[int]:
    """Return the number of blocks of each stage; the first and the last stage are not scaled.

    Examples:
        >>> stage_depths('lite4')
        [1, 4, 4, 6, 6, 8, 1]
    """
    _, factor = ARCHS[arch]
    first, *inner, last = (depth for *_, depth in _STAGES)
    return [first, *(math.ceil(factor * depth) for depth in inner), last]


@BACKBONES.register_module()
class EfficientNetLite(nn.Cell):
    """EfficientNet-Lite without its classifier: feature maps of the chosen ones of seven stages.

    The weights were trained on images normalised by mean 127 and standard deviation 128.

    Args:
        arch: ``'lite0'`` to ``'lite4'``.
        in_channels: Channels of the image.
        output_stride: Pixels of the image per pixel of the last map. Below 32, dilated kernels
            replace the last strides, so that trained weights keep their meaning.
        out_indices: The stages, from 0, whose feature maps are given, in the stages' order.
        frozen_stages: The stem and this number of stages are not trained; 0 freezes the stem
            alone, -1 trains all.
        norm_cfg: See `build_norm_layer`.
        norm_eval: Whether batch norm uses its running statistics in training.
        with_cp: Recompute the blocks in the backward pass, to save memory.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Source: Tan and Le, EfficientNet (2019); Liu, Higher accuracy on vision models with
    EfficientNet-Lite (2020), and TensorFlow's ``efficientnet_lite_builder``, of whose regularisers
    this backbone has no drop connect.

    Examples:
        >>> EfficientNetLite('lite0', out_indices=(1, 6)).out_channels
        [24, 320]
    """

    @checked
    def __init__(
        self,
        arch: Literal['lite0', 'lite1', 'lite2', 'lite3', 'lite4'] = 'lite0',
        in_channels: Channels = 3,
        output_stride: Literal[8, 16, 32] = 32,
        out_indices: NonEmpty[Annotated[int, Range(0, 6)]] = (1, 2, 4, 6),
        frozen_stages: Annotated[int, Range(-1, 7)] = -1,
        norm_cfg: Mapping = _BN,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        stem = {'stride': 2, 'conv_cfg': {'type': 'Conv2dAdaptivePadding'}, 'norm_cfg': norm_cfg}
        self.conv1 = ConvModule(in_channels, _STEM_CHANNELS, 3, act_cfg=RELU6, **stem)
        blocks, widths, strides = [], [], []
        width, stride, dilation = _STEM_CHANNELS, 2, 1
        for i, depth in enumerate(stage_depths(arch)):
            kernel, step, ratio, channels, _ = _STAGES[i]
            after = make_divisible(channels * ARCHS[arch][0], 8)
            replaced = step == 2 and stride == output_stride
            for k in range(depth):
                block = InvertedResidualV3(
                    width,
                    after,
                    width * ratio,
                    kernel,
                    stride=step if k == 0 and not replaced else 1,
                    dilation=dilation,
                    with_se=False,
                    conv_cfg=None,
                    norm_cfg=norm_cfg,
                    act_cfg=RELU6,
                    with_cp=with_cp,
                )
                blocks.append(block)
                width = after
                if replaced and k == 0:  # this block reads the map before the stride that is gone
                    dilation *= 2
            stride = stride if replaced else stride * step
            widths.append(width)
            strides.append(stride)
        self.blocks = nn.CellList(blocks)
        self.out_indices = tuple(sorted(set(out_indices)))
        ends = [sum(stage_depths(arch)[: i + 1]) for i in range(len(_STAGES))]
        self.map_blocks = tuple(ends[i] - 1 for i in self.out_indices)
        self.out_channels = [widths[i] for i in self.out_indices]
        self.out_strides = [strides[i] for i in self.out_indices]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        if frozen_stages >= 0:
            num_frozen = ends[frozen_stages - 1] if frozen_stages else 0
            for cell in (self.conv1, *blocks[:num_frozen]):
                freeze_parameters(cell)
                freeze_statistics(cell)
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen feature maps of an (n, in_channels, h, w) image of any size."""
        x = self.conv1(image)
        maps = ()
        for i in range(len(self.blocks)):
            x = self.blocks[i](x)
            if i in self.map_blocks:
                maps = maps + (x,)
        return maps

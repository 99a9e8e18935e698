"""MobileNetV2: a small backbone of inverted residual blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.backbones.inverted_residual import RELU6, InvertedResidual, make_divisible
from msseg.models.builder import BACKBONES
from msseg.models.layers import ConvModule, freeze_parameters, freeze_statistics
from msseg.models.layers.norm import BN
from msseg.utils.arguments import File, Length, NonEmpty, Range, checked

# Of each stage: factor of channels inside the blocks, channels, number of blocks.
_STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1))
Strides = Annotated[Sequence[Literal[1, 2]], Length(len(_STAGES), len(_STAGES))]
Dilations = Annotated[Sequence[Annotated[int, Range(1, 255)]], Length(len(_STAGES), len(_STAGES))]
WidenFactor = Annotated[float, Range(0, 64, above=True)]


@BACKBONES.register_module()
class MobileNetV2(nn.Cell):
    """MobileNetV2: feature maps of the chosen ones of seven stages.

    Args:
        widen_factor: Factor of all numbers of channels.
        strides: Step of each stage's first block.
        dilations: Dilation of each stage's first block.
        out_indices: The stages, from 0, whose feature maps are given, in the stages' order.
        frozen_stages: The stem (0) and the stages up to this one, from 1, are not trained; -1
            trains all. The stem's running statistics go on, as upstream.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        norm_eval: Whether batch norm uses its running statistics in training.
        with_cp: Recompute the blocks in the backward pass, to save memory.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (2018);
    MMSegmentation 0.30 ``MobileNetV2``, whose parameter names it keeps.

    Examples:
        >>> MobileNetV2(widen_factor=0.5, out_indices=(1, 6)).out_channels
        [16, 160]
    """

    @checked
    def __init__(
        self,
        widen_factor: WidenFactor = 1.0,
        strides: Strides = (1, 2, 2, 2, 1, 2, 1),
        dilations: Dilations = (1, 1, 1, 1, 1, 1, 1),
        out_indices: NonEmpty[Annotated[int, Range(0, 6)]] = (1, 2, 4, 6),
        frozen_stages: Annotated[int, Range(-1, 6)] = -1,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU6,
        norm_eval: bool = False,
        with_cp: bool = False,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = 3
        self.out_indices = tuple(sorted(set(out_indices)))
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        width = make_divisible(32 * widen_factor, 8)
        self.conv1 = ConvModule(self.in_channels, width, 3, stride=2, padding=1, **options)
        widths = []
        for i, (expand_ratio, channels, num_blocks) in enumerate(_STAGES):
            blocks = []
            for k in range(num_blocks):
                stride, dilation = (strides[i], dilations[i]) if k == 0 else (1, 1)
                after = make_divisible(channels * widen_factor, 8)
                blocks.append(
                    InvertedResidual(
                        width, after, stride, expand_ratio, dilation, with_cp=with_cp, **options
                    )
                )
                width = after
            setattr(self, f'layer{i + 1}', nn.SequentialCell(blocks))
            widths.append(width)
        self.out_channels = [widths[i] for i in self.out_indices]
        self.pretrained = pretrained
        self.init_cfg = init_cfg
        if frozen_stages >= 0:
            freeze_parameters(self.conv1)
        for i in range(1, frozen_stages + 1):
            freeze_parameters(getattr(self, f'layer{i}'))
            freeze_statistics(getattr(self, f'layer{i}'))
        if norm_eval:
            freeze_statistics(self)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the chosen feature maps of an (n, 3, h, w) image of any size."""
        x = self.conv1(image)
        maps = ()
        for i in range(len(_STAGES)):
            x = getattr(self, f'layer{i + 1}')(x)
            if i in self.out_indices:
                maps = maps + (x,)
        return maps

"""Lite R-ASPP: MobileNetV3's segmentation head."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import Conv2d, ConvModule, apply_init_cfg, resize
from msseg.utils.arguments import Channels, NonEmpty, checked
from msseg.utils.errors import UserValueError

_POOL = 49
_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}


@HEADS.register_module()
class LRASPPHead(BaseDecodeHead):
    """Weights the last feature map by its pooled surroundings, then adds detail of the others.

    The last feature map is pooled over windows of 49 x 49: it cannot be smaller.

    Args:
        branch_channels: Channels that each of the other feature maps adds.
        **kwargs: See `BaseDecodeHead`; `input_transform` must be ``'multiple_select'``.

    Raises:
        ValueError: Another `input_transform`, or not one number for each of the other maps.

    Source: Howard et al., Searching for MobileNetV3 (2019), section 6.4; MMSegmentation 0.30
    ``LRASPPHead``, whose parameter names it keeps.
    """

    @checked
    def __init__(self, branch_channels: NonEmpty[Channels] = (32, 64), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._check(len(branch_channels))
        self.min_map_sizes = {self.in_index[-1]: _POOL}
        *widths, last = self.in_channels
        bias = False if self.conv_bias == 'auto' else self.conv_bias
        layers = {'conv_cfg': self.conv_cfg, 'bias': bias}
        options = {**layers, 'norm_cfg': self.norm_cfg, 'act_cfg': self.act_cfg}
        convs, ups = OrderedDict(), OrderedDict()
        for i, (width, branch) in enumerate(zip(widths, branch_channels, strict=True)):
            convs[f'conv{i}'] = Conv2d(width, branch, 1, bias=False)
            ups[f'conv_up{i}'] = ConvModule(self.channels + branch, self.channels, 1, **options)
        self.convs = nn.SequentialCell(convs)
        self.conv_ups = nn.SequentialCell(ups)
        self.conv_up_input = Conv2d(self.channels, self.channels, 1)
        for cell in (self.convs, self.conv_up_input):
            apply_init_cfg(cell, _PYTORCH)
        self.aspp_conv = ConvModule(last, self.channels, 1, **options)
        gate = ConvModule(last, self.channels, 1, act_cfg={'type': 'Sigmoid'}, bias=False)
        pool = nn.AvgPool2d(kernel_size=_POOL, stride=(16, 20))
        self.image_pool = nn.SequentialCell([pool, gate])

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the first chosen feature map's size."""
        maps = self.transform_inputs(inputs)
        x = maps[-1]
        gate = resize(self.image_pool(x), x.shape[2:], self.align_corners)
        x = self.conv_up_input(self.aspp_conv(x) * gate)
        for i in range(len(self.convs) - 1, -1, -1):
            x = resize(x, maps[i].shape[2:], self.align_corners)
            x = self.conv_ups[i](ops.concat((x, self.convs[i](maps[i])), axis=1))
        return x

    def _check(self, num_branches: int) -> None:
        if self.input_transform != 'multiple_select':
            raise UserValueError(
                key='input_transform',
                got=self.input_transform,
                expected="'multiple_select'",
                who='LRASPPHead',
            )
        if num_branches != len(self.in_channels) - 1:
            raise ValueError(
                f'LRASPPHead: branch_channels has {num_branches} numbers, expected '
                f'{len(self.in_channels) - 1}, one for each feature map but the last'
            )

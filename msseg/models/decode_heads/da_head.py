"""Head of the dual attention network."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import (
    BatchProduct,
    Conv2d,
    ConvModule,
    Scale,
    SelfAttentionBlock,
    apply_init_cfg,
)
from msseg.utils.arguments import Channels, checked

_BRANCHES = ('pam_cam', 'pam', 'cam')
_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}


@HEADS.register_module()
class DAHead(BaseDecodeHead):
    """Adds the features of an attention between pixels and of one between channels.

    In training, each of the two is also classified by itself. The losses and the accuracy of the
    sum are logged under ``pam_cam``, those of the two under ``pam`` and ``cam``.

    Args:
        pam_channels: Channels of keys and queries in the attention between pixels.
        **kwargs: See `BaseDecodeHead`.

    Source: Fu et al., Dual Attention Network (2019); MMSegmentation 0.30 ``DAHead``, whose
    parameter names it keeps.
    """

    @checked
    def __init__(self, pam_channels: Channels, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.pam_channels = pam_channels
        self.pam_in_conv = self._conv(self.in_channels)
        self.pam = PAM(self.channels, pam_channels)
        self.pam_out_conv = self._conv(self.channels)
        self.pam_conv_seg = Conv2d(self.channels, self.out_channels, 1)
        self.cam_in_conv = self._conv(self.in_channels)
        self.cam = CAM()
        self.cam_out_conv = self._conv(self.channels)
        self.cam_conv_seg = Conv2d(self.channels, self.out_channels, 1)
        for conv in (self.pam_conv_seg, self.cam_conv_seg):
            apply_init_cfg(conv, _PYTORCH)
        own = self.loss_names
        self.num_values = len(own)
        self.loss_names = [f'{branch}.{name}' for branch in _BRANCHES for name in own]
        self.train_only_losses = tuple(self.loss_names[len(own) :])

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ...]:
        """Give the logits of the sum, (n, out_channels, h, w).

        In training, give them, those of the attention between pixels, and those of the other one.
        """
        x = self.transform_inputs(inputs)
        pixels = self.pam_out_conv(self.pam(self.pam_in_conv(x)))
        channels = self.cam_out_conv(self.cam(self.cam_in_conv(x)))
        logits = self.cls_seg(pixels + channels)
        if not self.training:
            return logits
        of_pixels = self.pam_conv_seg(self._dropped(pixels))
        return logits, of_pixels, self.cam_conv_seg(self._dropped(channels))

    def losses(
        self, logits: ms.Tensor | tuple[ms.Tensor, ...], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        """Compute the losses and the accuracy of each output; see `BaseDecodeHead.losses`.

        Args:
            logits: The result of `construct`; what belongs to logits that are missing is 0.
            labels: (n, h, w), int32.
        """
        if not isinstance(logits, tuple):
            missing = (ops.zeros((), ms.float32),) * (2 * self.num_values)
            return super().losses(logits, labels) + missing
        values = ()
        for each in logits:
            values = values + super().losses(each, labels)
        return values

    def _conv(self, in_channels: int) -> ConvModule:
        return ConvModule(in_channels, self.channels, 3, padding=1, **self.conv_options)

    def _dropped(self, features: ms.Tensor) -> ms.Tensor:
        return features if self.dropout is None else self.dropout(features)


class PAM(SelfAttentionBlock):
    """Attention between pixels, added to them with a trained factor that starts at 0.

    Args:
        in_channels: Channels of input and output.
        channels: Channels of keys and queries.

    Source: as `DAHead`, section 3.2.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__(in_channels, in_channels, channels, in_channels)
        self.gamma = Scale(0)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, in_channels, h, w) for the same."""
        return self.gamma(super().construct(x, x)) + x


class CAM(nn.Cell):
    """Attention between channels, added to them with a trained factor that starts at 0.

    Channels attend most to those that are least alike.

    Source: as `DAHead`, section 3.3.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gamma = Scale(0)
        self.similarity = BatchProduct(transpose_b=True)
        self.average = BatchProduct()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, c, h, w) for the same."""
        n, c, h, w = x.shape
        rows = x.reshape(n, c, h * w)
        # The softmax of the largest product minus each, which are the same.
        attention = ops.softmax(-self.similarity(rows, rows).astype(ms.float32), axis=2)
        return self.gamma(self.average(attention, rows).reshape(n, c, h, w)) + x

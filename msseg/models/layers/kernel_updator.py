"""K-Net's update of kernels by the features that their masks gather."""

from __future__ import annotations

from collections.abc import Mapping

import mindspore as ms
from mindspore import nn, ops

from msseg.models.layers.activation import RELU, build_activation_layer
from msseg.models.layers.norm import build_norm_layer
from msseg.models.layers.precision import FullDense
from msseg.models.layers.transformer import LN, TRANSFORMER_LAYERS
from msseg.utils.arguments import Channels, checked
from msseg.utils.errors import UserValueError


@TRANSFORMER_LAYERS.register_module()
class KernelUpdator(nn.Cell):
    """Mixes kernels with gathered features by two gates that their product opens.

    Args:
        in_channels: Length of a group: features and kernels are cut into groups, each of which is
            updated alone.
        feat_channels: Length inside, which must be `in_channels`; None: the same.
        out_channels: Length of an updated group; None: `in_channels`.
        gate_sigmoid: Whether gates pass a sigmoid.
        gate_norm_act: Whether the product passes a norm and the activation.
        activate_out: Whether what the gates mix passes the activation.
        norm_cfg: See `build_norm_layer`; a norm of the last axis.
        act_cfg: See `build_activation_layer`.

    Raises:
        ValueError: Another `feat_channels`.

    Source: Zhang et al., K-Net (2021), section 3.2; MMSegmentation 0.30 ``KernelUpdator``, whose
    parameter names it keeps. There, `feat_channels` is 64 by default, with which it cannot run.
    """

    @checked
    def __init__(
        self,
        in_channels: Channels = 256,
        feat_channels: Channels | None = None,
        out_channels: Channels | None = None,
        gate_sigmoid: bool = True,
        gate_norm_act: bool = False,
        activate_out: bool = False,
        norm_cfg: Mapping = LN,
        act_cfg: Mapping = RELU,
    ) -> None:
        super().__init__()
        width = in_channels if feat_channels is None else feat_channels
        if width != in_channels:
            raise UserValueError(
                key='feat_channels',
                got=feat_channels,
                expected=f'in_channels ({in_channels})',
                who='KernelUpdator',
            )
        self.in_channels = in_channels
        self.out_channels = in_channels if out_channels is None else out_channels
        self.gate_sigmoid, self.gate_norm_act = gate_sigmoid, gate_norm_act
        self.activate_out = activate_out
        # features that a mask gathers over a whole map leave the range of float16
        self.dynamic_layer = FullDense(width, 2 * width)
        self.input_layer = nn.Dense(width, 2 * width)
        self.input_gate = FullDense(width, width)
        self.update_gate = FullDense(width, width)
        if gate_norm_act:
            self.gate_norm = build_norm_layer(norm_cfg, width)[1]
        self.norm_in = build_norm_layer(norm_cfg, width)[1]
        self.norm_out = build_norm_layer(norm_cfg, width)[1]
        self.input_norm_in = build_norm_layer(norm_cfg, width)[1]
        self.input_norm_out = build_norm_layer(norm_cfg, width)[1]
        self.activation = build_activation_layer(act_cfg)
        self.fc_layer = nn.Dense(width, self.out_channels)
        self.fc_norm = build_norm_layer(norm_cfg, self.out_channels)[1]

    def construct(self, update_feature: ms.Tensor, input_feature: ms.Tensor) -> ms.Tensor:
        """Update kernels.

        Args:
            update_feature: What masks gather, (n, classes, c); `in_channels` divides c.
            input_feature: Kernels (n, classes, c * taps), of one image or of all.

        Returns:
            (n, classes, c * taps / in_channels * out_channels).
        """
        classes, c = update_feature.shape[1:]
        taps, width = input_feature.shape[2] // c, self.in_channels
        groups = classes * c // width
        update = update_feature.reshape(update_feature.shape[0], groups, width)
        inputs = input_feature.reshape(input_feature.shape[0], groups * taps, width)
        param_in, param_out = ops.split(self.dynamic_layer(update), width, axis=2)
        input_in, input_out = ops.split(self.input_layer(inputs), width, axis=2)
        gates = input_in * repeat_tokens(param_in, taps)
        if self.gate_norm_act:
            gates = self.activation(self.gate_norm(gates))
        input_gate = self.input_norm_in(self.input_gate(gates))
        update_gate = self.norm_in(self.update_gate(gates))
        if self.gate_sigmoid:
            input_gate, update_gate = ops.sigmoid(input_gate), ops.sigmoid(update_gate)
        param_out, input_out = self.norm_out(param_out), self.input_norm_out(input_out)
        if self.activate_out:
            param_out, input_out = self.activation(param_out), self.activation(input_out)
        mixed = update_gate * repeat_tokens(param_out, taps) + input_gate * input_out
        updated = self.activation(self.fc_norm(self.fc_layer(mixed)))
        length = c * taps // width * self.out_channels
        return updated.reshape(updated.shape[0], classes, length)


def repeat_tokens(x: ms.Tensor, count: int) -> ms.Tensor:
    """Repeat each token of (n, l, c) in place: (n, l * count, c)."""
    if count == 1:
        return x
    n, length, c = x.shape
    return ops.concat((x,) * count, axis=2).reshape(n, length * count, c)

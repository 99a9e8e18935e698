"""DDRNet's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import (
    Conv2d,
    ConvModule,
    apply_init_cfg,
    build_activation_layer,
    build_norm_layer,
    resize,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import checked
from msseg.utils.errors import UserValueError

_NAMES = ('loss_context', 'loss_spatial')
_LOSSES = ({'type': 'OhemCrossEntropy'}, {'type': 'OhemCrossEntropy', 'loss_weight': 0.4})


@HEADS.register_module()
class DDRHead(BaseDecodeHead):
    """Classifies DDRNet's last map, and in training its first one, too.

    Args:
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        loss_decode: Two losses: of the last map and of the first one. Without a ``loss_name`` they
            are logged as ``loss_context`` and ``loss_spatial``.
        **kwargs: See `BaseDecodeHead`. ``in_channels`` are those of the last map; the first one has
            half as many.

    Source: Hong et al., Deep Dual-resolution Networks (2021); MMSegmentation 1.2 ``DDRHead``, whose
    parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        loss_decode: Sequence[Mapping] = _LOSSES,
        **kwargs: Any,
    ) -> None:
        losses = named_losses(loss_decode, _NAMES, type(self).__name__)
        super().__init__(norm_cfg=norm_cfg, act_cfg=act_cfg, loss_decode=losses, **kwargs)
        refuse_sampler(self)
        self.aux_channels = self.in_channels // 2
        self.further_inputs = {'aux_channels': 0}
        self.head = self._make_base_head(self.in_channels)
        self.aux_head = self._make_base_head(self.aux_channels)
        self.aux_cls_seg = Conv2d(self.channels, self.out_channels, 1)
        self.train_only_losses = tuple(self.loss_names[1:2])
        apply_init_cfg(self, dict(type='Kaiming', layer='Conv2d'))

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ms.Tensor]:
        """Give the logits of the last map; in training also those of the first one."""
        logits = self.cls_seg(self.head(self.transform_inputs(inputs)))
        if not self.training:
            return logits
        return logits, self.aux_cls_seg(self.aux_head(inputs[0]))

    def losses(
        self, logits: ms.Tensor | tuple[ms.Tensor, ms.Tensor], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        """Compute both losses and the accuracy; see `BaseDecodeHead.losses`.

        Args:
            logits: The result of `construct`; without those of the first map, their loss is 0.
            labels: (n, h, w), int32.
        """
        spatial = ops.zeros((), ms.float32)
        context = logits
        if isinstance(logits, tuple):
            context, first = logits
            spatial = loss_of(self, 1, enlarge(self, first, labels), labels)
        context = enlarge(self, context, labels)
        return loss_of(self, 0, context, labels), spatial, self._accuracy(context, labels)

    def _make_base_head(self, in_channels: int) -> nn.SequentialCell:
        options = {**self.conv_options, 'order': ('norm', 'act', 'conv')}
        return nn.SequentialCell(
            ConvModule(in_channels, self.channels, 3, padding=1, **options),
            build_norm_layer(self.norm_cfg, self.channels)[1],
            build_activation_layer(self.act_cfg),
        )


def named_losses(
    configs: Sequence[Mapping], names: Sequence[str], who: str
) -> list[dict[str, Any]]:
    """Return the losses of the outputs of a head, with names where they have none.

    Raises:
        ValueError: There are not as many losses as `names`, or two have the same name.
    """
    if isinstance(configs, Mapping) or len(configs) != len(names):
        raise UserValueError(
            key='loss_decode',
            got=configs,
            expected=f'a list of {len(names)} losses, for {", ".join(names)}',
            who=who,
        )
    losses = [{'loss_name': name, **config} for name, config in zip(names, configs, strict=True)]
    given = [loss['loss_name'] for loss in losses]
    if len(set(given)) < len(given):
        raise UserValueError(
            key='loss_decode',
            got=given,
            expected='another loss_name for each loss, or none',
            who=who,
        )
    return losses


def refuse_sampler(head: BaseDecodeHead) -> None:
    """Raise ValueError when a head that has a loss for each output has a pixel sampler."""
    if head.sampler is not None:
        raise UserValueError(
            key='sampler',
            got=type(head.sampler).__name__,
            expected='None',
            advice='choose pixels by OhemCrossEntropy in loss_decode',
            who=type(head).__name__,
        )


def loss_of(
    head: BaseDecodeHead,
    number: int,
    logits: ms.Tensor,
    labels: ms.Tensor,
    ignore_index: int | None = None,
) -> ms.Tensor:
    """Compute one of a head's losses from logits of the labels' size.

    Args:
        head: The head.
        number: Index of the loss.
        logits: (n, c, h, w).
        labels: (n, h, w), int32.
        ignore_index: Label of pixels that do not count; None: the head's.
    """
    ignored = head.ignore_index if ignore_index is None else ignore_index
    return head.loss_decode[number](logits, labels, weight=None, ignore_index=ignored).mean()


def enlarge(head: BaseDecodeHead, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
    """Resize logits to the size of labels (n, h, w), in float32."""
    return resize(logits.astype(ms.float32), labels.shape[1:], head.align_corners)

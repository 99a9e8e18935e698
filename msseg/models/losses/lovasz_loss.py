"""Lovász loss: the convex extension of 1 - IoU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import ChannelSoftmax
from msseg.models.losses.class_weight import ClassWeight, read_class_weight
from msseg.models.losses.lovasz_extension import LovaszExtension
from msseg.models.losses.one_hot import valid_pixels
from msseg.models.losses.reduce import Reduction, reduce_loss
from msseg.utils.arguments import Length, Name, NonNegative, NonNegativeInt, checked

Classes = Literal['present', 'all'] | Annotated[Sequence[NonNegativeInt], Length()]


@LOSSES.register_module()
class LovaszLoss(nn.Cell):
    """Lovász-softmax, or Lovász hinge of one channel; ignored pixels are left out.

    A batch, or with `per_image` an image, without a valid pixel costs 0.

    Args:
        loss_type: ``'multi_class'`` (softmax) or ``'binary'`` (hinge; one channel, labels 0 and
            1).
        classes: Whose losses are averaged: ``'present'``: those with a labelled pixel; ``'all'``;
            or a list of classes. Not read for ``'binary'``.
        per_image: Whether each image has a loss of its own, or the batch has one.
        reduction: How images' losses are joined: ``'mean'``, ``'sum'`` or ``'none'``. It must be
            ``'none'`` when `per_image` is False.
        class_weight: Weight of each class, as a list or the path of a .npy, .json or .yaml file.
            Not read for ``'binary'``.
        loss_weight: Factor on the result.
        loss_name: Name in the log; it enters the total only if it contains ``loss``.

    Raises:
        ValueError: A bad value.

    Source: MMSegmentation 0.30 ``LovaszLoss`` (which gives NaN or fails without a valid pixel);
    arXiv:1705.08790.
    """

    @checked
    def __init__(
        self,
        loss_type: Literal['binary', 'multi_class'] = 'multi_class',
        classes: Classes = 'present',
        per_image: bool = False,
        reduction: Reduction = 'mean',
        class_weight: ClassWeight = None,
        loss_weight: NonNegative = 1.0,
        loss_name: Name = 'loss_lovasz',
    ) -> None:
        super().__init__()
        self.reduction = reduction
        if not per_image and reduction != 'none':
            raise ValueError(
                f'LovaszLoss: reduction is {reduction!r}, but the whole batch has one loss: give '
                "reduction='none', or per_image=True"
            )
        self.binary = loss_type == 'binary'
        self.min_channels, self.max_channels = (1, 1) if self.binary else (2, None)
        self.classes = classes if isinstance(classes, str) else tuple(classes)
        self.per_image = per_image
        self.class_weight = read_class_weight(class_weight)
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.softmax = ChannelSoftmax()
        self.extension = LovaszExtension()

    def construct(
        self,
        logits: ms.Tensor,
        labels: ms.Tensor,
        weight: ms.Tensor | None = None,
        ignore_index: int | None = 255,
        avg_factor: float | None = None,
    ) -> ms.Tensor:
        """Compute the loss.

        Args:
            logits: (n, c, h, w); c is 1 for ``'binary'``, else at least 2.
            labels: (n, h, w), int32 in [0, c) or ignore_index; 0 or 1 for ``'binary'``.
            weight: Not read, as in MMSegmentation.
            ignore_index: Label of pixels that do not count; None: all count.
            avg_factor: What the mean over images divides by, instead of their number.

        Returns:
            float32: a number, or (n,) for ``per_image=True, reduction='none'``.
        """
        logits = logits.astype(ms.float32)
        valid = valid_pixels(labels, ignore_index)
        if self.binary:
            losses = self._hinge(logits, labels, valid)
        else:
            losses = self._softmax(logits, labels, valid)
        if not self.per_image:
            return self.loss_weight * losses.reshape(())
        return self.loss_weight * reduce_loss(losses, self.reduction, avg_factor)

    def _hinge(self, logits: ms.Tensor, labels: ms.Tensor, valid: ms.Tensor) -> ms.Tensor:
        n, c, h, w = logits.shape
        if c != 1:
            raise ValueError(
                f"LovaszLoss: the logits have {c} channels, expected 1 for loss_type='binary'"
            )
        positive = ops.equal(labels.reshape(n, 1, h, w), 1).astype(ms.float32)
        errors = ops.relu(1.0 - logits * ops.stop_gradient(2.0 * positive - 1.0))
        losses, _ = self.extension(errors, labels, valid, _class_ids((1,)), self.per_image)
        return losses.reshape(-1)

    def _softmax(self, logits: ms.Tensor, labels: ms.Tensor, valid: ms.Tensor) -> ms.Tensor:
        n, c, h, w = logits.shape
        if c == 1:
            raise ValueError(
                'LovaszLoss: the logits have 1 channel, expected one for each of 2 classes; for '
                "one channel give loss_type='binary'"
            )
        probabilities = self.softmax(logits)
        chosen = tuple(range(c))
        if isinstance(self.classes, tuple):
            chosen = _check_range(self.classes, c)
            probabilities = ops.gather(probabilities, _class_ids(chosen), 1)
        ids = _class_ids(chosen)
        of_class = ops.equal(labels.reshape(n, 1, h, w), ids.reshape(1, -1, 1, 1))
        of_class = of_class.astype(ms.float32)
        errors = of_class + probabilities * ops.stop_gradient(1.0 - 2.0 * of_class)
        losses, counts = self.extension(errors, labels, valid, ids, self.per_image)
        if self.classes == 'present':
            counted = ops.minimum(counts, 1.0)
        else:
            counted = ops.ones_like(counts)
        if self.class_weight is not None:
            losses = losses * _weights(self.class_weight, chosen)
        return (losses * counted).sum(axis=1) / ops.maximum(counted.sum(axis=1), 1.0)


@ops.constexpr
def _class_ids(classes: tuple[int, ...]) -> ms.Tensor:
    return ms.Tensor(classes, ms.int32)


@ops.constexpr
def _weights(class_weight: list[float], classes: tuple[int, ...]) -> ms.Tensor:
    return ms.Tensor(np.asarray(class_weight)[list(classes)], ms.float32)


@ops.constexpr
def _check_range(classes: tuple[int, ...], num_classes: int) -> tuple[int, ...]:
    if max(classes) >= num_classes:
        raise ValueError(
            f'LovaszLoss: classes are {list(classes)!r}, but the logits have {num_classes} channels'
        )
    return classes

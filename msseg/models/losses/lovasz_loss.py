"""Lovász loss: the convex extension of 1 - IoU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import mindspore as ms
import numpy as np
from mindspore import nn, ops

from msseg.models.builder import LOSSES
from msseg.models.layers import ChannelSoftmax, DescendingOrder
from msseg.models.losses.common import BaseLoss, ClassWeight, Reduction, reduce_loss, valid_pixels
from msseg.utils.arguments import Length, Name, NonNegative, NonNegativeInt, checked

Classes = Literal['present', 'all'] | Annotated[Sequence[NonNegativeInt], Length()]


@LOSSES.register_module()
class LovaszLoss(BaseLoss):
    """Lovász-softmax, or Lovász hinge of one channel, without the ignored pixels.

    A batch, or with `per_image` an image, without a valid pixel costs 0.

    Args:
        loss_type: ``'multi_class'`` (softmax) or ``'binary'`` (hinge; one channel, labels 0 and
            1).
        classes: Whose losses are averaged: ``'present'``: those with a labelled pixel; ``'all'``;
            or a list of classes. Not read for ``'binary'``.
        per_image: Whether each image has a loss, or the batch has one.
        reduction: How images' losses are joined: ``'mean'``, ``'sum'`` or ``'none'``, for (n,). It
            must be ``'none'`` when `per_image` is False.
        class_weight: See `BaseLoss`. Not read for ``'binary'``.

    See `BaseLoss` for the other arguments.

    Source: MMSegmentation 0.30 ``LovaszLoss`` (which gives NaN or fails without a valid pixel);
    arXiv:1705.08790.

    Examples:
        >>> logits, labels = ms.Tensor([[[[0.0]], [[0.0]]]]), ms.Tensor([[[1]]], ms.int32)
        >>> float(LovaszLoss(reduction='none')(logits, labels))
        0.5
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
        super().__init__(loss_weight, loss_name, class_weight, reduction)
        if not per_image and reduction != 'none':
            raise ValueError(
                f'LovaszLoss: reduction is {reduction!r}, but the whole batch has one loss: give '
                "reduction='none', or per_image=True"
            )
        self.binary = loss_type == 'binary'
        self.min_channels, self.max_channels = (1, 1) if self.binary else (2, None)
        self.classes = classes if isinstance(classes, str) else tuple(classes)
        self.per_image = per_image
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
        """Compute the loss; `weight` is not read, as in MMSegmentation. See `BaseLoss`.

        `avg_factor` is the divisor of the mean over images, in place of their number.
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


class LovaszExtension(nn.Cell):
    """Lovász extension of 1 - IoU: weighs each error by its increment, the largest errors first.

    The weights do not depend smoothly on the errors and have no gradient: so only the order is
    needed, and the weights are scattered to the pixels rather than the errors sorted.

    Source: arXiv:1705.08790, algorithm 1.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order = DescendingOrder()

    def construct(
        self,
        errors: ms.Tensor,
        labels: ms.Tensor,
        valid: ms.Tensor,
        classes: ms.Tensor,
        per_image: bool,
    ) -> tuple[ms.Tensor, ms.Tensor]:
        """Compute the extension.

        Args:
            errors: (n, c, h, w), each at least 0.
            labels: (n, h, w), int32.
            valid: (n, h, w), 1 for pixels that count, 0 for others.
            classes: (c,), int32: the class of each channel of the errors.
            per_image: Whether each image has a loss.

        Returns:
            Losses, and the classes' numbers of valid pixels, each (n, c), or (1, c).
        """
        n, c, h, w = errors.shape
        images = n if per_image else 1
        pixels = h * w * (n // images)
        # Pixels that do not count come last.
        valid_n1hw = valid.reshape(n, 1, h, w)
        keys = ops.stop_gradient(errors) * valid_n1hw + (valid_n1hw - 1.0)
        order = self.order(self._rows(keys, per_image).reshape(images * c, pixels))
        order = order.reshape(images, c, pixels)
        labels = ops.select(valid > 0, labels, ops.full_like(labels, -1))
        starts = (ops.arange(images) * pixels).astype(ms.int32).reshape(images, 1, 1)
        sorted_labels = ops.gather(labels.reshape(-1), order + starts, 0)
        of_class = ops.equal(sorted_labels, classes.reshape(1, c, 1)).astype(ms.float32)
        weights, counts = _jaccard_weights(of_class)
        weights = ops.tensor_scatter_elements(ops.zeros_like(weights), order, weights, axis=2)
        weights = self._images(weights, errors.shape, per_image) * valid_n1hw
        losses = (errors * ops.stop_gradient(weights)).reshape(n, c, h * w).sum(axis=2)
        if not per_image:
            losses = losses.sum(axis=0, keepdims=True)
        return losses, ops.stop_gradient(counts.reshape(images, c))

    def _rows(self, x: ms.Tensor, per_image: bool) -> ms.Tensor:
        """Bring a class's pixels, of one image or of all, together."""
        if per_image or x.shape[0] == 1:
            return x
        return x.transpose(1, 0, 2, 3)

    def _images(self, x: ms.Tensor, shape: tuple[int, ...], per_image: bool) -> ms.Tensor:
        """Undo `_rows`."""
        n, c, h, w = shape
        if per_image or n == 1:
            return x.reshape(shape)
        return x.reshape(c, n, h, w).transpose(1, 0, 2, 3)


def _jaccard_weights(of_class: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
    """Return each pixel's increment of 1 - IoU, (images, c, pixels), and p, (images, c, 1).

    `of_class` (images, c, pixels) is 1 for the class's pixels, from the largest error down. With f
    of the class's p pixels and b others among those up to and including this one, 1 - IoU is
    1 - (p - f) / (p + b). Its increments are written out: differences of neighbours, which are
    almost equal, would lose most of float32's digits.
    """
    pixels = of_class.shape[2]
    found = ops.cumsum(of_class, 2)
    size = found[:, :, pixels - 1 :]
    rank = ops.arange(1, pixels + 1).astype(ms.float32).reshape(1, 1, pixels)
    union = size + rank - found
    rest = (size - found) / ops.maximum(union - 1.0, 1.0)
    weights = (of_class + (1.0 - of_class) * rest) / union
    # Of an absent class the first wrong pixel makes the IoU 0.
    absent = ops.equal(size, 0).astype(ms.float32) * ops.equal(rank, 1).astype(ms.float32)
    return weights + absent, size


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

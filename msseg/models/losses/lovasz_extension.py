"""The Lovász extension of the Jaccard loss."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from msseg.models.layers import DescendingOrder


class LovaszExtension(nn.Cell):
    """Weighs each pixel's error by what it adds to 1 - IoU, errors taken from the largest down.

    The weights do not depend smoothly on the errors and have no gradient: so only the order is
    needed, and the weights go to the pixels' places rather than the errors into the order.

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
            classes: (c,), int32: the class that each channel of the errors is about.
            per_image: Whether each image stands alone.

        Returns:
            Losses, and the class's number of valid pixels, each (n, c), or (1, c).
        """
        n, c, h, w = errors.shape
        images = n if per_image else 1
        pixels = h * w * (n // images)
        # Whatever is not valid comes last.
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
    """What each pixel adds to 1 - IoU when all before it are wrong.

    With f of the class's p pixels and b others among those up to and including this one, 1 - IoU
    is 1 - (p - f) / (p + b). Its increments are written out: differences of neighbours, which are
    almost equal, would lose most of float32's digits.

    Args:
        of_class: (images, c, pixels), 1 for the class's pixels, from the largest error down.

    Returns:
        The weights, (images, c, pixels), and p, (images, c, 1).
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

"""Online hard example mining over pixels."""

from __future__ import annotations

from typing import Annotated

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import PIXEL_SAMPLERS
from msseg.models.layers import LabelLogProb, RankedValue
from msseg.utils.arguments import Int32, Probability, Range, checked


@PIXEL_SAMPLERS.register_module()
class OHEMPixelSampler(nn.Cell):
    """Keeps the pixels that the network finds hard.

    Args:
        ignore_index: Label of pixels that are never kept; the head's, where a head builds it.
        thresh: Keep the pixels whose labelled class has a lower probability, and at least
            `min_kept` per image of the batch. None: keep just those `min_kept` of the highest
            loss.
        min_kept: Number of pixels per image.
        mean_over_kept: Scale the weights so that a loss's mean over the valid pixels
            (``avg_non_ignore=True``) becomes the mean over the pixels kept, as in the reference
            implementation of HRNet-OCR.

    Source: MMSegmentation 0.30 ``OHEMPixelSampler``. Pixels whose loss equals that of the last
    one kept are kept, too.
    """

    @checked
    def __init__(
        self,
        ignore_index: Int32 | None = 255,
        thresh: Probability | None = None,
        min_kept: Annotated[int, Range(2, 2**31 - 1)] = 100000,
        mean_over_kept: bool = False,
    ) -> None:
        super().__init__()
        self.ignore_index = -(2**31) if ignore_index is None else ignore_index
        self.thresh = thresh
        self.needs_losses = thresh is None
        self.min_kept = min_kept
        self.mean_over_kept = mean_over_kept
        self.log_prob = LabelLogProb()
        self.ranked = RankedValue()

    def construct(self, logits: ms.Tensor, labels: ms.Tensor, losses: ms.Tensor) -> ms.Tensor:
        """Choose pixels.

        Args:
            logits: (n, c, h, w), at the labels' size.
            labels: (n, h, w), int32.
            losses: (n, h, w), every pixel's loss; not read when `thresh` is given.

        Returns:
            (n, h, w), float32, without gradient: 0 for pixels that do not count, else 1, or with
            `mean_over_kept` the number of valid pixels over that of kept ones.
        """
        valid = ops.not_equal(labels, self.ignore_index)
        kept = self.min_kept * labels.shape[0]
        if self.thresh is None:
            weights = self._hardest(losses, valid, kept)
        else:
            weights = self._below_threshold(logits, labels, valid, kept)
        if not self.mean_over_kept:
            return weights
        return weights * (valid.astype(ms.float32).sum() / ops.maximum(weights.sum(), 1.0))

    def _hardest(self, losses: ms.Tensor, valid: ms.Tensor, kept: int) -> ms.Tensor:
        scores = ops.stop_gradient(losses.astype(ms.float32)).reshape(-1)
        # Losses are not negative: invalid pixels come last.
        scores = ops.select(valid.reshape(-1), scores, ops.full_like(scores, -1.0))
        kept = min(kept, scores.size)
        lowest = self.ranked(scores, ms.Tensor(kept - 1, ms.int32), kept)
        chosen = ops.greater_equal(scores, lowest).reshape(valid.shape)
        return ops.logical_and(valid, chosen).astype(ms.float32)

    def _below_threshold(
        self, logits: ms.Tensor, labels: ms.Tensor, valid: ms.Tensor, kept: int
    ) -> ms.Tensor:
        labels = labels * valid.astype(ms.int32)
        logits = ops.stop_gradient(logits.astype(ms.float32))
        probability = ops.exp(self.log_prob(logits, labels))
        hard = hard_pixels(probability, valid, kept, self.thresh, self.ranked)
        return hard.astype(ms.float32)


def hard_pixels(
    probability: ms.Tensor,
    valid: ms.Tensor,
    min_kept: int,
    thresh: float,
    ranked: RankedValue,
) -> ms.Tensor:
    """Choose the pixels whose labelled class has a low probability.

    Args:
        probability: (n, h, w), of the labelled class.
        valid: (n, h, w), bool: whether a pixel counts.
        min_kept: Choose at least as many, where there are.
        thresh: Choose all that have a lower probability.
        ranked: The layer that finds the probability of a rank.

    Returns:
        (n, h, w), bool.
    """
    # The lowest probabilities first, negated; invalid pixels come last.
    order = ops.select(valid, -probability, ops.full_like(probability, -2.0)).reshape(-1)
    last = ops.minimum(valid.astype(ms.int32).sum() - 1, min_kept)
    lowest = -ranked(order, ops.maximum(last, 0), min(min_kept + 1, order.size))
    threshold = ops.maximum(lowest, thresh)
    return ops.logical_and(valid, ops.less(probability, threshold))

"""Meaning of a segmentor's scores: the only definition of their probabilities and labels.

`msseg.deploy.logits` is its twin in numpy, for exported files and for averages on the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import mindspore as ms
from mindspore import ops

ScoreKind = Literal['logits', 'probabilities']


@dataclass(frozen=True)
class OutputSpec:
    """Input and output of a segmentor.

    Attributes:
        in_channels: Channels of the image.
        num_classes: Number of classes.
        out_channels: Channels of the scores: `num_classes`, or 1 for two classes.
        threshold: With one channel, the probability above which a pixel is class 1; else None.
        align_corners: How scores are resized.
        kind: Whether the scores are logits or probabilities.

    Examples:
        >>> spec = OutputSpec(3, 2, 1, threshold=0.3, align_corners=False)
        >>> spec.labels(ms.Tensor([[[[-2.0, 0.0, 2.0]]]])).asnumpy().tolist()
        [[[0, 1, 1]]]
    """

    in_channels: int
    num_classes: int
    out_channels: int
    threshold: float | None
    align_corners: bool
    kind: ScoreKind = 'logits'

    def probabilities(self, scores: ms.Tensor) -> ms.Tensor:
        """Return the probabilities of scores, float32 (n, out_channels, h, w)."""
        return to_probabilities(scores, self.out_channels, self.kind)

    def labels(self, scores: ms.Tensor) -> ms.Tensor:
        """Return the labels, int32 (n, h, w), of scores (n, out_channels, h, w)."""
        return to_labels(scores, self.out_channels, self.threshold, self.kind)


def to_probabilities(scores: ms.Tensor, out_channels: int, kind: ScoreKind) -> ms.Tensor:
    """Turn scores into probabilities; see `OutputSpec` for the arguments."""
    if kind == 'probabilities':
        return scores
    if out_channels == 1:
        return ops.sigmoid(scores)
    return ops.softmax(scores, axis=1)


def to_labels(
    scores: ms.Tensor, out_channels: int, threshold: float | None, kind: ScoreKind
) -> ms.Tensor:
    """Turn scores into labels; see `OutputSpec` for the arguments."""
    if out_channels == 1:
        probabilities = to_probabilities(scores, out_channels, kind)
        return (probabilities[:, 0] > threshold).astype(ms.int32)
    return ops.Argmax(axis=1, output_type=ms.int32)(scores)

"""An exported file against the checkpoint it was made from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from msseg.deploy.logits import labels_of

LEAST_EQUAL = 0.9999
# Sums of float32 in another order differ by some 1e-6 of the largest logit.
_TOLERANCE = 1e-3
# Attention can be so sharp that the last bit decides, as in networks with random weights: of twelve
# the exported file differed by 0.6 to 13 times what a change of the input's last bit did.
_ROUNDINGS = 32
# Beyond this share of the largest logit nothing would be compared any more.
_MOST_TOLERANCE = 0.05


@dataclass(frozen=True)
class Case:
    """One input and what the checkpoint's network makes of it.

    Attributes:
        batch: The exported file's input.
        logits: (n, c, h, w).
        rounding: By how much the logits change with the last bits of the input.
    """

    batch: np.ndarray
    logits: np.ndarray
    rounding: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """How well two networks agree.

    Attributes:
        num_images: How many images were compared.
        largest_logit: Of the checkpoint's, by amount.
        largest_difference: Between logits; None when there are only labels.
        equal_pixels: Share of the pixels with the same label.
        equal_decided: The same among pixels whose two best logits differ by more than `tolerance`.
        tolerance: The largest difference between logits that rounding explains.
    """

    num_images: int
    largest_logit: float
    largest_difference: float | None
    equal_pixels: float
    equal_decided: float
    tolerance: float

    def __str__(self) -> str:
        text = f'{100 * self.equal_pixels:.4f} % of pixels equal on {self.num_images} images'
        if self.largest_difference is None:
            return text
        return (
            f'{text}, largest difference {self.largest_difference:.2g} (logits up to '
            f'{self.largest_logit:.3g})'
        )

    def check(self, who: str) -> None:
        """Raise ValueError unless they agree."""
        difference, limit = self.largest_difference, self.tolerance
        is_far = difference is not None and not difference <= limit
        if is_far or self.equal_decided < LEAST_EQUAL:
            raise ValueError(
                f'{who}: what was exported disagrees with the checkpoint: {self}; allowed are '
                f'{limit:.2g} and {100 * LEAST_EQUAL:g} %; nothing was written'
            )


def compare(
    run: Callable[[np.ndarray], np.ndarray],
    cases: Sequence[Case],
    num_images: int,
    threshold: float | None,
) -> Agreement:
    """Run a network on what another has run on.

    Args:
        run: Gives logits (n, c, h, w) or labels (n, h, w).
        cases: What the other made.
        num_images: Of how many images.
        threshold: For one channel of logits: the probability above which a pixel is class 1.
    """
    largest = max(float(np.abs(case.logits).max()) for case in cases)
    rounding = max(case.rounding for case in cases)
    tolerance = min(_ROUNDINGS * rounding, _MOST_TOLERANCE * largest)
    tolerance = max(_TOLERANCE * max(1.0, largest), tolerance)
    difference: float | None = None
    counts = np.zeros(4, np.int64)
    for case in cases:
        output = run(case.batch)
        if output.ndim == 4:
            difference = max(difference or 0.0, float(np.abs(output - case.logits).max()))
            output, _ = _decide(output, threshold)
        labels, margin = _decide(case.logits, threshold)
        same, is_clear = output == labels, margin > tolerance
        counts += [same.size, same.sum(), is_clear.sum(), (same & is_clear).sum()]
    pixels, equal, decided, equal_decided = counts.tolist()
    return Agreement(
        num_images,
        largest,
        difference,
        equal / pixels,
        equal_decided / decided if decided else 1.0,
        tolerance,
    )


def _decide(logits: np.ndarray, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and by how much they are decided, (n, h, w) each."""
    labels = np.stack([labels_of(each, threshold) for each in logits])
    if logits.shape[1] == 1:
        return labels, np.abs(logits[:, 0] - math.log(threshold / (1 - threshold)))
    best = np.partition(logits, -2, axis=1)[:, -2:]
    return labels, best[:, 1] - best[:, 0]

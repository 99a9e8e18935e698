"""Rotating at random."""

from __future__ import annotations

from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines.image_ops import rotate
from msseg.datasets.pipelines.label_check import fillable
from msseg.datasets.pipelines.random_source import RandomSource, get_rng
from msseg.utils.arguments import Int32, NonEmpty, Positive, Probability, checked


@PIPELINES.register_module()
class RandomRotate:
    """Rotate image and label with a probability.

    Reads: img, seg_fields and the labels they name, num_classes, ignore_index, rng. Writes: img,
    the labels.

    Args:
        prob: Probability.
        degree: Range (smallest, largest) of the clockwise angle in degrees; a number d above 0
            stands for (-d, d).
        pad_val: Value outside the image: one number for all channels, or one for each.
        seg_pad_val: Value outside the label.
        center: Centre (x, y); the image's own by default.
        auto_bound: Enlarge the result to hold the whole rotated image.

    Source: MMSegmentation 0.30 ``RandomRotate``.
    """

    @checked
    def __init__(
        self,
        prob: Probability,
        degree: Positive | tuple[float, float],
        pad_val: float | NonEmpty[float] = 0,
        seg_pad_val: Int32 = 255,
        center: tuple[float, float] | None = None,
        auto_bound: bool = False,
    ) -> None:
        if isinstance(degree, (int, float)):
            degree = (-degree, degree)
        if center is not None and auto_bound:
            raise ValueError('RandomRotate: auto_bound=True conflicts with center; give one')
        self.prob = prob
        self.degree = degree
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val
        self.center = center
        self.auto_bound = auto_bound

    def __call__(self, results: dict) -> dict:
        angle = self._sample_angle(get_rng(results))
        if angle is None:
            return results
        bounds = (self.center, self.auto_bound)
        results['img'] = rotate(results['img'], angle, self.pad_val, 'bilinear', *bounds)
        for key in results.get('seg_fields', []):
            label = fillable(results[key], self.seg_pad_val, results, 'RandomRotate: seg_pad_val')
            results[key] = rotate(label, angle, self.seg_pad_val, 'nearest', *bounds)
        return results

    def _sample_angle(self, rng: RandomSource) -> float | None:
        chosen = rng.random() < self.prob
        angle = rng.uniform(min(self.degree), max(self.degree))  # drawn in either case
        return angle if chosen else None

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, degree={self.degree}, '
            f'pad_val={self.pad_val}, seg_pad_val={self.seg_pad_val}, center={self.center}, '
            f'auto_bound={self.auto_bound})'
        )

"""Comparison of an exported file with the checkpoint on real images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.apis.build import build_split
from msseg.config import Config
from msseg.datasets.sample_rng import get_filename
from msseg.deploy.image_input import ImageInput
from msseg.deploy.logits import labels_of
from msseg.deploy.metadata import Metadata
from msseg.models import InferenceSegmentor
from msseg.utils.errors import UserFileNotFoundError
from msseg.utils.normalization import Normalization

LEAST_EQUAL = 0.9999
# Sums of float32 in another order differ by some 1e-6 of the largest logit.
_TOLERANCE = 1e-3
# Attention can be so sharp that the last bit decides, as in networks with random weights: of twelve
# the exported file differed by 0.6 to 13 times what a change of the input's last bit did.
_ROUNDINGS = 32
# A tolerance beyond this share of the largest logit would accept anything.
_MOST_TOLERANCE = 0.05
# Images are compared up to this number of pixels: their logits wait in memory.
_NUM_PIXELS = 2**22
_MOST_IMAGES = 4


@dataclass(frozen=True)
class Case:
    """An input and the logits of the checkpoint's network.

    Attributes:
        batch: The exported file's input.
        logits: (n, c, h, w).
        rounding: The largest change of a logit with the last bits of the input.
    """

    batch: np.ndarray
    logits: np.ndarray
    rounding: float = 0.0


@dataclass(frozen=True)
class Agreement:
    """The agreement of two networks.

    Attributes:
        num_images: How many images were compared.
        largest_logit: The largest absolute value of the checkpoint's logits.
        largest_difference: Between logits; None when the file gives labels.
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
        """Raise ValueError unless the networks agree."""
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
    """Compare a network's outputs with those of the cases.

    Args:
        run: Gives logits (n, c, h, w) or labels (n, h, w).
        cases: Inputs and expected logits.
        num_images: The number of images in the cases.
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
    share = equal_decided / decided if decided else 1.0
    return Agreement(num_images, largest, difference, equal / pixels, share, tolerance)


def _decide(logits: np.ndarray, threshold: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and the logits' distance from other labels, (n, h, w) each."""
    labels = np.stack([labels_of(each, threshold) for each in logits])
    if logits.shape[1] == 1:
        return labels, np.abs(logits[:, 0] - math.log(threshold / (1 - threshold)))
    best = np.partition(logits, -2, axis=1)[:, -2:]
    return labels, best[:, 1] - best[:, 0]


def find_images(cfg: Config, size: tuple[int, int]) -> list[str]:
    """Return images from all of a config's test data, few for a large (h, w) of the comparison."""
    dataset = build_split(cfg, 'test')
    count = min(_MOST_IMAGES, max(1, _NUM_PIXELS // (size[0] * size[1])), len(dataset))
    if not count:
        raise UserFileNotFoundError(
            'has no images to compare the exported file on',
            config_path='data.test',
            file=cfg.filename,
            advice='name some with --images',
        )
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    return [get_filename(dataset, int(index)) for index in indices]


def cropped(image: np.ndarray, divisor: int) -> np.ndarray:
    """Return the largest upper left part whose sides are multiples of `divisor`."""
    h, w = image.shape[:2]
    return image[: h - h % divisor, : w - w % divisor]


def make_cases(
    model: nn.Cell, metadata: Metadata, images: Sequence[str | Path], size: tuple[int, int]
) -> list[Case]:
    """Run the checkpoint's network.

    Args:
        model: The network.
        metadata: The description of the file.
        images: Files; where the size is fixed they are resized to it.
        size: The (h, w) of the export; where the size is free, the first image is also taken at
            this size.

    Raises:
        FileNotFoundError, ValueError: An image cannot be read.
    """
    prepare = ImageInput(metadata, 'the comparison')
    loaded = [prepare.load(image) for image in images]
    fitted = [each if each.shape[:2] == size else cv2.resize(each, size[::-1]) for each in loaded]
    count = metadata.input.batch
    if count is None:
        divisor = getattr(model, 'size_divisor', 1)
        free = [cropped(prepare.resize(image), divisor) for image in loaded]
        batches = [[image] for image in free if image.size] + [fitted[:1]]
    else:
        batches = [(fitted * count)[start : start + count]
                   for start in range(0, len(fitted), count)]  # fmt: skip
    if hasattr(model, 'check_image_size'):
        for batch in batches:
            model.check_image_size(batch[0].shape[:2])
    network = InferenceSegmentor(model, 'logits')
    steps = metadata.preprocessing
    normalize = Normalization(steps.mean, steps.std, steps.to_rgb)
    cases = []
    for batch in batches:
        taken = normalized = np.stack([normalize(image) for image in batch])
        directions = np.random.default_rng(0).choice(np.float32([-np.inf, np.inf]), taken.shape)
        other_last_bits = np.nextafter(normalized, directions)
        logits, changed = (network(ms.Tensor(x)).asnumpy() for x in (normalized, other_last_bits))
        if steps.included:
            taken = np.stack([image.reshape(*image.shape[:2], -1) for image in batch])
        cases.append(Case(taken, logits, float(np.abs(changed - logits).max())))
    return cases

"""Mean and standard deviation of images, from those of each."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from msseg.checks.data.file_scan import ImageScan


def mean_and_std(images: Iterable[ImageScan]) -> tuple[np.ndarray, np.ndarray] | None:
    """Return mean and standard deviation of each channel over all pixels of all images.

    Args:
        images: Images that could be loaded.

    Returns:
        Two (c,) float64, in the order of the loaded channels; None when there is no image, or
        when they differ in their number of channels.
    """
    images = list(images)
    if len({len(image.mean) for image in images}) != 1:
        return None
    pixels = np.array([image.size[0] * image.size[1] for image in images], float)[:, None]
    share = pixels / pixels.sum()
    means = np.array([image.mean for image in images])
    mean = (share * means).sum(axis=0)
    within = np.array([image.variance for image in images])
    variance = (share * (within + (means - mean) ** 2)).sum(axis=0)
    return mean, np.sqrt(variance)

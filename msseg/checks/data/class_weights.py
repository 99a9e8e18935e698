"""Weights of classes by how often they occur: pure functions."""

from __future__ import annotations

import numpy as np


def median_frequency_weights(pixels: np.ndarray, pixels_of_images: np.ndarray) -> np.ndarray:
    """Return weights by median frequency balancing.

    A class's frequency is the share of its pixels in the images that have it; its weight is the
    median of all frequencies divided by its own.

    Args:
        pixels: (K,) pixels of each class.
        pixels_of_images: (K,) labelled pixels of the images in which the class occurs.

    Returns:
        (K,) float64; 1 for classes that never occur, which no pixel uses.

    Source: "Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale
        Convolutional Architecture" (Eigen and Fergus, 2015), section 4.3.2.
    """
    weights = np.ones(len(pixels))
    occurs = np.asarray(pixels) > 0
    if occurs.any():
        frequency = np.asarray(pixels, float)[occurs] / np.asarray(pixels_of_images, float)[occurs]
        weights[occurs] = np.median(frequency) / frequency
    return weights


def default_beta(pixels: np.ndarray) -> float:
    """Return 1 - 1/N, N being the mean number of pixels of the classes that occur.

    With N far below the counts all weights would be equal, far above it they would be inverse
    frequencies; the paper's 0.9999 is for thousands of images, not for millions of pixels.
    """
    occurring = np.asarray(pixels)[np.asarray(pixels) > 0]
    return 1.0 - 1.0 / max(float(occurring.mean()), 2.0) if occurring.size else 0.5


def effective_number_weights(pixels: np.ndarray, beta: float) -> np.ndarray:
    """Return weights by the effective number of samples.

    A class's weight is the inverse of ``(1 - beta ** n) / (1 - beta)``, n being its pixels; the
    weights of the classes that occur are scaled to the mean 1.

    Args:
        pixels: (K,) pixels of each class.
        beta: In (0, 1).

    Returns:
        (K,) float64; 1 for classes that never occur.

    Raises:
        ValueError: Another `beta`.

    Source: "Class-Balanced Loss Based on Effective Number of Samples" (Cui et al., 2019),
        equations 2 and 4.
    """
    if not 0 < beta < 1:
        raise ValueError(f'beta={beta!r}; expected a number between 0 and 1, such as 0.9999')
    weights = np.ones(len(pixels))
    counts = np.asarray(pixels, float)
    occurs = counts > 0
    if occurs.any():
        effective = -np.expm1(counts[occurs] * np.log(beta)) / (1.0 - beta)
        weights[occurs] = 1.0 / effective
        weights[occurs] /= weights[occurs].mean()
    return weights

"""Trees, bushes and hedges."""

from __future__ import annotations

import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.sprite import Sprite


def tree(rng: np.random.Generator) -> Sprite:
    """Returns a broad-leaved tree; the trunk is vegetation too, as in Cityscapes."""
    height = rng.uniform(6, 10)
    crown = rng.uniform(1.6, 2.6)
    board = Sprite(2 * crown + 1.4, height, pixels_per_metre=24)
    middle = board.width / 2
    bark = np.array((84, 68, 54)) + rng.uniform(-10, 10)
    board.polygon(
        [
            (middle - 0.22, 0),
            (middle + 0.22, 0),
            (middle + 0.14, height * 0.6),
            (middle - 0.14, height * 0.6),
        ],
        bark,
        L.VEGETATION,
    )
    leaf = np.array((70, 106, 48)) + rng.uniform(-18, 18, 3)
    centre = height * 0.66
    _leaves(board, rng, (middle, centre), (crown, height * 0.3), leaf, count=110)
    return board


def bush(rng: np.random.Generator) -> Sprite:
    """Returns a bush of about a person's height."""
    width, height = rng.uniform(1.6, 3.2), rng.uniform(0.9, 1.6)
    board = Sprite(width + 0.8, height + 0.4, pixels_per_metre=40)
    leaf = np.array((78, 112, 52)) + rng.uniform(-20, 16, 3)
    _leaves(board, rng, (board.width / 2, height * 0.45), (width / 2, height * 0.5), leaf, count=70)
    return board


def _leaves(
    board: Sprite,
    rng: np.random.Generator,
    centre: tuple[float, float],
    radius: tuple[float, float],
    colour: np.ndarray,
    count: int,
) -> None:
    """Fills an ellipse with overlapping tufts, dark below and bright above."""
    for step in range(count):
        angle, reach = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
        # tufts go on from below to above, so that lit ones cover shaded ones
        height = -1 + 2 * step / count
        across = reach * np.cos(angle) * np.sqrt(max(0.05, 1 - height**2))
        spot = (centre[0] + across * radius[0], centre[1] + height * radius[1] * 0.9)
        light = 0.62 + 0.3 * (height + 1) / 2 + rng.uniform(0, 0.35)
        size = rng.uniform(0.16, 0.34) * min(radius)
        board.disc(spot, size, colour * light, L.VEGETATION)
    board.roughen(rng, 9)

"""What lines a street: buildings, walls and fences, as flat fronts."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.ground import clouds
from benchmarks.synthetic.sprite import Sprite

_PLASTER = (
    (196, 178, 150),
    (176, 150, 128),
    (208, 200, 184),
    (150, 118, 98),
    (184, 164, 120),
    (160, 160, 158),
)
_SHOPS = ((120, 50, 46), (46, 66, 96), (60, 92, 66), (140, 110, 50), (70, 66, 70))


def building(rng: np.random.Generator, width: float, height: float) -> Sprite:
    """Returns a house front with rows of windows over a shop floor."""
    front = Sprite(width, height, pixels_per_metre=24)
    plaster = np.array(_PLASTER[rng.integers(len(_PLASTER))]) + rng.uniform(-14, 14, 3)
    front.box(0, 0, width, height, plaster, L.BUILDING)
    stains = clouds(rng, *front.labels.shape, 40)[..., None] * 9
    front.rgb[:] = np.clip(front.rgb + stains, 0, 255).astype(np.uint8)
    glass = np.array((66, 78, 94)) + rng.uniform(-16, 24)
    frame = plaster + 32
    pitch, storey = rng.uniform(2.2, 3.2), rng.uniform(2.9, 3.5)
    wide, tall = pitch * rng.uniform(0.4, 0.6), storey * rng.uniform(0.45, 0.6)
    for bottom in np.arange(storey + 0.9, height - tall - 0.4, storey):
        for left in np.arange((width % pitch) / 2 + (pitch - wide) / 2, width - wide, pitch):
            right, top = left + wide, bottom + tall
            front.box(left - 0.1, bottom - 0.14, right + 0.1, top + 0.1, frame, L.BUILDING)
            front.box(left, bottom, right, top, glass, L.BUILDING)
            front.line([(left + wide / 2, bottom), (left + wide / 2, top)], 0.07, frame, L.BUILDING)
    shop = np.array(_SHOPS[rng.integers(len(_SHOPS))]) + rng.uniform(-10, 10, 3)
    front.box(0, 0, width, storey * 0.2, plaster * 0.7, L.BUILDING)
    for left in np.arange(0.5, width - 2.0, 3.4):
        front.box(left, storey * 0.2, left + 2.6, storey * 0.75, glass, L.BUILDING)
        front.box(left - 0.2, storey * 0.75, left + 2.8, storey * 0.95, shop, L.BUILDING)
    front.box(0, height - 0.35, width, height, plaster * 0.62, L.BUILDING)
    front.shade(0.85, 1.05)
    front.roughen(rng, 3)
    return front


def wall(rng: np.random.Generator, width: float) -> Sprite:
    """Returns a stretch of brick or stone wall."""
    height = rng.uniform(1.7, 2.4)
    front = Sprite(width, height, pixels_per_metre=40)
    brick = np.array((148, 92, 76) if rng.random() < 0.6 else (132, 126, 120))
    front.box(0, 0, width, height, brick * 0.72, L.WALL)
    for row, bottom in enumerate(np.arange(0.02, height - 0.15, 0.26)):
        for left in np.arange(-0.3 * (row % 2), width, 0.6):
            colour = brick + rng.uniform(-16, 16)
            front.box(left, bottom, left + 0.54, bottom + 0.21, colour, L.WALL)
    front.box(0, height - 0.14, width, height, brick + 46, L.WALL)
    front.shade(0.8, 1.0)
    front.roughen(rng, 5)
    return front


def fence(rng: np.random.Generator, width: float) -> Sprite:
    """Returns a stretch of fence: boards, or bars that let the background show between them.

    Cityscapes' annotators filled the gaps of a fence, so the label covers them too.
    """
    height = rng.uniform(1.1, 1.6)
    front = Sprite(width, height, pixels_per_metre=50)
    if rng.random() < 0.5:
        tone = np.array((134, 104, 70)) + rng.uniform(-14, 14)
        gap, board = 0.24, 0.17
        back = tone * 0.45
    else:
        tone = np.array((62, 84, 72)) + rng.uniform(-10, 16)
        gap, board = 0.2, 0.09
        back = (112, 116, 104)
    front.box(0, 0, width, height, back, L.FENCE)
    for left in np.arange(0.02, width, gap):
        front.box(left, 0, left + board, height, tone + rng.uniform(-9, 9), L.FENCE)
    for bottom in (0.18, height - 0.26):
        front.box(0, bottom, width, bottom + 0.1, tone * 0.82, L.FENCE)
    front.roughen(rng, 4)
    return front


def skyline(rng: np.random.Generator, width: float) -> Sprite:
    """Returns the far end of the street: tree tops with roofs among them."""
    height = 26.0
    far = Sprite(width, height, pixels_per_metre=4)
    green = np.array((72, 98, 66))
    for left in np.arange(0, width, 5):
        top = rng.uniform(5, 13)
        if rng.random() < 0.45:
            tone = np.array((164, 150, 140)) + rng.uniform(-24, 24)
            far.box(left, 0, left + rng.uniform(6, 12), top + 8, tone, L.BUILDING)
        else:
            tone = green + rng.uniform(-12, 12)
            far.disc((left, 0), (rng.uniform(4, 7), top), tone, L.VEGETATION)
    far.rgb[:] = cv2.blur(far.rgb, (3, 3))
    far.roughen(rng, 5)
    return far

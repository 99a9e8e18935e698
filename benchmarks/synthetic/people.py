"""People on foot, and riders on bicycles and motorcycles."""

from __future__ import annotations

import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.sprite import Colour, Sprite

_SKIN = ((232, 190, 160), (198, 146, 112), (134, 92, 66))
_CLOTHES = (
    (44, 46, 60),
    (150, 38, 42),
    (42, 78, 132),
    (214, 208, 196),
    (196, 150, 40),
    (72, 96, 70),
    (110, 62, 110),
)
_TYRE = (34, 34, 36)


def person(rng: np.random.Generator) -> Sprite:
    """Returns a standing or walking person."""
    board = Sprite(1.0, 1.85, pixels_per_metre=80)
    coat, legs, skin = _outfit(rng)
    step = rng.uniform(0.02, 0.24)
    board.line([(0.47, 0.85), (0.47 - step, 0.03)], 0.15, legs, L.PERSON)
    board.line([(0.53, 0.85), (0.53 + step, 0.03)], 0.15, legs, L.PERSON)
    board.polygon([(0.33, 0.8), (0.67, 0.8), (0.72, 1.48), (0.28, 1.48)], coat, L.PERSON)
    swing = rng.uniform(0, 0.14)
    board.line([(0.3, 1.42), (0.24 - swing, 0.92)], 0.11, coat, L.PERSON)
    board.line([(0.7, 1.42), (0.76 + swing, 0.92)], 0.11, coat, L.PERSON)
    board.box(0.45, 1.45, 0.55, 1.58, skin, L.PERSON)
    board.disc((0.5, 1.66), (0.115, 0.14), skin, L.PERSON)
    board.disc((0.5, 1.73), (0.12, 0.09), 0.4 * np.array(legs), L.PERSON)
    board.roughen(rng, 5)
    return board


def bicycle(rng: np.random.Generator, ridden: bool) -> Sprite:
    """Returns a bicycle from its side, with its rider or parked."""
    board = Sprite(1.9, 1.85, pixels_per_metre=80)
    frame = np.array(_CLOTHES[rng.integers(len(_CLOTHES))]) * 0.9
    for hub in (0.4, 1.5):
        board.disc((hub, 0.36), 0.35, (120, 122, 124), L.BICYCLE)  # spokes count as bicycle
        board.ring((hub, 0.36), 0.33, 0.07, _TYRE, L.BICYCLE)
    bars = [(0.4, 0.36), (0.75, 0.9), (1.35, 0.88), (0.9, 0.38), (0.75, 0.9)]
    board.line(bars, 0.07, frame, L.BICYCLE)
    board.line([(0.9, 0.38), (0.4, 0.36)], 0.06, frame, L.BICYCLE)
    board.line([(1.5, 0.36), (1.33, 1.06), (1.18, 1.1)], 0.07, frame, L.BICYCLE)
    board.box(0.6, 0.92, 0.88, 1.0, _TYRE, L.BICYCLE)
    if ridden:
        _draw_rider(board, rng, seat=(0.74, 0.98), hands=(1.2, 1.1), feet=(0.95, 0.25))
    board.roughen(rng, 5)
    return board if rng.random() < 0.5 else board.mirrored()


def motorcycle(rng: np.random.Generator, ridden: bool) -> Sprite:
    """Returns a motorcycle from its side, with its rider or parked."""
    board = Sprite(2.2, 1.75, pixels_per_metre=80)
    paint = np.array(((176, 30, 32), (30, 60, 140), (40, 42, 44))[rng.integers(3)])
    for hub in (0.42, 1.78):
        board.disc((hub, 0.34), 0.34, _TYRE, L.MOTORCYCLE)
        board.disc((hub, 0.34), 0.16, (150, 150, 150), L.MOTORCYCLE)
    engine = [(0.55, 0.3), (1.5, 0.28), (1.62, 0.62), (0.5, 0.66)]
    board.polygon(engine, (64, 64, 68), L.MOTORCYCLE)
    board.polygon([(0.8, 0.62), (1.6, 0.6), (1.52, 1.0), (1.05, 0.92)], paint, L.MOTORCYCLE)
    board.polygon([(0.12, 0.78), (1.0, 0.72), (0.98, 0.86), (0.16, 0.92)], _TYRE, L.MOTORCYCLE)
    board.line([(1.78, 0.34), (1.5, 1.12), (1.34, 1.16)], 0.11, (90, 90, 94), L.MOTORCYCLE)
    board.disc((1.64, 0.92), 0.12, (240, 236, 200), L.MOTORCYCLE)
    if ridden:
        _draw_rider(board, rng, seat=(0.78, 0.86), hands=(1.36, 1.12), feet=(1.05, 0.3))
    board.roughen(rng, 5)
    return board if rng.random() < 0.5 else board.mirrored()


def _draw_rider(
    board: Sprite,
    rng: np.random.Generator,
    seat: tuple[float, float],
    hands: tuple[float, float],
    feet: tuple[float, float],
) -> None:
    coat, legs, skin = _outfit(rng)
    knee = (seat[0] + 0.42, seat[1] - 0.18)
    board.line([seat, knee, feet], 0.16, legs, L.RIDER)
    shoulder = (seat[0] + 0.2, seat[1] + 0.48)
    board.line([(seat[0], seat[1] + 0.06), shoulder], 0.3, coat, L.RIDER)
    board.line([shoulder, hands], 0.11, coat, L.RIDER)
    head = (shoulder[0] + 0.1, shoulder[1] + 0.22)
    board.disc(head, (0.12, 0.14), skin, L.RIDER)
    board.disc((head[0] - 0.01, head[1] + 0.05), (0.14, 0.12), coat, L.RIDER)  # the helmet


def _outfit(rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """Returns the colours of coat, legs and skin."""
    coat = np.array(_CLOTHES[rng.integers(len(_CLOTHES))]) + rng.uniform(-12, 12, 3)
    legs = np.array(((40, 44, 62), (34, 34, 36), (96, 88, 78))[rng.integers(3)])
    skin = _SKIN[rng.integers(len(_SKIN))]
    return coat, legs + rng.uniform(-8, 8), skin

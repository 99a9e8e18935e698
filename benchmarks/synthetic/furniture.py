"""Poles and what hangs on them: lamps, traffic lights, traffic signs; and unlabelled bins."""

from __future__ import annotations

import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.sprite import Sprite

_STEEL = (104, 108, 110)
_RED, _AMBER, _GREEN = (240, 50, 40), (250, 190, 40), (50, 230, 120)
_SIGN_RED, _SIGN_BLUE, _WHITE = (206, 34, 40), (28, 76, 172), (240, 240, 236)


def lamp_post(rng: np.random.Generator) -> Sprite:
    """Returns a street lamp, all of it pole."""
    height = rng.uniform(6, 8)
    board = Sprite(2.4, height)
    steel = _steel(rng)
    board.box(1.1, 0, 1.3, height * 0.96, steel, L.POLE)
    board.box(1.02, 0, 1.38, 0.9, steel, L.POLE)
    reach = 0.1 if rng.random() < 0.5 else 2.3
    board.line([(1.2, height * 0.95), (reach, height * 0.985)], 0.14, steel, L.POLE)
    board.roughen(rng, 5)
    return board


def traffic_light(rng: np.random.Generator) -> Sprite:
    """Returns a signal head on a pole."""
    board = Sprite(0.9, 3.6)
    board.box(0.37, 0, 0.53, 3.5, _steel(rng), L.POLE)
    board.box(0.16, 2.35, 0.74, 3.55, (34, 36, 36), L.TRAFFIC_LIGHT)
    lit = rng.integers(3)
    for place, colour in enumerate((_GREEN, _AMBER, _RED)):
        shown = colour if place == lit else 0.25 * np.array(colour)
        board.disc((0.45, 2.56 + 0.39 * place), 0.17, shown, L.TRAFFIC_LIGHT)
    board.roughen(rng, 4)
    return board


def traffic_sign(rng: np.random.Generator) -> Sprite:
    """Returns one or two signs on a pole."""
    board = Sprite(1.1, 3.4)
    board.box(0.48, 0, 0.62, 3.3, _steel(rng), L.POLE)
    _draw_sign(board, rng.integers(4), 2.85)
    if rng.random() < 0.4:
        _draw_sign(board, rng.integers(4), 1.95)
    board.roughen(rng, 4)
    return board


def bin_(rng: np.random.Generator) -> Sprite:
    """Returns a litter bin, which Cityscapes leaves out of its 19 classes."""
    board = Sprite(0.6, 0.95)
    tone = np.array((70, 92, 84)) + rng.uniform(-20, 30, 3)
    board.box(0, 0, 0.6, 0.9, tone, L.STATIC)
    board.box(0, 0.78, 0.6, 0.95, tone * 0.6, L.STATIC)
    board.roughen(rng, 6)
    return board


def _draw_sign(board: Sprite, kind: int, height: float) -> None:
    x = 0.55
    if kind == 0:  # prohibition
        board.disc((x, height), 0.48, _SIGN_RED, L.TRAFFIC_SIGN)
        board.disc((x, height), 0.32, _WHITE, L.TRAFFIC_SIGN)
    elif kind == 1:  # warning
        for size, colour in ((0.52, _SIGN_RED), (0.3, _WHITE)):
            corners = [
                (x - size, height - size * 0.8),
                (x + size, height - size * 0.8),
                (x, height + size),
            ]
            board.polygon(corners, colour, L.TRAFFIC_SIGN)
    elif kind == 2:  # mandatory
        board.disc((x, height), 0.46, _SIGN_BLUE, L.TRAFFIC_SIGN)
        board.box(x - 0.07, height - 0.28, x + 0.07, height + 0.28, _WHITE, L.TRAFFIC_SIGN)
    else:  # information
        board.box(x - 0.45, height - 0.42, x + 0.45, height + 0.42, _SIGN_BLUE, L.TRAFFIC_SIGN)
        board.box(x - 0.2, height - 0.28, x + 0.2, height + 0.28, _WHITE, L.TRAFFIC_SIGN)


def _steel(rng: np.random.Generator) -> tuple[float, ...]:
    return np.array(_STEEL) + rng.uniform(-24, 24)

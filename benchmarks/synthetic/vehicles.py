"""Cars, trucks, buses and trams: a rear view and a side view each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.sprite import Colour, Sprite

_TYRE, _GLASS = (30, 30, 32), (58, 70, 84)
_LAMP, _PLATE = (206, 30, 30), (226, 224, 200)
_CAR_PAINT = (
    (38, 40, 44),
    (182, 184, 188),
    (226, 228, 230),
    (140, 26, 30),
    (34, 60, 120),
    (96, 98, 102),
    (60, 84, 70),
)
_BUS_PAINT = ((232, 176, 24), (204, 44, 40), (240, 222, 190))
_TRAIN_PAINT = ((26, 116, 118), (120, 44, 122), (30, 84, 160))
_CARGO = ((222, 218, 208), (176, 120, 60), (118, 140, 92))


@dataclass(frozen=True)
class Vehicle:
    """A box on wheels: its rear face, its left-to-right side face, and its length in metres."""

    rear: Sprite
    side: Sprite

    @property
    def length(self) -> float:
        """Returns the length in metres."""
        return self.side.width


def car(rng: np.random.Generator) -> Vehicle:
    """Returns a car."""
    paint = _jitter(rng, _CAR_PAINT)
    rear = Sprite(1.8, 1.5, pixels_per_metre=70)
    rear.box(0.1, 0, 0.42, 0.4, _TYRE, L.CAR)
    rear.box(1.38, 0, 1.7, 0.4, _TYRE, L.CAR)
    rear.box(0.0, 0.22, 1.8, 0.95, paint, L.CAR)
    rear.polygon([(0.02, 0.9), (1.78, 0.9), (1.68, 1.46), (0.12, 1.46)], paint, L.CAR)
    rear.polygon([(0.18, 0.96), (1.62, 0.96), (1.52, 1.38), (0.28, 1.38)], _GLASS, L.CAR)
    rear.box(0.04, 0.68, 0.36, 0.88, _LAMP, L.CAR)
    rear.box(1.44, 0.68, 1.76, 0.88, _LAMP, L.CAR)
    rear.box(0.64, 0.56, 1.16, 0.7, _PLATE, L.CAR)
    rear.box(0, 0.22, 1.8, 0.36, 0.5 * np.array(paint), L.CAR)

    side = Sprite(4.2, 1.5, pixels_per_metre=60)
    body = [(0, 0.26), (4.18, 0.26), (4.16, 0.72), (3.1, 0.92), (0, 0.95)]
    side.polygon(body, paint, L.CAR)
    side.polygon([(0.02, 0.9), (3.25, 0.86), (2.4, 1.46), (0.08, 1.48)], paint, L.CAR)
    side.polygon([(0.4, 0.94), (1.7, 0.94), (1.7, 1.38), (0.5, 1.38)], _GLASS, L.CAR)
    side.polygon([(1.82, 0.94), (2.92, 0.92), (2.32, 1.38), (1.82, 1.38)], _GLASS, L.CAR)
    _draw_wheels(side, (0.85, 3.3), 0.34, L.CAR)
    return _finished(rear, side, rng)


def truck(rng: np.random.Generator) -> Vehicle:
    """Returns a truck with a box body."""
    cargo, cab = _jitter(rng, _CARGO), _jitter(rng, _CAR_PAINT)
    height = rng.uniform(3.1, 3.6)
    rear = Sprite(2.5, height, pixels_per_metre=50)
    _draw_axle(rear, L.TRUCK)
    rear.box(0, 0.75, 2.5, height, cargo, L.TRUCK)
    seam = 0.6 * np.array(cargo)
    rear.line([(1.25, 0.9), (1.25, height)], 0.06, seam, L.TRUCK)
    rear.box(0, 0.6, 2.5, 0.85, (70, 70, 72), L.TRUCK)
    rear.box(0.1, 0.64, 0.45, 0.82, _LAMP, L.TRUCK)
    rear.box(2.05, 0.64, 2.4, 0.82, _LAMP, L.TRUCK)

    side = Sprite(8.0, height, pixels_per_metre=40)
    side.box(0, 0.85, 5.9, height, cargo, L.TRUCK)
    for rib in np.arange(0.6, 5.8, 0.75):
        side.line([(rib, 0.9), (rib, height)], 0.06, seam, L.TRUCK)
    side.box(0, 0.6, 8.0, 0.9, (70, 70, 72), L.TRUCK)
    side.polygon([(6.1, 0.6), (8.0, 0.6), (7.95, 1.5), (7.6, 2.7), (6.1, 2.7)], cab, L.TRUCK)
    side.polygon([(6.5, 1.6), (7.8, 1.6), (7.5, 2.5), (6.5, 2.5)], _GLASS, L.TRUCK)
    _draw_wheels(side, (1.2, 2.3, 6.9), 0.5, L.TRUCK)
    return _finished(rear, side, rng)


def bus(rng: np.random.Generator) -> Vehicle:
    """Returns a city bus."""
    paint = _jitter(rng, _BUS_PAINT)
    rear = Sprite(2.55, 3.1, pixels_per_metre=50)
    _draw_axle(rear, L.BUS)
    rear.box(0, 0.35, 2.55, 3.1, paint, L.BUS)
    rear.box(0.25, 1.75, 2.3, 2.6, _GLASS, L.BUS)
    rear.box(0.7, 2.72, 1.85, 2.98, (240, 170, 40), L.BUS)
    rear.box(0.08, 0.7, 0.34, 1.3, _LAMP, L.BUS)
    rear.box(2.21, 0.7, 2.47, 1.3, _LAMP, L.BUS)

    side = Sprite(11.0, 3.1, pixels_per_metre=36)
    side.box(0, 0.35, 11, 3.1, paint, L.BUS)
    _draw_windows(side, 0.3, 10.7, (1.45, 2.55), 1.35, L.BUS)
    for door in (3.2, 8.6):
        side.box(door, 0.45, door + 1.2, 2.6, (44, 52, 60), L.BUS)
    side.box(0, 0.35, 11, 0.6, 0.55 * np.array(paint), L.BUS)
    _draw_wheels(side, (2.2, 7.8), 0.48, L.BUS)
    return _finished(rear, side, rng)


def train(rng: np.random.Generator) -> Vehicle:
    """Returns a tram."""
    paint = _jitter(rng, _TRAIN_PAINT)
    white = (226, 228, 226)
    rear = Sprite(2.65, 3.7, pixels_per_metre=50)
    rear.polygon(
        [(0, 0.2), (2.65, 0.2), (2.65, 3.0), (2.3, 3.6), (0.35, 3.6), (0, 3.0)], white, L.TRAIN
    )
    rear.box(0, 0.2, 2.65, 1.5, paint, L.TRAIN)
    rear.polygon([(0.2, 1.6), (2.45, 1.6), (2.2, 3.0), (0.45, 3.0)], _GLASS, L.TRAIN)
    rear.disc((0.45, 1.0), 0.17, (250, 236, 190), L.TRAIN)
    rear.disc((2.2, 1.0), 0.17, (250, 236, 190), L.TRAIN)

    side = Sprite(24.0, 3.7, pixels_per_metre=26)
    side.box(0, 0.2, 24, 3.5, white, L.TRAIN)
    side.box(0, 0.2, 24, 1.5, paint, L.TRAIN)
    _draw_windows(side, 0.5, 23.5, (1.65, 2.75), 1.7, L.TRAIN)
    side.box(0, 3.25, 24, 3.5, 0.6 * np.array(paint), L.TRAIN)
    for joint in (8.0, 16.0):
        side.box(joint - 0.25, 0.2, joint + 0.25, 3.5, (52, 52, 54), L.TRAIN)
    return _finished(rear, side, rng)


def _draw_wheels(side: Sprite, hubs: tuple[float, ...], radius: float, label: int) -> None:
    for hub in hubs:
        side.disc((hub, radius), radius, _TYRE, label)
        side.disc((hub, radius), radius * 0.5, (150, 152, 154), label)


def _draw_axle(rear: Sprite, label: int) -> None:
    rear.box(0.12, 0, 0.6, 0.8, _TYRE, label)
    rear.box(rear.width - 0.6, 0, rear.width - 0.12, 0.8, _TYRE, label)


def _draw_windows(
    side: Sprite, start: float, end: float, rows: tuple[float, float], pitch: float, label: int
) -> None:
    for left in np.arange(start, end - pitch, pitch):
        side.box(left, rows[0], left + pitch - 0.16, rows[1], _GLASS, label)


def _jitter(rng: np.random.Generator, paints: tuple[Colour, ...]) -> Colour:
    paint = np.array(paints[rng.integers(len(paints))]) + rng.uniform(-12, 12, 3)
    return paint


def _finished(rear: Sprite, side: Sprite, rng: np.random.Generator) -> Vehicle:
    for face, light in ((rear, 1.05), (side, 0.9)):
        face.shade(0.72 * light, 1.1 * light)
        face.roughen(rng, 4)
    return Vehicle(rear, side)

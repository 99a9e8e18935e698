"""Puts a street together: what stands where, painted from far to near, under one light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.synthetic import facades, furniture, people, plants, vehicles
from benchmarks.synthetic import labels as L
from benchmarks.synthetic.canvas import Camera, Canvas
from benchmarks.synthetic.ground import Street, draw_ground, draw_sky
from benchmarks.synthetic.sprite import Sprite
from benchmarks.synthetic.vehicles import Vehicle

# classes that chance alone would leave out of a small set: every scene features three of them
FEATURES = ('truck', 'bus', 'train', 'motorcycle', 'bicycle', 'wall', 'fence')
_FEATURES_PER_SCENE = 3
_NEAREST_M = 4.0
_PANEL_M = 4.0  # fences and walls are painted in pieces, to mix with what stands among them
_SUPERSAMPLED_BELOW = 700


@dataclass(frozen=True)
class _Thing:
    """Something to paint, by its distance."""

    z: float
    paint: Callable[[Canvas], None]


def draw_street(height: int, width: int, seed: int, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Draws one scene; the same arguments always give the same scene.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        seed: The data set's seed.
        index: The scene's number. Any three scenes in a row show all 19 classes but for
            what chance hides behind something nearer.

    Returns:
        The image, RGB uint8 (height, width, 3), and its Cityscapes label ids, uint8
        (height, width).
    """
    rng = np.random.default_rng((seed, index))
    features = {
        FEATURES[(_FEATURES_PER_SCENE * index + offset) % len(FEATURES)]
        for offset in range(_FEATURES_PER_SCENE)
    }
    # small pictures are painted twice as large, so that edges come out smooth
    zoom = 2 if height < _SUPERSAMPLED_BELOW else 1
    rows, columns = height * zoom, width * zoom
    camera = Camera(
        focal=rows * rng.uniform(1.25, 1.6),
        centre=(columns * rng.uniform(0.42, 0.58), rows * rng.uniform(0.4, 0.48)),
        height=rng.uniform(1.3, 1.6),
    )
    canvas = Canvas(rows, columns, camera)
    street = _lay_out(rng)
    haze = draw_sky(canvas, rng)
    canvas.stand(facades.skyline(rng, 260), 0, 150)
    draw_ground(canvas, street, rng)
    things = _fronts(street, features, rng)
    things.sort(key=lambda thing: -thing.z)
    for thing in things:
        thing.paint(canvas)
    things = _roadside(street, features, rng) + _traffic(street, features, rng)
    things.sort(key=lambda thing: -thing.z)
    for thing in things:
        thing.paint(canvas)
    _draw_bonnet(canvas, rng)
    return _develop(canvas, haze, (height, width), rng)


def _lay_out(rng: np.random.Generator) -> Street:
    grass = tuple(rng.uniform(2.0, 4.0) if rng.random() < 0.6 else 0.0 for _ in range(2))
    return Street(
        road=rng.uniform(4.0, 5.2),
        parking=2.2 if rng.random() < 0.35 else 0.0,
        pavement=rng.uniform(2.2, 3.4),
        grass=grass,
        crossing=rng.uniform(28, 45) if rng.random() < 0.4 else None,
    )


def _fronts(street: Street, features: set[str], rng: np.random.Generator) -> list[_Thing]:
    """Returns the buildings on both sides, and trees behind the gaps between them."""
    things = []
    for side, x in zip((-1, 1), street.fronts, strict=True):
        z = rng.uniform(3.0, 6.0)
        while z < 130:
            length = rng.uniform(9, 18)
            open_air = rng.random() < 0.22
            crossed = street.crossing is not None and z < street.crossing + 9 < z + length + 9
            if open_air or crossed:
                for _ in range(4):
                    spot = (x + side * rng.uniform(1, 6), z + rng.uniform(0, length))
                    things.append(_standing(plants.tree(rng), *spot))
                z += 9 if crossed else length * 0.7
                continue
            front = facades.building(rng, length, rng.uniform(7, 18))
            near, far = z, z + length
            if near >= _NEAREST_M - 1:
                things.append(
                    _Thing(near, lambda c, s=front, x=x, n=near, f=far: c.stand_along(s, x, n, f))
                )
            z = far + (rng.uniform(1, 4) if rng.random() < 0.3 else 0)
    return things


def _standing(sprite: Sprite, x: float, z: float) -> _Thing:
    def paint(canvas: Canvas) -> None:
        canvas.shadow(x, z, sprite.width * 0.3, 0.5)
        canvas.stand(sprite, x, z)

    return _Thing(z, paint)


def _roadside(street: Street, features: set[str], rng: np.random.Generator) -> list[_Thing]:
    """Returns what stands on pavements and grass: barriers, plants, poles, people."""
    things = _barriers(street, features, rng)
    for side, kerb in zip((-1, 1), street.kerbs, strict=True):
        grass = street.grass[(side + 1) // 2]
        behind = kerb + side * street.pavement
        near_kerb = kerb + side * 0.5
        for z in np.arange(rng.uniform(6, 14), 90, rng.uniform(9, 16)):
            things.append(_standing(furniture.lamp_post(rng), near_kerb, z + rng.uniform(-2, 2)))
        for z in rng.uniform(6, 45, rng.integers(2, 5)):
            things.append(_standing(furniture.traffic_sign(rng), near_kerb, z))
        for z in rng.uniform(7, 40, rng.integers(1, 4)):
            things.append(_standing(furniture.traffic_light(rng), near_kerb, z))
        if rng.random() < 0.5:
            things.append(_standing(furniture.bin_(rng), near_kerb, rng.uniform(6, 25)))
        if rng.random() < 0.6:
            for z in np.arange(rng.uniform(6, 12), 80, rng.uniform(8, 14)):
                things.append(_standing(plants.tree(rng), behind + side * (0.6 + grass / 2), z))
        if grass:
            for z in rng.uniform(7, 50, rng.integers(2, 6)):
                spot = behind + side * rng.uniform(0.8, max(0.9, grass))
                things.append(_standing(plants.bush(rng), spot, z))
        for z in rng.uniform(5.5, 40, rng.integers(2, 7)):
            spot = kerb + side * rng.uniform(0.6, street.pavement - 0.3)
            things.append(_standing(people.person(rng), spot, z))
    return things


def _barriers(street: Street, features: set[str], rng: np.random.Generator) -> list[_Thing]:
    """Returns walls and fences between pavement and grass, or before the buildings."""
    things = []
    kinds = [kind for kind in ('wall', 'fence') if kind in features]
    if not kinds and rng.random() < 0.3:
        kinds = [('wall', 'fence')[rng.integers(2)]]
    sides = rng.permutation([-1, 1])
    for kind, side in zip(kinds, sides, strict=False):
        x = street.kerbs[(side + 1) // 2] + side * (street.pavement + 0.1)
        make = facades.wall if kind == 'wall' else facades.fence
        start = rng.uniform(_NEAREST_M + 1, 8)
        panel = make(rng, _PANEL_M)
        for near in np.arange(start, start + rng.uniform(20, 50), _PANEL_M):
            things.append(
                _Thing(
                    near + _PANEL_M / 2,
                    lambda c, s=panel, x=x, n=near: c.stand_along(s, x, n, n + _PANEL_M),
                )
            )
    return things


def _traffic(street: Street, features: set[str], rng: np.random.Generator) -> list[_Thing]:
    """Returns vehicles ahead, oncoming and parked, and two-wheelers with and without riders."""
    things = []
    large = {'truck': vehicles.truck, 'bus': vehicles.bus, 'train': vehicles.train}
    makers = [large[name] for name in large if name in features]
    if rng.random() < 0.25:
        makers.append(list(large.values())[rng.integers(3)])
    lanes = [-street.road * 0.52, street.road * 0.52]
    rng.shuffle(lanes)
    for lane, make in zip(lanes, makers, strict=False):
        things.append(_driving(make(rng), lane, rng.uniform(9, 20)))
    if len(makers) > len(lanes):
        things.append(_driving(makers[-1](rng), lanes[0], rng.uniform(34, 44)))
    taken = len(makers)
    for lane in lanes:
        for z in np.cumsum(rng.uniform(9, 18, 3)) + (22 if taken > 0 else 0):
            if rng.random() < 0.75:
                things.append(_driving(vehicles.car(rng), lane + rng.uniform(-0.3, 0.3), z))
        taken -= 1
    if street.parking:
        for z in np.arange(rng.uniform(5, 9), 45, 5.6):
            if rng.random() < 0.75:
                things.append(_driving(vehicles.car(rng), street.road + street.parking / 2, z))
    elif rng.random() < 0.5:
        for z in np.arange(rng.uniform(7, 12), 40, 5.8):
            things.append(_driving(vehicles.car(rng), -street.road + 1.0, z))
    things += _two_wheelers(street, features, rng)
    return things


def _two_wheelers(street: Street, features: set[str], rng: np.random.Generator) -> list[_Thing]:
    things = []
    for name, make in (('bicycle', people.bicycle), ('motorcycle', people.motorcycle)):
        count = 3 if name in features else int(rng.random() < 0.25)
        for turn in range(count):
            ridden = turn % 3 != 1
            if ridden:
                x = rng.uniform(-street.road * 0.9, street.road * 0.9)
            else:
                side = rng.integers(2)
                x = street.kerbs[side] + (2 * side - 1) * rng.uniform(0.6, 1.6)
            things.append(_standing(make(rng, ridden), x, rng.uniform(5.5, 16)))
    return things


def _driving(vehicle: Vehicle, x: float, z: float) -> _Thing:
    """Returns a vehicle seen from behind, with the side that faces the camera's axis."""
    half = vehicle.rear.width / 2

    def paint(canvas: Canvas) -> None:
        canvas.shadow(x, z, half, vehicle.length)
        if abs(x) > half:
            inner = x - half if x > 0 else x + half
            side = vehicle.side if x < 0 else vehicle.side.mirrored()
            canvas.stand_along(side, inner, z, z + vehicle.length)
        canvas.stand(vehicle.rear, x, z)

    return _Thing(z, paint)


def _draw_bonnet(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paints the bonnet of the car that carries the camera; it is not evaluated."""
    height, width = canvas.labels.shape
    mask = np.zeros((height, width), np.uint8)
    top = rng.uniform(0.03, 0.07)
    cv2.ellipse(
        mask, (width // 2, height), (int(width * 0.46), int(height * top)), 0, 0, 360, 1, -1
    )
    seen = mask.astype(bool)
    canvas.rgb[seen] = np.array((52, 56, 62)) + rng.uniform(-20, 20)
    canvas.labels[seen] = L.EGO_VEHICLE
    canvas.depth[seen] = 1.0


def _develop(
    canvas: Canvas, haze: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Adds haze, light, blur and the sensor's noise, and brings the picture to its size."""
    rgb = canvas.rgb
    seen = (1 - np.exp(-canvas.depth / rng.uniform(90, 260)))[..., None]
    seen[canvas.labels == L.SKY] = 0
    rgb = rgb * (1 - seen) + haze * seen
    light = rng.uniform(0.72, 1.12) * rng.uniform(0.95, 1.05, 3)
    rgb = rgb * light
    height, width = size
    rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    rgb = cv2.GaussianBlur(rgb, (0, 0), rng.uniform(0.3, 0.6))
    rgb = rgb + rng.normal(0, rng.uniform(1.5, 5), (height, width, 1))
    zoom = canvas.labels.shape[0] // height
    labels = np.ascontiguousarray(canvas.labels[zoom // 2 :: zoom, zoom // 2 :: zoom])
    return np.clip(rgb, 0, 255).astype(np.uint8), labels

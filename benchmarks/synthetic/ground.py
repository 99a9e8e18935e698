"""Sky above the horizon; road, pavement, parking lanes and grass below it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.canvas import FAR_M, Canvas

_SKIES = (
    ((96, 150, 214), (196, 216, 236)),  # blue
    ((168, 178, 190), (218, 222, 226)),  # overcast
    ((120, 140, 180), (240, 206, 170)),  # evening
)
_MARKING = (214, 214, 208)


@dataclass(frozen=True)
class Street:
    """The street's cross-section in metres from its middle, and its crossing.

    Args:
        road: Half-width of the road.
        parking: Width of a parking lane at the right of the road; 0 for none.
        pavement: Width of either pavement.
        grass: Width of the grass behind the left and the right pavement; 0 for none.
        crossing: Where a crossing street begins; None for none.
    """

    road: float
    parking: float
    pavement: float
    grass: tuple[float, float]
    crossing: float | None

    @property
    def kerbs(self) -> tuple[float, float]:
        """Returns where the left and right pavement begin."""
        return -self.road, self.road + self.parking

    @property
    def fronts(self) -> tuple[float, float]:
        """Returns where buildings begin on the left and on the right."""
        left, right = self.kerbs
        return left - self.pavement - self.grass[0], right + self.pavement + self.grass[1]


def clouds(rng: np.random.Generator, height: int, width: int, cell: int) -> np.ndarray:
    """Returns smooth noise in -1 to 1, float32 (height, width), with lumps of about ``cell``."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3):
        step = max(2, cell >> octave)
        coarse = rng.uniform(-1, 1, (height // step + 2, width // step + 2)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) / 2**octave
    return total / 1.75


def draw_sky(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """Paints the sky over the whole picture and returns its colour at the horizon."""
    top, bottom = (np.array(colour) for colour in _SKIES[rng.integers(len(_SKIES))])
    height, width = canvas.labels.shape
    ramp = np.linspace(0, 1, height)[:, None, None] ** 0.8
    cover = np.clip(clouds(rng, height, width, width // 4) + rng.uniform(-0.3, 0.4), 0, 1)
    sky = top * (1 - ramp) + bottom * ramp
    canvas.rgb[:] = sky + cover[..., None] * (np.array((238, 238, 240)) - sky) * 0.7
    return bottom


def draw_ground(canvas: Canvas, street: Street, rng: np.random.Generator) -> None:
    """Paints everything below the horizon, pixel by pixel from its place in the world."""
    camera = canvas.camera
    height, width = canvas.labels.shape
    first = int(np.ceil(camera.centre[1] + camera.focal * camera.height / FAR_M))
    rows = np.arange(first, height, dtype=np.float32)[:, None] + 0.5
    z = camera.focal * camera.height / (rows - camera.centre[1])
    x = (np.arange(width, dtype=np.float32)[None] + 0.5 - camera.centre[0]) * z / camera.focal
    z = np.broadcast_to(z, x.shape)
    ids = _ground_labels(street, x, z)
    canvas.labels[first:] = ids
    canvas.depth[first:] = z
    canvas.rgb[first:] = _ground_colours(street, x, z, ids, rng)


def _ground_labels(street: Street, x: np.ndarray, z: np.ndarray) -> np.ndarray:
    left, right = street.kerbs
    ids = np.full(x.shape, L.SIDEWALK, np.uint8)
    ids[(x > left) & (x < street.road)] = L.ROAD
    ids[(x >= street.road) & (x < right)] = L.PARKING
    if street.grass[0]:
        ids[x < left - street.pavement] = L.TERRAIN
    if street.grass[1]:
        ids[x > right + street.pavement] = L.TERRAIN
    if street.crossing is not None:
        ids[(z > street.crossing) & (z < street.crossing + 9)] = L.ROAD
    return ids


def _ground_colours(
    street: Street, x: np.ndarray, z: np.ndarray, ids: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    tint = rng.uniform(-8, 8, 3)
    base = {
        L.ROAD: np.array((92, 92, 98)) + rng.uniform(-14, 14) + tint,
        L.PARKING: np.array((112, 106, 104)) + rng.uniform(-10, 10),
        L.SIDEWALK: np.array((158, 146, 138)) + rng.uniform(-14, 14) + tint,
        L.TERRAIN: np.array((122, 146, 74)) + rng.uniform(-16, 16, 3),
    }
    table = np.zeros((256, 3), np.float32)
    for label, colour in base.items():
        table[label] = colour
    rgb = table[ids]
    near = np.clip(1 - z / 45, 0, 1)  # texture melts into one tone far away
    grain = rng.normal(0, 1, (512, 512)).astype(np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), 1.2) * 2.2
    lumps = clouds(rng, 512, 512, 96)
    fine = grain[(z * 24).astype(int) % 512, (x * 24).astype(int) % 512]
    coarse = lumps[(z * 12).astype(int) % 512, (x * 12).astype(int) % 512]
    rough = np.where(ids == L.TERRAIN, 13, 6)
    rgb += (near * fine * rough + coarse * 9)[..., None]
    slabs = ((x % 0.9 < 0.06) | (z % 0.9 < 0.07)) & (ids == L.SIDEWALK)
    rgb[slabs] -= (26 * near[slabs])[:, None]
    _draw_markings(street, x, z, ids, rgb)
    return rgb


def _draw_markings(
    street: Street, x: np.ndarray, z: np.ndarray, ids: np.ndarray, rgb: np.ndarray
) -> None:
    """Paints kerbs, lane dashes, the line of the parking lane and a zebra crossing."""
    width = 0.09 + z * 0.0015
    for kerb in street.kerbs:
        rgb[(np.abs(x - kerb) < width) & (ids != L.ROAD)] = (178, 176, 172)
    dashes = (np.abs(x) < width) & (z % 6 < 3)
    edge = (np.abs(x - street.road) < width) & (street.parking > 0)
    paint = dashes | edge
    if street.crossing is not None:
        inside = (z > street.crossing) & (z < street.crossing + 9)
        zebra = (z > street.crossing - 3) & (z < street.crossing - 0.5) & (x % 1.0 < 0.5)
        paint = (paint & ~inside) | zebra
    rgb[paint & (ids == L.ROAD)] = _MARKING

"""The picture being painted: colours, labels and depth seen through a pinhole camera."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.synthetic import labels as L
from benchmarks.synthetic.sprite import Sprite

FAR_M = 400.0
_GROUND = (L.ROAD, L.SIDEWALK, L.PARKING, L.TERRAIN)


@dataclass(frozen=True)
class Camera:
    """A camera looking along the street; the world is in metres: x right, y up, z ahead.

    Args:
        focal: Focal length in pixels.
        centre: Vanishing point (x, y) in pixels.
        height: Height of the lens above the road in metres.
    """

    focal: float
    centre: tuple[float, float]
    height: float

    def project(self, x: float, y: float, z: float) -> tuple[float, float]:
        """Returns the pixel (x, y) at which a point of the world appears."""
        return (
            self.centre[0] + self.focal * x / z,
            self.centre[1] + self.focal * (self.height - y) / z,
        )


class Canvas:
    """Holds what is painted so far; things are pasted from far to near.

    Args:
        height: Height in pixels.
        width: Width in pixels.
        camera: Where the picture is seen from.

    Attributes:
        rgb: Colours, float32 (h, w, 3) in 0 to 255.
        labels: Cityscapes label ids, uint8 (h, w).
        depth: Distance in metres, float32 (h, w).
    """

    def __init__(self, height: int, width: int, camera: Camera) -> None:
        self.camera = camera
        self.rgb = np.zeros((height, width, 3), np.float32)
        self.labels = np.full((height, width), L.SKY, np.uint8)
        self.depth = np.full((height, width), FAR_M, np.float32)

    def stand(self, sprite: Sprite, x: float, z: float) -> None:
        """Pastes a sprite upright and facing the camera, its foot's middle at (x, z)."""
        left, right = x - sprite.width / 2, x + sprite.width / 2
        self._paste_plane(sprite, (left, z), (right, z))

    def stand_along(self, sprite: Sprite, x: float, near_z: float, far_z: float) -> None:
        """Pastes a sprite upright and along the street, its left edge at the left of the picture.

        On the left of the camera a plane's near end is its left one, on the right its far end.
        """
        ends = ((x, near_z), (x, far_z)) if x < 0 else ((x, far_z), (x, near_z))
        self._paste_plane(sprite, *ends)

    def shadow(self, x: float, near_z: float, half_width: float, length: float) -> None:
        """Darkens the ground under a thing; labels stay."""
        foot = [
            self.camera.project(x + dx, 0, max(near_z + dz, 1.0))
            for dx, dz in (
                (-half_width * 1.15, -0.25),
                (half_width * 1.15, -0.25),
                (half_width * 1.15, length),
                (-half_width * 1.15, length),
            )
        ]
        corners = np.array(foot, np.float32)
        x0, y0, x1, y1 = self._clip(corners, margin=4)
        if x1 <= x0 or y1 <= y0:
            return
        mask = np.zeros((y1 - y0, x1 - x0), np.float32)
        cv2.fillConvexPoly(mask, np.round(corners - (x0, y0)).astype(np.int32), 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), max(0.6, (y1 - y0) / 16))
        mask *= np.isin(self.labels[y0:y1, x0:x1], _GROUND)
        self.rgb[y0:y1, x0:x1] *= 1 - 0.6 * mask[..., None]

    def _paste_plane(
        self, sprite: Sprite, left: tuple[float, float], right: tuple[float, float]
    ) -> None:
        """Pastes a sprite on the upright plane between two points (x, z) of the ground."""
        (left_x, left_z), (right_x, right_z) = left, right
        top = sprite.height
        corners = np.array(
            [
                self.camera.project(left_x, top, left_z),
                self.camera.project(right_x, top, right_z),
                self.camera.project(right_x, 0, right_z),
                self.camera.project(left_x, 0, left_z),
            ],
            np.float32,
        )
        self._paste(sprite, corners, (left_z, right_z))

    def _paste(self, sprite: Sprite, corners: np.ndarray, depths: tuple[float, float]) -> None:
        x0, y0, x1, y1 = self._clip(corners, margin=1)
        if x1 <= x0 or y1 <= y0:
            return
        rgb, ids = _shrunk(sprite, corners)
        height, width = ids.shape
        source = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
        matrix = cv2.getPerspectiveTransform(source, corners - np.float32((x0, y0)))
        size = (x1 - x0, y1 - y0)
        ids = cv2.warpPerspective(ids, matrix, size, flags=cv2.INTER_NEAREST, borderValue=L.NOTHING)
        rgb = cv2.warpPerspective(
            rgb, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        seen = ids != L.NOTHING
        self.rgb[y0:y1, x0:x1][seen] = rgb[seen]
        self.labels[y0:y1, x0:x1][seen] = ids[seen]
        columns = np.linspace(1 / depths[0], 1 / depths[1], size[0], dtype=np.float32)
        self.depth[y0:y1, x0:x1][seen] = np.broadcast_to(1 / columns, seen.shape)[seen]

    def _clip(self, corners: np.ndarray, margin: int) -> tuple[int, int, int, int]:
        """Returns the pixels (x0, y0, x1, y1) of the picture that the corners enclose."""
        height, width = self.labels.shape
        x0, y0 = np.floor(corners.min(0)).astype(int) - margin
        x1, y1 = np.ceil(corners.max(0)).astype(int) + margin
        return max(0, x0), max(0, y0), min(width, x1), min(height, y1)


def _shrunk(sprite: Sprite, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns a sprite's colours and labels at about the size at which they will be seen."""
    height, width = sprite.labels.shape
    seen_width, seen_height = np.maximum(np.ptp(corners, axis=0), 2)
    target = (min(width, round(1.3 * seen_width)), min(height, round(1.3 * seen_height)))
    if target == (width, height):
        return sprite.rgb, sprite.labels
    target = (max(2, target[0]), max(2, target[1]))
    # transparent pixels must not darken the edge: average the colours of the opaque ones only
    opaque = (sprite.labels != L.NOTHING).astype(np.float32)
    weight = cv2.resize(opaque, target, interpolation=cv2.INTER_AREA)
    summed = cv2.resize(sprite.rgb * opaque[..., None], target, interpolation=cv2.INTER_AREA)
    rgb = (summed / np.maximum(weight, 1e-3)[..., None]).clip(0, 255).astype(np.uint8)
    return rgb, cv2.resize(sprite.labels, target, interpolation=cv2.INTER_NEAREST)

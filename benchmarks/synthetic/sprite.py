"""A flat picture of a thing, drawn in metres, with the label of every pixel."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.synthetic.labels import NOTHING

Colour = tuple[float, ...] | np.ndarray  # RGB, 0 to 255
Point = tuple[float, float]


class Sprite:
    """A drawing board whose origin is the lower left corner and whose unit is a metre.

    Args:
        width: Width in metres.
        height: Height in metres.
        pixels_per_metre: Resolution of the board.

    Attributes:
        rgb: Colours, uint8 (h, w, 3).
        labels: Cityscapes label ids, uint8 (h, w); ``NOTHING`` where the board is transparent.
    """

    def __init__(self, width: float, height: float, pixels_per_metre: float = 60) -> None:
        self.width = width
        self.height = height
        self._scale = pixels_per_metre
        size = (max(2, round(height * pixels_per_metre)), max(2, round(width * pixels_per_metre)))
        self.rgb = np.zeros((*size, 3), np.uint8)
        self.labels = np.full(size, NOTHING, np.uint8)

    def polygon(self, points: list[Point], colour: Colour, label: int) -> None:
        """Fills a polygon given by (x, y) in metres."""
        pixels = np.array([self._pixel(point) for point in points], np.int32)
        cv2.fillPoly(self.rgb, [pixels], _scalar(colour))
        cv2.fillPoly(self.labels, [pixels], label)

    def box(
        self, left: float, bottom: float, right: float, top: float, colour: Colour, label: int
    ) -> None:
        """Fills a rectangle given by its sides in metres."""
        corners = [(left, bottom), (right, bottom), (right, top), (left, top)]
        self.polygon(corners, colour, label)

    def disc(self, centre: Point, radius: Point | float, colour: Colour, label: int) -> None:
        """Fills a circle, or an ellipse where the radius is (horizontal, vertical)."""
        across, up = radius if isinstance(radius, tuple) else (radius, radius)
        axes = (max(1, round(across * self._scale)), max(1, round(up * self._scale)))
        for board, value in ((self.rgb, _scalar(colour)), (self.labels, label)):
            cv2.ellipse(board, self._pixel(centre), axes, 0, 0, 360, value, -1)

    def ring(
        self, centre: Point, radius: float, thickness: float, colour: Colour, label: int
    ) -> None:
        """Draws a circle's line."""
        pixels = max(1, round(thickness * self._scale))
        for board, value in ((self.rgb, _scalar(colour)), (self.labels, label)):
            cv2.circle(board, self._pixel(centre), round(radius * self._scale), value, pixels)

    def line(self, points: list[Point], thickness: float, colour: Colour, label: int) -> None:
        """Draws an open line through the points."""
        pixels = np.array([self._pixel(point) for point in points], np.int32)
        width = max(1, round(thickness * self._scale))
        for board, value in ((self.rgb, _scalar(colour)), (self.labels, label)):
            cv2.polylines(board, [pixels], False, value, width)

    def shade(self, bottom: float, top: float) -> None:
        """Multiplies the colours by a vertical gradient of light."""
        gains = np.linspace(top, bottom, self.rgb.shape[0])[:, None, None]
        self.rgb = np.clip(self.rgb * gains, 0, 255).astype(np.uint8)

    def roughen(self, rng: np.random.Generator, amount: float) -> None:
        """Adds grey noise of the given standard deviation, as dirt and fabric do."""
        noise = rng.normal(0, amount, self.labels.shape)[..., None]
        self.rgb = np.clip(self.rgb + noise, 0, 255).astype(np.uint8)

    def mirrored(self) -> Sprite:
        """Returns the sprite with left and right swapped."""
        other = Sprite.__new__(Sprite)
        other.width, other.height, other._scale = self.width, self.height, self._scale
        other.rgb = np.ascontiguousarray(self.rgb[:, ::-1])
        other.labels = np.ascontiguousarray(self.labels[:, ::-1])
        return other

    def _pixel(self, point: Point) -> tuple[int, int]:
        x, y = point
        return round(x * self._scale), round(self.rgb.shape[0] - y * self._scale)


def _scalar(colour: Colour) -> tuple[float, ...]:
    """Returns a colour as OpenCV takes it: plain floats within range."""
    return tuple(float(value) for value in np.clip(colour, 0, 255))

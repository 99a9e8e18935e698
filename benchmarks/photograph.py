"""One sample of Cityscapes' size on disk, as heavy to decode as the real ones."""

from __future__ import annotations

from pathlib import Path

import cv2

from benchmarks.synthetic import draw_street

HEIGHT, WIDTH = 1024, 2048
_LARGEST_BYTES = 2_200_000
_SCENE = 3


def write_photograph(folder: Path) -> tuple[Path, Path]:
    """Draws a street and writes it as PNG files of cv2's default compression.

    A drawing's grain is stronger than a photograph's, so it is smoothed until the file has the
    size of Cityscapes' photographs, about 2 MB.

    Args:
        folder: Where to write; must exist.

    Returns:
        The paths of the image and of its labels (Cityscapes label ids).
    """
    image, labels = draw_street(HEIGHT, WIDTH, seed=0, index=_SCENE)
    image = image[..., ::-1]
    sigma = 0.3
    encoded = _png(image)
    while len(encoded) > _LARGEST_BYTES:
        encoded = _png(cv2.GaussianBlur(image, (0, 0), sigma))
        sigma += 0.05
    image_path, label_path = folder / 'image.png', folder / 'labels.png'
    image_path.write_bytes(encoded)
    label_path.write_bytes(_png(labels))
    return image_path, label_path


def _png(pixels: cv2.typing.MatLike) -> bytes:
    return cv2.imencode('.png', pixels)[1].tobytes()

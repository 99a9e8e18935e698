"""Default class colours, and which classes are backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

# M. Okabe, K. Ito, "Color Universal Design", 2008, without black: it stands for a background.
_OKABE_ITO = (
    (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0),
    (204, 121, 167),
)  # fmt: skip
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)  # background and ignored pixels
# G. M. Machado et al., "A Physiologically-based Model for Simulation of Color Vision Deficiency",
# 2009: what linear RGB looks like without red cones, and without green ones.
_PROTANOPIA = (
    (0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
    (-0.003882, -0.048116, 1.051998),
)  # fmt: skip
_DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)  # fmt: skip
_LIGHTNESS = (25, 95)  # darker colours hide the image, lighter ones look like ignored pixels
_STEP = 17  # between the levels of red, green and blue
# Without case, blanks, hyphens and underscores.
BACKGROUND_NAMES = frozenset([
    'background', 'bg', '背景', '배경', 'hintergrund', 'fondo', 'fundo', 'sfondo', 'фон',
    'arrièreplan', 'achtergrond', 'arkaplan', 'tło',
])  # fmt: skip


def background_classes(classes: Sequence[str]) -> tuple[int, ...]:
    """Return the indices of the classes that are named as a background.

    Args:
        classes: Class names. ``background``, ``bg``, ``背景`` and the like count, see
            `BACKGROUND_NAMES`; case, blanks, hyphens and underscores do not.

    Examples:
        >>> background_classes(['_background_', 'cell', 'background cell'])
        (0,)
    """
    plain = (''.join(c for c in name.casefold() if c not in ' -_') for name in classes)
    return tuple(i for i, name in enumerate(plain) if name in BACKGROUND_NAMES)


def default_palette(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return RGB colours that people with any colour vision can tell apart.

    A background is black. The other classes get the seven colours of Okabe and Ito, then those
    that are farthest (in CIELAB) from all before, to normal vision and without red or green
    cones. A class has the same colour however many classes follow it.

    Args:
        classes: Class names.

    Examples:
        >>> default_palette(['background', 'cell', 'debris'])
        [(0, 0, 0), (230, 159, 0), (86, 180, 233)]
    """
    backgrounds = background_classes(classes)
    colours = iter(_colours(len(classes) - len(backgrounds)))
    return [_BLACK if i in backgrounds else next(colours) for i in range(len(classes))]


@lru_cache
def _colours(count: int) -> tuple[tuple[int, int, int], ...]:
    levels = np.arange(0, 256, _STEP)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing='ij'), -1).reshape(-1, 3)
    seen = _as_seen(grid)
    is_usable = (seen[0, :, 0] >= _LIGHTNESS[0]) & (seen[0, :, 0] <= _LIGHTNESS[1])
    grid, seen = grid[is_usable], seen[:, is_usable]
    chosen = list(_OKABE_ITO)
    taken = _as_seen(np.array([_BLACK, _WHITE, *_OKABE_ITO]))
    distance = np.linalg.norm(seen[:, :, None] - taken[:, None], axis=-1).min(axis=(0, 2))
    while len(chosen) < min(count, len(grid)):
        index = int(distance.argmax())
        chosen.append(tuple(grid[index].tolist()))
        added = np.linalg.norm(seen - seen[:, index, None], axis=-1).min(axis=0)
        distance = np.minimum(distance, added)
    return tuple(chosen[i % len(chosen)] for i in range(count))


def _as_seen(rgb: np.ndarray) -> np.ndarray:
    """Return CIELAB of colours (n, 3) to the three kinds of vision: (3, n, 3)."""
    part = rgb / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    kinds = np.stack([np.eye(3), _PROTANOPIA, _DEUTERANOPIA]).astype(np.float32)
    seen = np.clip(linear.astype(np.float32) @ kinds.transpose(0, 2, 1), 0, 1)
    return cv2.cvtColor(seen, cv2.COLOR_LRGB2LAB)

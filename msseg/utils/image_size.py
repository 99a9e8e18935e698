"""Compute the sizes of rescaled images."""

from __future__ import annotations

from collections.abc import Sequence


def rescaled_size(size: tuple[int, int], scale: float | Sequence[float]) -> tuple[int, int]:
    """Return the size after rescaling with the aspect ratio kept.

    Args:
        size: Old size (h, w).
        scale: A factor, or two lengths in either order: the largest size is taken whose long
            edge is within the longer and whose short edge is within the shorter of them.

    Returns:
        New size (h, w); at least one pixel a side.

    Raises:
        ValueError: A factor that is not positive.

    Source: MMCV 1.7 ``mmcv.rescale_size``.
    """
    h, w = size
    if isinstance(scale, (int, float)):
        if scale <= 0:
            raise ValueError(f'scale={scale!r}; expected a factor above 0')
        factor = float(scale)
    else:
        factor = min(max(scale) / max(h, w), min(scale) / min(h, w))
    return max(int(h * factor + 0.5), 1), max(int(w * factor + 0.5), 1)


def scaled_wh(wh: tuple[int, int], ratio: float, offset: float = 0.0) -> tuple[int, int]:
    """Return (w, h) times a ratio, at least one pixel a side.

    Args:
        wh: Old size (w, h).
        ratio: The ratio.
        offset: What is added before rounding down, 0.5 to round to the nearest.
    """
    return max(int(wh[0] * ratio + offset), 1), max(int(wh[1] * ratio + offset), 1)

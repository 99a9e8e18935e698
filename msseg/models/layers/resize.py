"""The one bilinear resize of training, testing and export."""

from __future__ import annotations

import mindspore as ms
from mindspore import ops

# ops.interpolate does not survive dynamic shapes, and the older resize operators place pixels
# differently from PyTorch (MindSpore 2.7 to 2.10).
_CENTRES = ops.ResizeBilinearV2(align_corners=False, half_pixel_centers=True)
_CORNERS = ops.ResizeBilinearV2(align_corners=True, half_pixel_centers=False)


def resize(x: ms.Tensor, size: tuple[int, int], align_corners: bool = False) -> ms.Tensor:
    """Resize bilinearly as PyTorch does.

    Args:
        x: (n, c, h, w).
        size: New (h, w); may be known only at run time.
        align_corners: Whether the corner pixels' centres are kept in place (True) or the image's
            outer edges (False).

    Returns:
        (n, c, size[0], size[1]), of x's type.
    """
    if align_corners:
        return _CORNERS(x, size)
    return _CENTRES(x, size)

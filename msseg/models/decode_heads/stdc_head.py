"""STDC's detail head: it learns where the labels change."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.fcn_head import FCNHead
from msseg.models.layers import resize_nearest
from msseg.utils.arguments import NonNegative, checked

_ROUNDING = 1e-6


@HEADS.register_module()
class STDCHead(FCNHead):
    """An `FCNHead` of two classes whose target is made of the labels: edges, and the rest.

    A pixel is an edge where a Laplacian of the labels, taken at full, half and a quarter of the
    size, is above the threshold, with zeros around the image; the three are weighed by 0.6, 0.3 and
    0.1, and compared again.

    Args:
        boundary_threshold: What the Laplacian and the weighted sum must exceed.
        **kwargs: See `FCNHead`; ``num_classes`` is 2.

    Raises:
        ValueError: Another number of classes.

    Source: Fan et al., Rethinking BiSeNet (2021), section 3.3; MMSegmentation 0.30 ``STDCHead``,
    where ignored pixels count as a class with edges, too.

    Examples:
        >>> head = STDCHead(in_channels=4, channels=4, num_classes=2)
        >>> labels = ms.ops.concat((ms.ops.zeros((1, 8, 8)), ms.ops.ones((1, 8, 8))), 2)
        >>> head.detail_targets(labels.astype(ms.int32))[0, 4].asnumpy().tolist()
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1]
    """

    has_own_target = True

    @checked
    def __init__(self, boundary_threshold: NonNegative = 0.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.num_classes != 2:
            raise ValueError(
                f'STDCHead: num_classes is {self.num_classes}, expected 2: edges, and the rest'
            )
        self.boundary_threshold = boundary_threshold
        laplacian = np.full((1, 1, 3, 3), -1, np.float32)
        laplacian[0, 0, 1, 1] = 8
        weights = np.array([0.6, 0.3, 0.1], np.float32).reshape(1, 3, 1, 1)
        self.laplacian_kernel = Parameter(
            ms.Tensor(laplacian), 'laplacian_kernel', requires_grad=False
        )
        self.fusion_kernel = Parameter(ms.Tensor(weights), 'fusion_kernel', requires_grad=False)
        self.laplacians = [ops.Conv2D(1, 3, pad_mode='pad', pad=1, stride=s) for s in (1, 2, 4)]
        self.fuse = ops.Conv2D(1, 1)

    def losses(self, logits: ms.Tensor, labels: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Compute the losses against the edges of the labels; see `BaseDecodeHead.losses`."""
        return super().losses(logits, self.detail_targets(labels))

    def detail_targets(self, labels: ms.Tensor) -> ms.Tensor:
        """Return 1 on edges of the labels (n, h, w), int32, else 0; the same shape and type."""
        size = labels.shape[1:]
        values = labels.expand_dims(1).astype(ms.float32)
        edges = (self._exceeds(self.laplacians[0](values, self.laplacian_kernel)),)
        for laplacian in self.laplacians[1:]:
            coarse = self._exceeds(laplacian(values, self.laplacian_kernel))
            edges = edges + (resize_nearest(coarse, size),)
        fused = self.fuse(ops.concat(edges, axis=1), self.fusion_kernel)
        return ops.stop_gradient(self._exceeds(fused)).squeeze(1).astype(ms.int32)

    def _exceeds(self, x: ms.Tensor) -> ms.Tensor:
        # Sums of the weights may equal the threshold; how they are rounded must not matter.
        return ops.greater(x, self.boundary_threshold + _ROUNDING).astype(ms.float32)

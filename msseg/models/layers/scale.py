"""A trained factor."""

from __future__ import annotations

import mindspore as ms
from mindspore import Parameter, nn

from msseg.utils.layer_traits import register_traits


class Scale(nn.Cell):
    """Multiplies by a trained number.

    Args:
        scale: Its first value.

    Source: MMCV 1.7 ``Scale``.
    """

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = Parameter(ms.Tensor(scale, ms.float32), 'scale')

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Multiply a tensor of any shape."""
        return x * self.scale


register_traits(Scale, precision='full')

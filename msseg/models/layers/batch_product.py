"""Products of matrices, one for each sample or head."""

import mindspore as ms
from mindspore import nn, ops

from msseg.utils.layer_traits import register_traits


class BatchProduct(nn.Cell):
    """Multiplies (…, m, k) and (…, k, n) matrices pairwise, such as those of attention.

    It is a cell, so that its precision can be set.

    Args:
        transpose_a: Transpose the first.
        transpose_b: Transpose the second.
    """

    def __init__(self, transpose_a: bool = False, transpose_b: bool = False) -> None:
        super().__init__()
        self.transposes = (transpose_a, transpose_b)
        self.product = ops.BatchMatMul(transpose_a, transpose_b)

    def construct(self, a: ms.Tensor, b: ms.Tensor) -> ms.Tensor:
        """Multiply."""
        return self.product(a, b)


register_traits(BatchProduct, precision='low')

"""Mixed precision: which layers compute in 16-bit floats."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn, ops

from msseg.utils.layer_traits import LayerTraits, register_traits, traits_of
from msseg.utils.logging import warn_once
from msseg.utils.target import ASCEND_910A, get_target


class BatchProduct(nn.Cell):
    """Multiplies (…, m, k) and (…, k, n) matrices pairwise, such as those of attention.

    As a cell it takes part in mixed precision; ``ops.bmm`` in a ``construct`` does not.

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


class FullDense(nn.Dense):
    """Linear layer that computes in float32 in mixed precision, too."""


register_traits(BatchProduct, precision='low')
register_traits(FullDense, precision='full', names=('Linear',))


def use_low_precision(model: nn.Cell, dtype: ms.Type) -> None:
    """Let a model's convolutions and matrix products compute in 16-bit floats.

    `LayerTraits.precision` says which layers do. Parameters stay float32. Normalisation computes in
    float32 and returns it, so that activations, sums of branches and resizes are float32, as are,
    by their own casts, softmax and losses. A layer with weights but without traits computes in the
    type of its input, and a warning names it.

    MindSpore's ``auto_mixed_precision`` leaves synchronised norms in float16 (level O2) or replaces
    classes (O1), for which parameters change their names (2.8).

    Args:
        model: The network.
        dtype: ``ms.float16`` or ``ms.bfloat16``.

    Raises:
        ValueError: Another type, or bfloat16 where the device has none.
    """
    if dtype not in (ms.float16, ms.bfloat16):
        raise ValueError(f'mixed precision: got {dtype}, expected float16 or bfloat16')
    target = get_target()
    if dtype == ms.bfloat16 and (target.name == 'CPU' or target.chip == ASCEND_910A):
        where = 'the CPU' if target.name == 'CPU' else 'Ascend 910A'
        raise ValueError(
            f'bf16 is set, but MindSpore has no bfloat16 convolutions on {where}: use a newer '
            "Ascend card or a GPU, or replace bf16 by fp16=dict(loss_scale='dynamic')"
        )
    for _, cell in model.cells_and_names():
        precision = traits_of(cell).precision
        if precision is not None:
            cell.to_float(dtype if precision == 'low' else ms.float32)
        elif traits_of(cell) == LayerTraits() and _has_weights_alone(cell):
            name = type(cell).__name__
            warn_once(
                f'mixed precision: {name} has no traits and computes in the type of its input; '
                f"call register_traits({name}, precision='low') for 16-bit floats or "
                "precision='full' for float32 (from msseg.utils.layer_traits)"
            )


def _has_weights_alone(cell: nn.Cell) -> bool:
    """Whether a cell has trained parameters and no layers inside."""
    parameters = (parameter for _, parameter in cell.parameters_and_names(expand=False))
    return not cell.name_cells() and any(each.requires_grad for each in parameters)

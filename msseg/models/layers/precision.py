"""Mixed precision: which layers compute in 16-bit floats."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.utils.layer_traits import traits_of


def use_low_precision(model: nn.Cell, dtype: ms.Type) -> None:
    """Let a model's convolutions and matrix products compute in 16-bit floats.

    `LayerTraits.precision` says which layers do. Parameters stay float32. Normalisation computes in
    float32 and returns it, so that activations, sums of branches and resizes are float32, as are,
    by their own casts, softmax and losses.

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
    if dtype == ms.bfloat16 and ms.get_context('device_target') == 'CPU':
        raise ValueError(
            'bf16 is set, but MindSpore has no bfloat16 convolutions on the CPU: use an Ascend '
            'card or a GPU, or remove bf16'
        )
    for _, cell in model.cells_and_names():
        precision = traits_of(cell).precision
        if precision is not None:
            cell.to_float(dtype if precision == 'low' else ms.float32)

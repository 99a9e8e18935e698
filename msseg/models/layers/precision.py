"""Mixed precision: which layers compute in 16-bit floats."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.models.layers.batch_product import BatchProduct
from msseg.models.layers.sync_batch_norm import SyncBatchNorm2d

_LOW = (nn.Conv2d, nn.Dense, BatchProduct)
_FULL = (nn.BatchNorm2d, nn.SyncBatchNorm, SyncBatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def use_low_precision(model: nn.Cell, dtype: ms.Type) -> None:
    """Let a model's convolutions and matrix products compute in 16-bit floats.

    Parameters stay float32. Normalisation computes in float32 and returns it, so that activations,
    sums of branches and resizes are float32, as are, by their own casts, softmax and losses.

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
        if isinstance(cell, _LOW):
            cell.to_float(dtype)
        elif isinstance(cell, _FULL):
            cell.to_float(ms.float32)

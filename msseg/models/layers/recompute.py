"""Recomputation in the backward pass."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.utils.layer_traits import traits_of
from msseg.utils.logging import warn_once


def recompute_without_norms(cell: nn.Cell) -> None:
    """Recompute a cell's activations in the backward pass, but not those of its batch norms.

    Recomputing a batch norm would update its running statistics a second time (MindSpore 2.7 to
    2.10, as in PyTorch). In PYNATIVE mode that cannot be prevented, so nothing is recomputed there.
    """
    if ms.get_context('mode') == ms.PYNATIVE_MODE:
        warn_once('with_cp has no effect in PYNATIVE mode; use graph mode to save memory')
        return
    cell.recompute()
    cell.recomputes = True  # MindSpore does not tell afterwards
    for _, layer in cell.cells_and_names():
        # norms made of elementary operators have no such operator, and update only once
        if traits_of(layer).keeps_statistics and hasattr(layer, 'bn_train'):
            layer.bn_train.recompute(False)

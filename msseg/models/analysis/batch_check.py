"""Check that a batch gives every batch norm of a model more than one value to normalise."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.models.analysis.observe import run_observed
from msseg.models.layers.norm import SyncBatchNorm2d
from msseg.utils.dist import get_world_size
from msseg.utils.errors import UserValueError
from msseg.utils.layer_traits import traits_of

# Longest side of the image that is tried first.
_LONGEST = 128


def check_batch(model: nn.Cell, shape: tuple[int, int, int, int]) -> None:
    """Raise ValueError when a batch norm has one value per channel to normalise in training.

    That happens with a batch of one image, where a layer averages the whole map or a small crop
    leaves one pixel of it. MindSpore then computes NaN (2.8); PyTorch raises an error.

    Args:
        model: The segmentor.
        shape: (n, c, h, w) of a batch on one device.

    Raises:
        ValueError: The layer, and what to change.
    """
    n, c, h, w = shape
    if hasattr(model, 'check_image_size'):
        model.check_image_size((h, w))
    if n > 1:
        return
    small = (min(h, _LONGEST), min(w, _LONGEST))
    if small != (h, w):
        try:
            if not _norms_of_one_value(model, (c, *small)):
                return  # larger maps have more values
        except ValueError:  # a size that the network does not take
            pass
    names = _norms_of_one_value(model, (c, h, w))
    if names:
        more = f' and {len(names) - 1} more' if len(names) > 1 else ''
        raise UserValueError(
            f'the batch is one image of {h}x{w} pixels, of which batch norm {names[0]}{more} gets '
            'one value per channel: nothing to normalise in training',
            got=shape,
            advice='set data.samples_per_gpu to 2 or more',
            who=type(model).__name__,
        )


def _norms_of_one_value(model: nn.Cell, shape: tuple[int, int, int]) -> list[str]:
    """Return the names of batch norms that get one value per channel of an image (c, h, w)."""
    names = {id(cell): name for name, cell in model.cells_and_names()}
    found: list[str] = []

    def observe(cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        is_shared = isinstance(cell, (SyncBatchNorm2d, nn.SyncBatchNorm)) and get_world_size() > 1
        if not traits_of(cell).keeps_statistics or is_shared:
            return
        if cell.use_batch_statistics is not False and output.size == output.shape[1]:
            found.append(names[id(cell)])

    run_observed(model, shape, observe)
    return found

"""Run a model on an image of zeros, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
from mindspore import nn, ops

from msseg.utils.user_code import running

# Takes a layer, its inputs and its output.
Observe = Callable[[nn.Cell, tuple[ms.Tensor, ...], ms.Tensor], None]


def run_observed(
    model: nn.Cell, shape: tuple[int, int, int], observe: Observe
) -> tuple[ms.Tensor, ...]:
    """Run a model in evaluation and PyNative mode on an image of zeros, and return its output.

    Args:
        model: The segmentor.
        shape: (c, h, w) of the image.
        observe: Called after each layer that contains no others.
    """
    mode, was_training = ms.get_context('mode'), model.training
    layers = [cell for _, cell in model.cells_and_names() if not cell.name_cells()]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    model.set_train(False)
    handles = [layer.register_forward_hook(observe) for layer in layers]
    try:
        with running('the network failed on an image of zeros'):
            return model(ops.zeros((1, *shape), ms.float32))
    finally:
        for handle in handles:
            handle.remove()
        model.set_train(was_training)
        ms.set_context(mode=mode)

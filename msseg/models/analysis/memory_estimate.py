"""How much memory a step of training will take, before it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import mindspore as ms
from mindspore import Parameter, nn, ops

from msseg.utils.layer_traits import traits_of
from msseg.utils.resources import resident_memory
from msseg.utils.user_code import running

# The layers are observed on an image of at most so many pixels.
_MOST_PIXELS = 128 * 128
# What MindSpore 2.8's graph of a train step takes on the CPU for each convolution: measured 4.6 MB
# with HRNet-W18-small (155 convolutions) and 4.0 MB with HRNet-W48 (316).
_GRAPH_PER_CONV = 4.3 * 2**20
# MindSpore's CPU kernels unfold what a convolution takes, once forward and once backward, and keep
# both until the step is over.
_UNFOLDED = 2
# Of each head at the labels' size: logits, their exponentials, and the gradients of both.
_LOGIT_COPIES = 4


@dataclass(frozen=True)
class MemoryEstimate:
    """What a step of training takes, in bytes.

    Attributes:
        weights: Parameters and running statistics.
        states: What optimizer, accumulation and weight averages keep.
        gradients: Gradients of the parameters, and a copy while they are applied.
        activations: What layers keep for the backward pass, and the losses' share.
        workspace: What convolutions unfold; on other devices than the CPU that of the largest.
        process: What the process takes besides: on the CPU, Python, libraries and the graph.
    """

    weights: int
    states: int
    gradients: int
    activations: int
    workspace: int
    process: int

    @property
    def total(self) -> int:
        """All of it."""
        return (
            self.weights
            + self.states
            + self.gradients
            + self.activations
            + self.workspace
            + self.process
        )

    def text(self) -> str:
        """Return it as one line."""
        parts = {
            'weights': self.weights,
            'optimizer and averages': self.states,
            'gradients': self.gradients,
            'activations': self.activations,
            'convolutions': self.workspace,
            'process and graph': self.process,
        }
        shares = ', '.join(f'{name} {megabytes(value)}' for name, value in parts.items() if value)
        return f'about {megabytes(self.total)} MB ({shares})'


def estimate_memory(
    model: nn.Cell,
    shape: tuple[int, ...],
    states: Iterable[Parameter] = (),
    device: str | None = None,
) -> MemoryEstimate:
    """Estimate the memory of a step of training.

    The layers are observed on a small image (what operators keep that are called directly, in no
    layer, is not seen), and the sum grows with the pixels. On the CPU the sum is the peak of the
    process; it was measured with MindSpore 2.8 on an x86-64 machine (see docs/training.md).
    Elsewhere it is what the device holds, and was not measured.

    Args:
        model: The segmentor.
        shape: (n, c, h, w) of a batch on one device.
        states: What else is kept on the device, such as the optimizer's momentum.
        device: ``'CPU'``, ``'GPU'`` or ``'Ascend'``; by default MindSpore's ``device_target``.
    """
    n, c, h, w = shape
    probe_h, probe_w = _probe(h), _probe(w)
    walk = _Walk(model)
    was_training = model.training
    model.set_train(False)
    try:
        with _observing(model, walk.observe), running('the network failed on an image of zeros'):
            logits = model(ops.zeros((1, c, probe_h, probe_w), ms.float32))
    finally:
        model.set_train(was_training)
    pixels = n * h * w
    scale = pixels / (probe_h * probe_w)
    channels = sum(head.shape[1] for head in logits)
    weights = _bytes(model.get_parameters())
    state = _bytes(states)
    on_cpu = (device or ms.get_context('device_target')) == 'CPU'
    process = 0
    if on_cpu:
        process = int(walk.convolutions * _GRAPH_PER_CONV)
        process += max(0, resident_memory() - weights - state)
    unfolded = _UNFOLDED * walk.unfolded if on_cpu else walk.most_unfolded
    return MemoryEstimate(
        weights=weights,
        states=state,
        gradients=2 * _bytes(model.trainable_params()),
        activations=int(walk.kept * scale) + _LOGIT_COPIES * 4 * channels * pixels,
        workspace=int(unfolded * scale),
        process=process,
    )


class _Walk:
    """Adds up what the layers of a model keep.

    Args:
        model: The network.
    """

    def __init__(self, model: nn.Cell) -> None:
        self.kept = 0
        self.unfolded = 0
        self.most_unfolded = 0
        self.convolutions = 0
        # by identity, and held, so that no other tensor takes the place of one in memory
        self._seen: dict[int, ms.Tensor] = {}
        self._recomputed = {
            id(inner)
            for _, cell in model.cells_and_names()
            if getattr(cell, 'recomputes', False)
            for _, inner in cell.cells_and_names()
        }

    def observe(self, cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        """Note what a layer keeps: what it needs to compute gradients."""
        traits = traits_of(cell)
        if isinstance(cell, nn.Conv2d):
            self.convolutions += 1
            unfolded = inputs[0].shape[1] * output.shape[2] * output.shape[3] * 4
            unfolded *= cell.kernel_size[0] * cell.kernel_size[1]
            self.unfolded += unfolded
            self.most_unfolded = max(self.most_unfolded, unfolded)
        if id(cell) in self._recomputed and not traits.is_norm:
            return  # of a recomputed block the norms are what is kept
        kept = {'inputs': inputs, 'output': (output,), 'nothing': ()}[traits.keeps]
        for tensor in kept:
            if isinstance(tensor, ms.Tensor):
                self._keep(tensor)

    def _keep(self, tensor: ms.Tensor) -> None:
        if id(tensor) not in self._seen:
            self._seen[id(tensor)] = tensor
            self.kept += tensor.size * 4


@contextmanager
def _observing(model: nn.Cell, observe: Callable[..., None]) -> Iterator[None]:
    """Have every layer without layers of its own observed when it has run, in PyNative mode."""
    before = ms.get_context('mode')
    layers = [cell for _, cell in model.cells_and_names() if not cell.name_cells()]
    ms.set_context(mode=ms.PYNATIVE_MODE)
    handles = [layer.register_forward_hook(observe) for layer in layers]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        ms.set_context(mode=before)


def _probe(length: int) -> int:
    """Return a length for the walk that HRNet's branches divide."""
    return min(length, int(_MOST_PIXELS**0.5))


def _bytes(parameters: Iterable[Parameter]) -> int:
    return sum(parameter.size * parameter.itemsize for parameter in parameters)


def megabytes(size: int) -> str:
    """Return a number of bytes as text in whole megabytes."""
    return f'{size / 2**20:.0f}'

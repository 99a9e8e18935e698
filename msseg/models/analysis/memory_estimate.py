"""Estimate of the memory of a training step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import astuple, dataclass

import mindspore as ms
from mindspore import Parameter, nn

from msseg.models.analysis.observe import run_observed
from msseg.utils.layer_traits import traits_of
from msseg.utils.resources import resident_memory

# Longest side of the image on which the layers are observed.
_LONGEST = 128
# Memory of MindSpore 2.8's graph of a train step on the CPU: at all, and for each convolution or
# matrix product; 713 MB with HRNet-W18-small (155 of them), 1264 MB with HRNet-W48 (316).
_GRAPH, _GRAPH_PER_PRODUCT = 170 * 2**20, 3.5 * 2**20
# MindSpore's CPU kernels unfold the input of a convolution, once forward and once backward, and
# keep both until the step is over.
_UNFOLDED = 2
# Of each head at the labels' size: logits, their exponentials, and the gradients of both.
_LOGIT_COPIES = 4
_NAMES = (
    'weights', 'optimizer and averages', 'gradients', 'activations', 'convolutions',
    'process and graph',
)  # fmt: skip


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a training step, in bytes.

    Attributes:
        weights: Parameters and running statistics.
        states: State of optimizer, accumulation and weight averages.
        gradients: Gradients of the parameters, and a copy while they are applied.
        activations: Tensors that layers keep for the backward pass, and the losses' share.
        workspace: Unfolded inputs of convolutions; on other devices than the CPU the largest.
        process: On the CPU, Python, libraries and the graph; else 0.
    """

    weights: int
    states: int
    gradients: int
    activations: int
    workspace: int
    process: int

    @property
    def total(self) -> int:
        """The sum of all parts."""
        return sum(astuple(self))

    def text(self) -> str:
        """Return it as one line."""
        shares = ', '.join(
            f'{name} {megabytes(value)}'
            for name, value in zip(_NAMES, astuple(self), strict=True)
            if value
        )
        return f'about {megabytes(self.total)} MB ({shares})'


def estimate_memory(
    model: nn.Cell,
    shape: tuple[int, ...],
    states: Iterable[Parameter] = (),
    device: str | None = None,
) -> MemoryEstimate:
    """Estimate the memory of a step of training.

    The layers are observed on two small images, and each tensor is taken to grow with the pixels as
    it does from one to the other; tensors of operators that are called outside of layers are not
    seen. On the CPU the sum is the peak of the process, as measured with MindSpore 2.8 on x86-64
    (see docs/training.md). Elsewhere it is the device's memory, and was not measured.

    Args:
        model: The segmentor.
        shape: (n, c, h, w) of a batch on one device.
        states: Other parameters on the device, such as the optimizer's momentum.
        device: ``'CPU'``, ``'GPU'`` or ``'Ascend'``; by default MindSpore's ``device_target``.
    """
    n, c, h, w = shape
    if hasattr(model, 'check_image_size'):
        model.check_image_size((h, w))
    walk, scores, kept = _probe(model, c, (h, w))
    pixels = n * h * w
    channels = sum(each.shape[1] for each in scores)
    weights, state = _bytes(model.get_parameters()), _bytes(states)
    on_cpu = (device or ms.get_context('device_target')) == 'CPU'
    process = 0
    if on_cpu:
        process = _GRAPH + int(walk.products * _GRAPH_PER_PRODUCT)
        process += max(0, resident_memory() - weights - state)
    unfolded = _UNFOLDED * walk.unfolded if on_cpu else walk.most_unfolded
    return MemoryEstimate(
        weights=weights,
        states=state,
        gradients=2 * _bytes(model.trainable_params()),
        activations=int(n * kept) + _LOGIT_COPIES * 4 * channels * pixels,
        workspace=int(unfolded * pixels / walk.pixels),
        process=process,
    )


def _probe(
    model: nn.Cell, channels: int, size: tuple[int, int]
) -> tuple[_Walk, tuple[ms.Tensor, ...], float]:
    """Observe the layers on small images, or on the size itself where the network refuses these.

    Returns:
        The walk, every head's scores, and the bytes that one image of `size` keeps.
    """
    small = tuple(min(length, _LONGEST) for length in size)
    walk, half = _Walk(model), _Walk(model)
    try:
        scores = walk.run(channels, small)
    except ValueError:
        if small == size:
            raise
        walk, small = _Walk(model), size
        scores = walk.run(channels, size)
    if small != size:
        with suppress(ValueError):  # all tensors are then taken to grow with the pixels
            half.run(channels, tuple(length // 2 for length in small))
    return walk, scores, walk.kept_at(size[0] * size[1], half)


class _Walk:
    """Adds up the tensors that the layers of a model keep for the backward pass."""

    def __init__(self, model: nn.Cell) -> None:
        self.model = model
        self.pixels = 0
        self.kept: list[int] = []  # bytes of each tensor, in the order of the layers
        self.unfolded = 0
        self.most_unfolded = 0
        self.products = 0
        # by identity, and held, so that no other tensor takes the place of one in memory
        self._seen: dict[int, ms.Tensor] = {}
        self._recomputed = {
            id(inner)
            for _, cell in model.cells_and_names()
            if getattr(cell, 'recomputes', False)
            for _, inner in cell.cells_and_names()
        }

    def run(self, channels: int, size: tuple[int, int]) -> tuple[ms.Tensor, ...]:
        """Run the model on an image of zeros and return its output."""
        self.pixels = size[0] * size[1]
        return run_observed(self.model, (channels, *size), self._observe)

    def kept_at(self, pixels: int, half: _Walk) -> float:
        """Return the bytes kept for an image of another size.

        A tensor that grows with a power of the pixels from the walk at half the size to this one
        (the square for attention) is taken to grow so further.
        """
        powers = [1] * len(self.kept)
        if half.pixels and half.pixels < self.pixels and len(half.kept) == len(self.kept):
            step = math.log(self.pixels / half.pixels)
            ratios = zip(self.kept, half.kept, strict=True)
            powers = [round(math.log(large / small) / step) for large, small in ratios]
        growth = pixels / self.pixels
        return sum(size * growth**power for size, power in zip(self.kept, powers, strict=True))

    def _observe(self, cell: nn.Cell, inputs: tuple[ms.Tensor, ...], output: ms.Tensor) -> None:
        traits = traits_of(cell)
        self.products += traits.precision == 'low'
        if isinstance(cell, nn.Conv2d) and _unfolds(cell):
            unfolded = inputs[0].shape[1] * output.shape[2] * output.shape[3] * 4
            unfolded *= cell.kernel_size[0] * cell.kernel_size[1]
            self.unfolded += unfolded
            self.most_unfolded = max(self.most_unfolded, unfolded)
        if id(cell) in self._recomputed and not traits.is_norm:
            return  # of a recomputed block the norms are what is kept
        if traits.temporaries and getattr(cell, 'ratio', 1.0) > 0:  # a dropout may be switched off
            self.kept.append(int(output.size * 4 * traits.temporaries))
        for tensor in {'inputs': inputs, 'output': (output,), 'nothing': ()}[traits.keeps]:
            if isinstance(tensor, ms.Tensor) and id(tensor) not in self._seen:
                self._seen[id(tensor)] = tensor
                self.kept.append(tensor.size * tensor.itemsize)


def _unfolds(conv: nn.Conv2d) -> bool:
    """Whether the CPU kernel unfolds its input: not for 1x1 kernels, nor channel by channel."""
    return tuple(conv.kernel_size) != (1, 1) and conv.group < max(conv.in_channels, 2)


def _bytes(parameters: Iterable[Parameter]) -> int:
    return sum(parameter.size * parameter.itemsize for parameter in parameters)


def megabytes(size: int) -> str:
    """Return a number of bytes as text in whole megabytes."""
    return f'{size / 2**20:.0f}'

"""Checks of single layers: values and gradients on the device, and numpy's in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.checks.selftest import numeric
from msseg.checks.selftest.check import Bench, Check, CheckFailed, Found
from msseg.checks.selftest.reference import IGNORED
from msseg.models.builder import build_loss
from msseg.models.layers import (
    AdaptiveAvgPool2d,
    BatchProduct,
    ChannelSoftmax,
    Conv2d,
    build_activation_layer,
    build_norm_layer,
    resize,
    use_low_precision,
)

_EPS = 1e-5
_MAP = (2, 6, 9, 12)
_LABELS = np.random.default_rng(5).choice([0, 1, 2, 4, IGNORED], (2, 9, 12)).astype(np.int32)
_TODO = (
    'run it again with --device CPU: if that passes, update MindSpore and the driver to versions '
    'that fit each other (docs/ascend.md, docs/gpu.md), and report the line to MindSpore'
)


@dataclass(frozen=True)
class Case:
    """A layer, and the same in numpy.

    Attributes:
        build: Makes the layer.
        function: The same of float64 arrays, by name.
        inputs: Shapes of what the layer takes, by the function's names.
        weights: The layer's names of its weights, by the function's.
    """

    build: Callable[[], nn.Cell]
    function: Callable[..., np.ndarray]
    inputs: Mapping[str, tuple[int, ...]] = field(default_factory=lambda: {'x': _MAP})
    weights: Mapping[str, str] = field(default_factory=dict)


class Resized(nn.Cell):
    """Resizes maps to 13x17."""

    def __init__(self, align_corners: bool) -> None:
        super().__init__()
        self.align_corners = align_corners

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Resize (n, c, h, w)."""
        return resize(x, (13, 17), self.align_corners)


class LossOfLabels(nn.Cell):
    """A loss with labels that are fixed."""

    def __init__(self, **config: object) -> None:
        super().__init__()
        self.loss = build_loss(config)
        self.labels = ms.Tensor(_LABELS)

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        """Return the loss of (n, c, h, w)."""
        return self.loss(logits, self.labels)


class Probe(nn.Cell):
    """The sum of a layer's values times factors, for gradients, and the values."""

    def __init__(self, layer: nn.Cell, factors: np.ndarray) -> None:
        super().__init__(auto_prefix=False)
        self.layer = layer
        self.factors = ms.Tensor(factors, ms.float32)

    def construct(self, *inputs: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Return the sum, and the values as float32."""
        y = self.layer(*inputs).astype(ms.float32)
        return (y * self.factors).sum(), y


def _conv(**options: int) -> Case:
    def build() -> nn.Cell:
        padding = options.get('dilation', 1)
        return Conv2d(6, 6, 3, padding=padding, bias=False, **options)

    return Case(
        build,
        lambda x, weight: numeric.convolve(x, weight, **options),
        weights={'weight': 'weight'},
    )


def _norm(function: Callable[..., np.ndarray], config: dict, **shapes: tuple) -> Case:
    return Case(
        lambda: build_norm_layer(config, 6)[1],
        function,
        shapes or {'x': _MAP},
        {'gamma': 'gamma', 'beta': 'beta'},
    )


CASES: dict[str, dict[str, Case]] = {
    'convolutions': {
        'of 3x3': _conv(),
        'with stride 2': _conv(stride=2),
        'with dilation 2': _conv(dilation=2),
        'of each channel': _conv(groups=6),
    },
    'matrix products': {
        'of a linear layer': Case(
            lambda: nn.Dense(6, 4, has_bias=False),
            lambda x, weight: x @ weight.T,
            {'x': (5, 6)},
            {'weight': 'weight'},
        ),
        'of pairs': Case(
            lambda: BatchProduct(transpose_b=True),
            lambda a, b: a @ b.swapaxes(-1, -2),
            {'a': (2, 2, 7, 4), 'b': (2, 2, 5, 4)},
        ),
    },
    'normalisation': {
        'batch norm': _norm(
            lambda x, gamma, beta: numeric.batch_norm(x, gamma, beta, _EPS), {'type': 'BN'}
        ),
        'group norm': _norm(
            lambda x, gamma, beta: numeric.group_norm(x, gamma, beta, 3, _EPS),
            {'type': 'GN', 'num_groups': 3},
        ),
        'layer norm': _norm(
            lambda x, gamma, beta: numeric.layer_norm(x, gamma, beta, _EPS),
            {'type': 'LN'},
            x=(4, 7, 6),
        ),
    },
    'resizing': {
        'bilinear': Case(lambda: Resized(False), lambda x: numeric.resize(x, (13, 17), False)),
        'bilinear, corners aligned': Case(
            lambda: Resized(True), lambda x: numeric.resize(x, (13, 17), True)
        ),
    },
    'pooling': {
        'maximum': Case(
            lambda: nn.MaxPool2d(3, stride=2, pad_mode='pad', padding=1), numeric.max_pool
        ),
        'adaptive average': Case(
            lambda: AdaptiveAvgPool2d(3), lambda x: numeric.adaptive_pool(x, 3)
        ),
    },
    'activations': {
        'softmax over channels': Case(ChannelSoftmax, numeric.softmax),
        'GELU': Case(lambda: build_activation_layer({'type': 'GELU'}), numeric.gelu),
    },
    'losses': {
        'cross entropy': Case(
            lambda: LossOfLabels(type='CrossEntropyLoss'),
            lambda x: numeric.cross_entropy(x, _LABELS, IGNORED),
        ),
        'Lovász': Case(
            lambda: LossOfLabels(type='LovaszLoss', reduction='none'),
            lambda x: numeric.lovasz(x, _LABELS, IGNORED),
        ),
    },
}


def compare(case: Case, dtype: str) -> dict[str, float]:
    """Return how far a layer is from numpy, by what: its values, and gradients by name.

    Values differ by a share of the largest, gradients as in `numeric.gradient_errors`.
    """
    rng = np.random.default_rng(7)
    layer = case.build().set_train()
    if dtype != 'float32':
        use_low_precision(layer, getattr(ms, dtype))
    arrays = {name: rng.standard_normal(shape) for name, shape in case.inputs.items()}
    own = {parameter.name: parameter for parameter in layer.get_parameters()}
    for name, parameter in case.weights.items():
        arrays[name] = (name == 'gamma') + 0.5 * rng.standard_normal(own[parameter].shape)
    # both sides start from what float32 holds
    arrays = {name: value.astype(np.float32).astype(np.float64) for name, value in arrays.items()}
    weights = [own[parameter] for parameter in case.weights.values()]
    for name, parameter in zip(case.weights, weights, strict=True):
        parameter.set_data(ms.Tensor(arrays[name], ms.float32))
    expected = case.function(**arrays)
    factors = rng.standard_normal(np.shape(expected))
    places = tuple(range(len(case.inputs)))
    grad = ms.value_and_grad(Probe(layer, factors), places, weights or None, has_aux=True)
    (_, values), found = grad(*(ms.Tensor(arrays[name], ms.float32) for name in case.inputs))
    of_inputs, of_weights = found if weights else (found, ())
    if not isinstance(of_inputs, tuple):  # of one input
        of_inputs = (of_inputs,)
    gradients = {
        name: each.asnumpy().astype(np.float64)
        for name, each in zip([*case.inputs, *case.weights], [*of_inputs, *of_weights], strict=True)
    }
    difference = np.abs(values.asnumpy() - expected).max() / np.abs(expected).max()
    errors = numeric.gradient_errors(case.function, arrays, gradients, factors, rng)
    return {'values': float(difference), **{f'gradient of {n}': e for n, e in errors.items()}}


def check_cases(bench: Bench, cases: Mapping[str, Case]) -> Found:
    """Compare layers with numpy; see `Check`."""
    errors = {
        f'{name}, {what}': error
        for name, case in cases.items()
        for what, error in compare(case, bench.dtype).items()
    }
    worst = max(errors, key=lambda key: errors[key] if np.isfinite(errors[key]) else np.inf)
    text = f'{errors[worst]:.1e} from float64 at most ({worst}), {bench.tolerance:g} allowed'
    wrong = [name for name, error in errors.items() if not error <= bench.tolerance]
    if wrong:
        raise CheckFailed(f'{text}; wrong: {"; ".join(wrong)}')
    return Found(text, errors)


def _check_of(title: str) -> Check:
    return Check(title, lambda bench: check_cases(bench, CASES[title]), _TODO)


CHECKS = tuple(map(_check_of, CASES))

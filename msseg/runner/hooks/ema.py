"""A moving average of the weights, which is evaluated in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from msseg.runner.builder import HOOKS
from msseg.runner.checkpoint import EMA
from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import PositiveInt, Range, checked

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


def _move(share: Tensor, average: Parameter, source: Parameter) -> Tensor:
    # one operator, not three: kernel by kernel a card's host launches each of them for each weight
    return ops.assign(average, ops.lerp(average, source, share))


class WeightAverage(nn.Cell):
    """Averages of parameters, moved towards the parameters at each call.

    Args:
        parameters: What to average.
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        super().__init__(auto_prefix=False)
        self.sources = ms.ParameterTuple(parameters)
        self.averages = ms.ParameterTuple(
            Parameter(Tensor(p.asnumpy().copy()), f'ema.{p.name}', requires_grad=False)
            for p in parameters
        )
        self.map = ops.HyperMap()

    def construct(self, share: Tensor) -> Tensor:
        """Move every average by a share of the way to its parameter; return the share."""
        self.map(ops.partial(_move, share), self.averages, self.sources)
        return share

    def update(self, share: float) -> None:
        """Move every average by a share of the way to its parameter."""
        self(Tensor(share, ms.float32))


def _copy(sources: Sequence[Tensor], targets: Sequence[Parameter]) -> None:
    for source, target in zip(sources, targets, strict=True):
        ops.assign(target, _copy_of(source))


def _copy_of(tensor: Tensor) -> Tensor:
    # By way of the host: MindSpore may let two parameters share memory.
    return Tensor(tensor.asnumpy().copy())


@HOOKS.register_module()
class EMAHook(Hook):
    """Keep an exponential moving average of the trained weights.

    Evaluation during training uses the averaged weights, and running statistics of the model.
    Checkpoints hold the average besides the raw weights, and loading weights from them takes the
    average, so that testing repeats the scores of training.

    Args:
        momentum: Share of the new weights in the average at each iteration, in (0, 1).
        interval: Iterations between updates of the average; the share grows accordingly.
        warm_up: The share is at least 1 - (1 + i) / (`warm_up` + i) in iteration i, so that the
            average forgets the initial weights.

    Source: MMCV 1.7 ``EMAHook``, which takes the smaller share in the warm-up, so that it never has
    an effect, and raises the share to the power of the interval.

    >>> EMAHook(momentum=0.001, warm_up=10).keep
    0.999
    """

    @checked
    def __init__(
        self,
        momentum: Annotated[float, Range(0, 1, above=True, below=True)] = 0.0002,
        interval: PositiveInt = 1,
        warm_up: PositiveInt = 100,
    ) -> None:
        self.keep = 1.0 - momentum
        self.interval = interval
        self.warm_up = warm_up

    def attach(self, runner: Runner) -> None:
        """Make the average."""
        self.average = WeightAverage(runner.optimizer.parameters)

    def parameters(self) -> dict[str, Parameter]:
        """Return the average, which checkpoints hold under ``ema.``."""
        sources = self.average.sources
        return {EMA + s.name: p for s, p in zip(sources, self.average.averages, strict=True)}

    def before_run(self, runner: Runner) -> None:
        """Start from the weights that training starts from."""
        if runner.iter == 0:
            _copy(self.average.sources, self.average.averages)

    def after_train_iter(self, runner: Runner) -> None:
        """Move the average towards the weights."""
        if self.every_n_iters(runner, self.interval):
            done = runner.iter - 1
            keep = min(self.keep, (1 + done) / (self.warm_up + done))
            self.average.update(1.0 - keep**self.interval)

    @contextmanager
    def for_evaluation(self, runner: Runner) -> Iterator[None]:
        """Replace the weights by the average."""
        raw = [_copy_of(parameter) for parameter in self.average.sources]
        _copy(self.average.averages, self.average.sources)
        try:
            yield
        finally:
            _copy(raw, self.average.sources)

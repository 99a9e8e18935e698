"""A moving average of the weights, which is what gets evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from mindspore import Parameter

from msseg.runner.builder import HOOKS
from msseg.runner.checkpoint import EMA
from msseg.runner.ema import WeightAverage
from msseg.runner.hooks.hook import Hook
from msseg.utils.arguments import PositiveInt, Range, checked

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class EMAHook(Hook):
    """Keeps an exponential moving average of the trained weights.

    Evaluation during training is done with the averaged weights, and running statistics of the
    model. Checkpoints hold the average beside the raw weights, and whoever loads weights from them
    gets the average, so that testing repeats what was measured in training.

    Args:
        momentum: Share of the new weights in the average, at each iteration.
        interval: Iterations between updates of the average; the share grows accordingly.
        warm_up: The share is at least 1 - (1 + i) / (`warm_up` + i) in iteration i, so that the
            average forgets the weights of the start.

    Raises:
        ValueError: A number out of range.

    Source: MMCV 1.7 ``EMAHook``, which takes the smaller share in the warm-up, by which it never
    takes effect, and raises the share to the power of the interval.
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
            self.average.restart()

    def after_train_iter(self, runner: Runner) -> None:
        """Move the average towards the weights."""
        if self.every_n_iters(runner, self.interval):
            done = runner.iter - 1
            keep = min(self.keep, (1 + done) / (self.warm_up + done))
            self.average.update(1.0 - keep**self.interval)

    @contextmanager
    def for_evaluation(self, runner: Runner) -> Iterator[None]:
        """Put the average in the weights' place."""
        self.average.swap_in()
        try:
            yield
        finally:
            self.average.swap_out()

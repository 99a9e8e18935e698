"""Stopping when the loss is no longer a number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class NaNGuardHook(Hook):
    """Ends the run when the loss is not finite, naming the batch's files.

    Reading the loss waits for the device; a larger `interval` waits less often.

    Args:
        interval: Iterations between looks.

    Raises:
        ValueError: `interval` is not positive.
    """

    def __init__(self, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f'NaNGuardHook: interval is {interval!r}, expected at least 1')
        self.interval = interval

    def after_train_iter(self, runner: Runner) -> None:
        """Look at the loss.

        Raises:
            FloatingPointError: It is NaN or infinite.
        """
        if not self.every_n_iters(runner, self.interval):
            return
        loss = float(runner.outputs['loss'].asnumpy())
        if math.isfinite(loss):
            return
        values = {name: float(value.asnumpy()) for name, value in runner.outputs.items()}
        files = ', '.join(str(name) for name in runner.data_batch.filenames)
        raise FloatingPointError(
            f'the loss is {loss} in iteration {runner.iter} (learning rate '
            f'{max(runner.current_lr()):.3g}; {values}). The batch was {files}. Lower the learning '
            'rate, add warm-up or grad_clip, and look at these files; the last checkpoint is kept.'
        )

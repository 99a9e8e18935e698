"""Time of each iteration, and how much of it went into waiting for data."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.hook import Hook

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class IterTimerHook(Hook):
    """Logs ``data_time`` (waiting for the batch) and ``time`` (all of the iteration), in seconds.

    It runs after the hooks that prepare an iteration and before those that evaluate and save, so
    their time counts nowhere.
    """

    def before_iter(self, runner: Runner) -> None:
        """Note how long the batch was waited for."""
        runner.iter_values['data_time'] = time.perf_counter() - runner.iter_start_s

    def after_iter(self, runner: Runner) -> None:
        """Note how long the iteration took, waiting for the device to finish it."""
        runner.outputs['loss'].asnumpy()
        runner.iter_values['time'] = time.perf_counter() - runner.iter_start_s

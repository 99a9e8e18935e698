"""Ending a run when a signal asks for it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from msseg.runner.hooks.hook import Hook
from msseg.utils.dist import any_rank
from msseg.utils.stop_signals import StopSignals

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


class StopSignalHook(Hook):
    """Ends the run after the iteration in which a signal came, on all devices after the same one.

    It runs after the evaluation and before the checkpoint, which saves a run that ends early.

    Args:
        signals: What was received.
    """

    def __init__(self, signals: StopSignals) -> None:
        self.signals = signals

    def before_run(self, runner: Runner) -> None:
        """Look for a signal that came while an interrupted evaluation was done."""
        self._look(runner)

    def after_train_iter(self, runner: Runner) -> None:
        """Look for a signal.

        Raises:
            ChildProcessError: MindSpore sent it, because a loader worker has ended.
        """
        self._look(runner)

    def _look(self, runner: Runner) -> None:
        received = self.signals.received
        if received is signal.SIGTERM:
            self._raise_if_worker_ended(runner)
        if any_rank(received is not None):
            runner.stop('SIGTERM of another process' if received is None else received.name)

    def _raise_if_worker_ended(self, runner: Runner) -> None:
        find_failure = getattr(runner.loader, 'find_failure', None)
        failure = find_failure() if find_failure else None
        if failure is not None:
            raise failure

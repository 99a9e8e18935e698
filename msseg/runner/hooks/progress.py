"""What a user sees while a run trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msseg.runner.hooks.hook import Hook
from msseg.utils.progress_bar import progress_bar

if TYPE_CHECKING:
    from tqdm import tqdm

    from msseg.runner.runner import Runner

# without the elapsed time: a new bar starts after every evaluation
_BAR_FORMAT = '{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{remaining} left, {rate_fmt}]'


class ProgressHook(Hook):
    """Announces the compilation of the network and, on a terminal, shows a progress bar.

    The bar starts when the first iteration is done: its rate does not include the compilation.
    """

    def __init__(self) -> None:
        self.is_first = True
        self.bar: tqdm | None = None

    def before_iter(self, runner: Runner) -> None:
        """Announce the compilation, which the first step begins with."""
        if self.is_first:
            runner.logger.info(
                'Compiling the network; the first step takes about a minute the first time'
            )
        self.is_first = False

    def after_train_iter(self, runner: Runner) -> None:
        """Move the bar."""
        if self.bar is not None:
            self.bar.update()
        elif runner.rank == 0:
            self.bar = progress_bar(
                total=runner.max_iters, desc='training', initial=runner.iter, bar_format=_BAR_FORMAT
            )

    @contextmanager
    def for_evaluation(self, runner: Runner) -> Iterator[None]:
        """Give the evaluation's own bar the place."""
        self._close()
        yield

    def after_run(self, runner: Runner) -> None:
        """Remove the bar."""
        self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
        self.bar = None

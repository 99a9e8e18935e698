"""Hooks that look at the first batch: whether it can be trained on, and in how much memory."""

from __future__ import annotations

from msseg.models.analysis.batch_check import check_batch
from msseg.models.analysis.memory_estimate import estimate_memory, megabytes
from msseg.runner import Runner
from msseg.runner.hooks import Hook
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.resources import available_memory, resident_memory
from msseg.utils.target import get_target

# nobody measured it here
_OF_CARDS = '; a card needs more for kernels and workspace, on Ascend an estimated 2 to 4 GB'


class BatchCheckHook(Hook):
    """Refuse a first batch of too few images or pixels for the model's batch norms."""

    def __init__(self) -> None:
        self.is_done = False

    def before_iter(self, runner: Runner) -> None:
        """Check the first batch."""
        if not self.is_done:
            self.is_done = True
            check_batch(runner.model, runner.data_batch.img.shape)


class MemoryEstimateHook(Hook):
    """Log the estimated memory of the first step, and warn when the machine has less.

    The free memory is known of the CPU only. On several cards nothing is estimated: the others
    would wait for rank 0, where each operator is compiled by itself.
    """

    def __init__(self) -> None:
        self.is_done = False

    def before_iter(self, runner: Runner) -> None:
        """Estimate with the first batch."""
        if self.is_done:
            return
        self.is_done = True
        if get_rank() != 0 or (get_world_size() > 1 and get_target().name != 'CPU'):
            return
        shape = runner.data_batch.img.shape
        estimate = estimate_memory(runner.model, shape, runner.state_parameters().values())
        on_cpu = get_target().name == 'CPU'
        rest = '' if on_cpu else _OF_CARDS
        runner.logger.info(
            'memory of a step with %d images of %dx%d: %s%s',
            shape[0], *shape[2:], estimate.text(), rest,
        )  # fmt: skip
        free = available_memory()
        if on_cpu:
            more = estimate.total - resident_memory()
            if more > free:
                runner.logger.warning(
                    'that is %s MB more than now, and %s MB are free: make the crop or '
                    'data.samples_per_gpu smaller, if need be with '
                    'optimizer_config.cumulative_iters',
                    megabytes(more), megabytes(free),
                )  # fmt: skip

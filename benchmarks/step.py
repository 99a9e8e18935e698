"""What the runner and its hooks cost, against calling the train step in a bare loop."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator

import mindspore as ms

from benchmarks.measure import Comparison, compare
from msseg.apis.build import build_model, build_split
from msseg.apis.train import build_runner, register_hooks
from msseg.apis.train_settings import TrainSettings
from msseg.config import Config
from msseg.datasets.train_loader import TrainBatch
from msseg.runner import Runner
from msseg.utils.device import set_seed, setup_device

HELP = 'Runner with its hooks / TrainStep in a bare loop, on one batch held in memory'
LIMIT = 1.03


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommand's options."""
    parser.add_argument(
        '--config',
        default='configs/demo/ocrnet_nuclei.py',
        help='what to train; its log hooks run, its evaluation and checkpoints do not',
    )
    parser.add_argument('--rounds', type=int, default=7, help='times that both are measured')
    parser.add_argument('--steps', type=int, default=10, help='train steps in a round')


class _SameBatch:
    """A loader that hands out one batch for ever, so that loading costs nothing."""

    def __init__(self, batch: TrainBatch, iters_per_epoch: int) -> None:
        self.batch = batch
        self.iters_per_epoch = iters_per_epoch
        self.global_batch = len(batch.indices)

    def batches(self, start_iter: int = 0) -> Iterator[TrainBatch]:
        """Yields the batch, whatever the iteration."""
        del start_iter
        while True:
            yield self.batch


def run(args: argparse.Namespace) -> Comparison:
    """Measures, prints a line and returns the times."""
    setup_device('auto')
    set_seed(0)
    cfg = Config.fromfile(args.config)
    cfg.data.workers_per_gpu = 0
    with tempfile.TemporaryDirectory() as folder:
        runner = _build(cfg, folder)
        batch = runner.loader.batch
        img, gt = ms.Tensor(batch.img), ms.Tensor(batch.gt)

        def bare() -> None:
            for _ in range(args.steps):
                values = runner.train_step(img, gt)
            values[-1].asnumpy()  # waits for the last step

        def with_runner() -> None:
            runner.max_iters = runner.iter + args.steps
            runner.run()
            runner.outputs['loss'].asnumpy()

        times = compare(with_runner, bare, args.rounds)
    print(times.report(f'{args.steps} steps of Runner', 'bare loop', LIMIT))
    return times


def _build(cfg: Config, work_dir: str) -> Runner:
    """Returns a runner that trains on the first batch only, without evaluation and checkpoints."""
    cfg.checkpoint_config = None
    dataset = build_split(cfg, 'train')
    settings = TrainSettings.of(cfg)
    runner = build_runner(build_model(cfg), dataset, settings, work_dir)
    batch = next(runner.loader.batches())
    runner.loader.close()
    runner.loader = _SameBatch(batch, runner.iters_per_epoch)
    register_hooks(runner, settings.hooks, None)
    return runner

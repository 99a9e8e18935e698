"""One step of training, and one prediction, on parts of a batch."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.apis.build import build_model, build_split
from msseg.apis.train import build_runner, evaluation_of, register_hooks
from msseg.apis.train_settings import TrainSettings
from msseg.checks.config.build import collect_error
from msseg.checks.findings import Findings
from msseg.config import Config
from msseg.datasets import EvalLoader
from msseg.datasets.eval_loader import EvalSample
from msseg.inference.inferencer import Inferencer
from msseg.inference.validation_loss import LossInferencer
from msseg.models.analysis.batch_check import check_batch
from msseg.models.analysis.memory_estimate import MemoryEstimate, estimate_memory
from msseg.runner import Runner
from msseg.utils.cli import USER_ERRORS, one_line
from msseg.utils.device import set_seed
from msseg.utils.user_code import RUN_ERRORS

# The part of a batch that is computed: enough for statistics of several images, and for several
# pixels at the lowest resolution.
_MOST_IMAGES = 2
_LONGEST = 128


@dataclass(frozen=True)
class DryRun:
    """The result of the step."""

    batch: tuple[int, ...]  # (n, c, h, w) of the batch that was loaded
    computed: tuple[int, ...]  # (n, c, h, w) of the part that was computed
    loss: float  # the loss
    grad_norm: float  # norm of all gradients
    memory: MemoryEstimate  # estimate of what a step of the whole batch needs

    def text(self) -> str:
        """Return the result as two lines."""
        (all_images, _, *size), (images, _, *part) = self.batch, self.computed
        number = str(images) if images == all_images else f'{images} of {all_images}'
        what = 'image' if number == '1' else 'images'
        height_width = 'x'.join(map(str, size))
        if part != size:
            height_width = f'{"x".join(map(str, part))} of {height_width}'
        return (
            f'one step, forward and backward, on {number} {what} ({height_width}): '
            f'loss {self.loss:.3g}, norm of all gradients {self.grad_norm:.3g}\n'
            f'memory of a step with the whole batch: {self.memory.text()}'
        )


def dry_run(cfg: Config, datasets: Mapping[str, Any], findings: Findings) -> DryRun | None:
    """Load a batch, and a sample of every other split; train a step and predict on parts of them.

    Nothing is written outside of a temporary folder. The result is None if the step fails.
    """
    set_seed(cfg.get('seed') or 0)
    samples = {}
    for split, dataset in datasets.items():
        if split != 'train':
            loader = EvalLoader(dataset, 0)
            samples[split] = collect_error(
                findings, f'data.{split}', lambda of=loader: of.load(0), 'does_not_load'
            )
    with tempfile.TemporaryDirectory(prefix='msseg-') as folder:
        runner = collect_error(findings, 'runner', lambda: _build(cfg, datasets, folder))
        if runner is None:
            return None
        load = runner.loader.load
        batch = collect_error(findings, 'data.train', lambda: load(0), 'does_not_load')
        result = _train(runner, *batch, findings) if batch is not None else None
    for split, sample in samples.items():
        if result is not None and sample is not None:
            with_loss = split == 'val' and (cfg.get('evaluation') or {}).get('loss', False)
            _test(runner.model, sample, with_loss, split, findings)
    return result


def _build(cfg: Config, datasets: Mapping[str, Any], folder: str) -> Runner:
    """Build all that trains as training does."""
    model = build_model(cfg)
    settings = TrainSettings.of(cfg)
    runner = build_runner(model, datasets['train'], settings, folder)
    val = datasets.get('val') or build_split(cfg, 'val')
    evaluation = evaluation_of(model, val, settings.evaluation)
    register_hooks(runner, settings.hooks, evaluation)
    return runner


def _train(runner: Runner, img: np.ndarray, gt: np.ndarray, findings: Findings) -> DryRun | None:
    small, labels = (x[:_MOST_IMAGES, ..., :_LONGEST, :_LONGEST] for x in (img, gt))
    inputs = [ms.Tensor(np.ascontiguousarray(x)) for x in (small, labels)]
    step = runner.train_step
    if step.cumulative_iters > 1:
        inputs.append(ms.Tensor(True))
    values = None
    with _noted(findings, 'model'):
        check_batch(runner.model, img.shape)
        memory = estimate_memory(runner.model, img.shape, runner.state_parameters().values())
        step.set_train()
        values = step(*inputs)
    if values is None:
        return None
    named = dict(zip(step.value_names, (float(v.asnumpy()) for v in values), strict=True))
    result = DryRun(img.shape, small.shape, named['loss'], named['grad_norm'], memory)
    if not math.isfinite(result.loss):
        losses = ', '.join(f'{name} {value:.4g}' for name, value in named.items())
        findings.add('not_finite', 'model', losses)
    elif result.grad_norm == 0:
        findings.add('no_gradient', 'model', f'loss {result.loss:.4g}, norm of all gradients 0')
    return result


def _test(
    model: nn.Cell, sample: EvalSample, with_loss: bool, split: str, findings: Findings
) -> None:
    """Predict a part of a test sample, without compiling a graph for it."""
    mode = ms.get_context('mode')
    ms.set_context(mode=ms.PYNATIVE_MODE)
    with _noted(findings, f'data.{split}'):
        try:
            inferencer = LossInferencer(model) if with_loss else Inferencer(model)
            imgs = [img[:, :_LONGEST, :_LONGEST] for img in sample.imgs[:_MOST_IMAGES]]
            gt = None if sample.gt is None else sample.gt[:_LONGEST, :_LONGEST]
            size = imgs[0].shape[1:] if gt is None else gt.shape
            metas = [{**meta, 'ori_shape': size} for meta in sample.metas[:_MOST_IMAGES]]
            inferencer.labels(imgs, metas)
            if with_loss and gt is not None:
                inferencer.last_losses(gt)
        finally:
            ms.set_context(mode=mode)


@contextmanager
def _noted(findings: Findings, key: str) -> Iterator[None]:
    try:
        yield
    except (*RUN_ERRORS, *USER_ERRORS) as error:
        if os.environ.get('MSSEG_DEBUG') == '1':
            raise
        findings.add('does_not_run', key, f'{type(error).__name__}: {one_line(error)}')

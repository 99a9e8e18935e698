"""One step of training and of testing, to see that they can be done."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.apis.build import build_model
from msseg.apis.train import build_runner, evaluation_of, register_hooks
from msseg.checks.config.attempt import attempt
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.datasets import EvalLoader
from msseg.datasets.loader import EvalSample
from msseg.inference.inferencer import Inferencer
from msseg.inference.validation_loss import LossInferencer
from msseg.models.analysis.memory_estimate import MemoryEstimate, estimate_memory
from msseg.runner import Runner
from msseg.utils.cli import USER_ERRORS, one_line
from msseg.utils.device import set_seed
from msseg.utils.user_code import RUN_ERRORS

# What is computed of a batch: enough for statistics of several images, and of each lowest
# resolution several pixels.
_MOST_IMAGES = 2
_LONGEST = 128


@dataclass(frozen=True)
class Trial:
    """What the step gave.

    Attributes:
        batch: (n, c, h, w) of the batch that was loaded.
        computed: (n, c, h, w) of what was computed of it.
        loss: The loss.
        grad_norm: Norm of all gradients.
        memory: Estimate of what a step of the whole batch takes.
    """

    batch: tuple[int, ...]
    computed: tuple[int, ...]
    loss: float
    grad_norm: float
    memory: MemoryEstimate


def try_step(cfg: Config, datasets: Mapping[str, Any], findings: Findings) -> Trial | None:
    """Load a batch and a sample of every other split; train a step and predict on parts of them.

    Nothing is written outside of a temporary folder.

    Args:
        cfg: The config.
        datasets: Its data sets by split, with ``train``.
        findings: Where to note what goes wrong.

    Returns:
        None when it went wrong.
    """
    set_seed(cfg.get('seed') or 0)
    samples = {}
    for split, dataset in datasets.items():
        if split != 'train':
            loader = EvalLoader(dataset, 0)
            samples[split] = attempt(
                findings, f'data.{split}', lambda of=loader: of.load(0), 'does_not_load'
            )
    with tempfile.TemporaryDirectory(prefix='msseg-') as folder:
        runner = attempt(findings, 'runner', lambda: _build(cfg, datasets, folder))
        if runner is None:
            return None
        batch = attempt(findings, 'data.train', lambda: runner.loader.load(0), 'does_not_load')
        if batch is None:
            return None
        trial = _train(runner, *batch, findings)
    for split, sample in samples.items():
        if trial is not None and sample is not None:
            with_loss = split == 'val' and (cfg.get('evaluation') or {}).get('loss', False)
            _test(runner.model, sample, with_loss, split, findings)
    return trial


def _build(cfg: Config, datasets: Mapping[str, Any], folder: str) -> Runner:
    """Build all that trains as training does."""
    model = build_model(cfg)
    runner = build_runner(model, datasets['train'], cfg, folder)
    register_hooks(runner, cfg, evaluation_of(model, cfg, dataset=datasets.get('val')))
    return runner


def _train(runner: Runner, img: np.ndarray, gt: np.ndarray, findings: Findings) -> Trial | None:
    small, labels = (x[:_MOST_IMAGES, ..., :_LONGEST, :_LONGEST] for x in (img, gt))
    inputs = [ms.Tensor(np.ascontiguousarray(x)) for x in (small, labels)]
    step = runner.train_step
    if step.cumulative_iters > 1:
        inputs.append(ms.Tensor(True))
    try:
        memory = estimate_memory(runner.model, img.shape, runner.state_parameters().values())
        step.set_train()
        values = step(*inputs)
    except (*RUN_ERRORS, *USER_ERRORS) as error:
        _note_failure(error, 'model', findings)
        return None
    named = dict(zip(step.value_names, (float(v.asnumpy()) for v in values), strict=True))
    trial = Trial(img.shape, small.shape, named['loss'], named['grad_norm'], memory)
    if not math.isfinite(trial.loss):
        losses = ', '.join(f'{name} {value:.4g}' for name, value in named.items())
        findings.add('not_finite', 'model', losses)
    elif trial.grad_norm == 0:
        findings.add('no_gradient', 'model', f'loss {trial.loss:.4g}, norm of all gradients 0')
    return trial


def _test(
    model: nn.Cell, sample: EvalSample, with_loss: bool, split: str, findings: Findings
) -> None:
    """Predict a part of a test sample, without compiling a graph for it."""
    mode = ms.get_context('mode')
    ms.set_context(mode=ms.PYNATIVE_MODE)
    try:
        inferencer = LossInferencer(model) if with_loss else Inferencer(model)
        imgs = [img[:, :_LONGEST, :_LONGEST] for img in sample.imgs[:_MOST_IMAGES]]
        gt = None if sample.gt is None else sample.gt[:_LONGEST, :_LONGEST]
        size = imgs[0].shape[1:] if gt is None else gt.shape
        metas = [{**meta, 'ori_shape': size} for meta in sample.metas[:_MOST_IMAGES]]
        inferencer.labels(imgs, metas)
        if with_loss and gt is not None:
            inferencer.last_losses(gt)
    except (*RUN_ERRORS, *USER_ERRORS) as error:
        _note_failure(error, f'data.{split}', findings)
    finally:
        ms.set_context(mode=mode)


def _note_failure(error: Exception, key: str, findings: Findings) -> None:
    if os.environ.get('MSSEG_DEBUG') == '1':
        raise error
    text = one_line(error)
    findings.add('does_not_run', key, f'{type(error).__name__}: {text}')

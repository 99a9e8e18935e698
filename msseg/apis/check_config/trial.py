"""One step of training, to see that it can be done."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import mindspore as ms
import numpy as np

from msseg.apis.build import build_model
from msseg.apis.check_config.attempt import attempt
from msseg.apis.check_config.finding import Findings
from msseg.apis.memory_estimate import MemoryEstimate, estimate_memory
from msseg.apis.train import build_runner, evaluation_of, register_hooks
from msseg.config import Config
from msseg.datasets import TestLoader
from msseg.runner import Runner
from msseg.utils.cli import USER_ERRORS, one_line
from msseg.utils.device import set_seed

# What is computed of a batch: enough for statistics of several images, and of each lowest
# resolution several pixels.
_MOST_IMAGES = 2
_LONGEST = 128
_RULE = '----'  # MindSpore draws it between its message and its tracebacks


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
    """Load a batch and a sample of every other split, and train one step on part of the batch.

    Nothing is written outside of a temporary folder.

    Args:
        cfg: The config.
        datasets: Its data sets by split, with ``train``.
        findings: Where to note what goes wrong.

    Returns:
        None when it went wrong.
    """
    set_seed(cfg.get('seed') or 0)
    for split, dataset in datasets.items():
        if split != 'train':
            loader = TestLoader(dataset, 0)
            attempt(findings, f'data.{split}', lambda of=loader: of.load(0), 'does_not_load')
    with tempfile.TemporaryDirectory(prefix='msseg-') as folder:
        runner = attempt(findings, 'runner', lambda: _build(cfg, datasets, folder))
        if runner is None:
            return None
        batch = attempt(findings, 'data.train', lambda: runner.loader.load(0), 'does_not_load')
        return None if batch is None else _train(runner, *batch, findings)


def _build(cfg: Config, datasets: Mapping[str, Any], folder: str) -> Runner:
    """Build all that trains as training does."""
    model = build_model(cfg)
    runner = build_runner(model, datasets['train'], cfg, folder)
    register_hooks(runner, cfg, evaluation_of(model, cfg, dataset=datasets.get('val')))
    return runner


def _train(runner: Runner, img: np.ndarray, gt: np.ndarray, findings: Findings) -> Trial | None:
    small, labels = (x[:_MOST_IMAGES, ..., :_LONGEST, :_LONGEST] for x in (img, gt))
    inputs = [ms.Tensor(np.ascontiguousarray(x)) for x in (small, labels)]
    memory = estimate_memory(runner.model, img.shape, runner.state_parameters().values())
    step = runner.train_step
    if step.cumulative_iters > 1:
        inputs.append(ms.Tensor(True))
    step.set_train()
    try:
        values = step(*inputs)
    except (RuntimeError, AttributeError, *USER_ERRORS) as error:  # as components of users may
        if os.environ.get('MSSEG_DEBUG') == '1':
            raise
        text = one_line(error).partition(_RULE)[0].strip()
        findings.add('does_not_run', 'model', f'{type(error).__name__}: {text}')
        return None
    named = dict(zip(step.value_names, (float(v.asnumpy()) for v in values), strict=True))
    trial = Trial(img.shape, small.shape, named['loss'], named['grad_norm'], memory)
    if not math.isfinite(trial.loss):
        losses = ', '.join(f'{name} {value:.4g}' for name, value in named.items())
        findings.add('not_finite', 'model', losses)
    elif trial.grad_norm == 0:
        findings.add('no_gradient', 'model', f'loss {trial.loss:.4g}, norm of all gradients 0')
    return trial

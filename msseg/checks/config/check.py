"""Checking a config: what it says, then what is built of it, then one step."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from msseg.apis.config_schema import get_schema
from msseg.apis.settings import entry_of, part, setting
from msseg.checks.config.batch_norm import check_batch_norm
from msseg.checks.config.build_data import build_datasets, build_transforms, find_epoch_length
from msseg.checks.config.build_model import build_whole_model
from msseg.checks.config.build_training import build_training, check_custom_keys
from msseg.checks.config.classes import check_classes, named_classes
from msseg.checks.config.finding import Findings
from msseg.checks.config.ignored import check_ignored
from msseg.checks.config.normalisation import check_normalisation
from msseg.checks.config.paths import check_paths
from msseg.checks.config.reading import check_keys, read_config
from msseg.checks.config.report import ConfigReport, ModelSummary, SplitSummary
from msseg.checks.config.schedule import check_schedule, run_length
from msseg.checks.config.scores import check_scores
from msseg.checks.config.sizes import check_sizes
from msseg.checks.config.text import format_place
from msseg.checks.config.trial import try_step
from msseg.checks.findings import format_line
from msseg.config import Config
from msseg.config.checking import drop_meaningless
from msseg.models.builder import SEGMENTORS


def check_config(
    filename: str | Path,
    cfg_options: Mapping[str, Any] | None = None,
    with_files: bool = True,
    with_step: bool = True,
) -> ConfigReport:
    """Look for what is wrong with a config; nothing is written.

    Args:
        filename: The config.
        cfg_options: Values by dotted key.
        with_files: Look for data and weights, and build the data sets.
        with_step: Train one step on a part of a batch, if nothing is wrong so far.

    Returns:
        All findings.

    Raises:
        OSError, ValueError, KeyError, TypeError, ImportError: The config cannot be read, or an
            option does not fit.
    """
    findings = Findings()
    cfg = read_config(filename, cfg_options, findings)
    if cfg is None:
        return ConfigReport(str(filename), findings.sorted())
    check_keys(cfg, findings)
    drop_meaningless(cfg, get_schema())
    classes = named_classes(cfg)
    check_settings(cfg, classes, findings)
    if with_files:
        check_paths(cfg, findings)
    model, datasets, num_iters = _build(cfg, classes, with_files, findings)
    trial = None
    if with_step and 'train' in datasets and findings.num_errors == 0:
        trial = try_step(cfg, datasets, findings)
    return ConfigReport(
        config=str(filename),
        findings=findings.sorted(),
        model=_summarise_model(model) if model is not None else None,
        splits={name: _summarise_split(dataset) for name, dataset in datasets.items()},
        num_iters=num_iters,
        trial=trial,
    )


def warn_of_settings(cfg: Config, logger: logging.Logger, validate: bool = True) -> None:
    """Log a warning for each finding that needs the config alone, before training starts.

    Args:
        cfg: The config, without keys that mean nothing.
        logger: Where to.
        validate: Whether training evaluates, as ``evaluation`` says.
    """
    findings = Findings()
    check_settings(cfg, named_classes(cfg), findings)
    for finding in findings.sorted():
        if finding.kind == 'evaluation_interval' and not validate:
            continue
        places = [format_place(place) for place in finding.places.values()]
        logger.warning('%s', format_line(finding, places))


def check_settings(cfg: Config, classes: Mapping[str, list[str]], findings: Findings) -> None:
    """Compare settings; nothing is built and no file is read.

    Args:
        cfg: The config.
        classes: The names of each split's classes, as far as they are known.
        findings: Where to note what is wrong.
    """
    check_classes(cfg, classes, findings)
    check_ignored(cfg, findings)
    check_sizes(cfg, findings)
    check_normalisation(cfg, findings)
    check_batch_norm(cfg, findings)
    check_schedule(cfg, findings)
    _check_train_cfg(cfg, findings)


def _check_train_cfg(cfg: Config, findings: Findings) -> None:
    """Note settings in ``train_cfg``, which segmentors of msseg (and MMSegmentation) never read."""
    model = part(cfg, 'model')
    segmentor = entry_of(model, SEGMENTORS)
    if segmentor is None or not segmentor.__module__.startswith('msseg.'):
        return
    for node in (part(cfg, 'train_cfg'), part(cfg, 'model.train_cfg')):
        for name in node:
            note = f'is {node[name]!r}, but {segmentor.__name__} reads nothing of train_cfg'
            findings.add('unread', setting(node, name), note)


def _build(
    cfg: Config, classes: dict[str, list[str]], with_files: bool, findings: Findings
) -> tuple[nn.Cell | None, dict[str, Any], int | None]:
    """Build everything, and compare what only building it tells.

    Returns:
        The model, the data sets by split, and the number of iterations.
    """
    model = build_whole_model(cfg, findings)
    if model is not None:
        check_custom_keys(cfg, model, findings)
    build_transforms(cfg, findings)
    datasets = build_datasets(cfg, findings) if with_files else {}
    built = {split: list(dataset.CLASSES) for split, dataset in datasets.items() if dataset.CLASSES}
    check_classes(cfg, {**classes, **built}, findings)
    loss_names = model.loss_names if model is not None else None
    check_scores(cfg, {**classes, **built}.get('val', []), loss_names, findings)
    iters_per_epoch = find_epoch_length(cfg, datasets.get('train'), findings)
    check_schedule(cfg, findings, iters_per_epoch)
    build_training(cfg, findings, iters_per_epoch)
    length = run_length(cfg, iters_per_epoch)
    return model, datasets, length.in_unit(epochs=False) if length is not None else None


def _summarise_model(model: nn.Cell) -> ModelSummary:
    return ModelSummary(
        segmentor=type(model).__name__,
        backbone=type(model.backbone).__name__,
        heads={prefix: type(head).__name__ for prefix, head in model.heads},
        num_parameters=sum(int(np.prod(p.shape)) for p in model.trainable_params()),
    )


def _summarise_split(dataset: Any) -> SplitSummary:
    return SplitSummary(type(dataset).__name__, len(dataset), len(dataset.CLASSES or ()))

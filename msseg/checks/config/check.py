"""Check a config: its settings, then what is built from it, then one step."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mindspore import nn

from msseg.apis.config_schema import get_schema
from msseg.checks.config.build import (
    build_datasets,
    build_training,
    build_transforms,
    build_whole_model,
    check_parameter_groups,
    find_epoch_length,
)
from msseg.checks.config.datasets import check_classes, check_datasets, named_classes
from msseg.checks.config.dry_run import DryRun, dry_run
from msseg.checks.config.keys import check_keys, check_paths, read_config
from msseg.checks.config.rules import BLOCKING, RULES
from msseg.checks.config.training import check_schedule, check_scores, check_train_cfg, run_length
from msseg.checks.data.sample import check_sample
from msseg.checks.findings import Findings, Report, count
from msseg.config import Config
from msseg.config.checking import drop_meaningless


@dataclass(frozen=True)
class ModelSummary:
    """The model that was built."""

    segmentor: str  # name of its class
    backbone: str  # likewise
    heads: dict[str, str]  # names of the heads' classes, by their prefix in the log
    num_parameters: int  # number of values that are trained


@dataclass(frozen=True)
class SplitSummary:
    """A data set that was built."""

    dataset: str  # name of its class
    num_images: int  # number of images
    num_classes: int  # number of classes


@dataclass(frozen=True)
class ConfigReport(Report):
    """All findings, and what was built and computed."""

    model: ModelSummary | None = None  # None if it could not be built
    splits: dict[str, SplitSummary] = field(default_factory=dict)  # those that were built
    num_iters: int | None = None  # length of the run; None if it is not known
    dry_run: DryRun | None = None  # the result of one step; None without a step

    def as_dict(self) -> dict[str, Any]:
        return {
            **super().as_dict(),
            'model': asdict(self.model) if self.model else None,
            'splits': {name: asdict(split) for name, split in self.splits.items()},
            'num_iters': self.num_iters,
            'trial': asdict(self.dry_run) if self.dry_run else None,
        }

    def facts(self) -> list[str]:
        lines = []
        if self.model is not None:
            heads = ', '.join(f'{name} {kind}' for name, kind in self.model.heads.items())
            lines.append(
                f'model: {self.model.segmentor}, backbone {self.model.backbone}, {heads}; '
                f'{self.model.num_parameters / 1e6:.2f} million parameters'
            )
        for name, split in self.splits.items():
            counts = f'{count(split.num_images, "image")}, {split.num_classes} classes'
            lines.append(f'{name}: {split.dataset}, {counts}')
        if self.num_iters is not None:
            lines.append(f'run: {count(self.num_iters, "iteration")}')
        if self.dry_run is not None:
            lines.append(self.dry_run.text())
        return ['\n'.join(lines)] if lines else []


def check_config(
    filename: str | Path,
    cfg_options: Mapping[str, Any] | None = None,
    with_files: bool = True,
    with_step: bool = True,
) -> ConfigReport:
    """Report what is wrong with a config; nothing is written.

    Args:
        filename: The config file.
        cfg_options: Values by dotted key.
        with_files: Look for data and weights, build the data sets and scan some of their files.
        with_step: Train one step on a part of a batch, if nothing is wrong until then.

    Raises:
        OSError, ValueError, KeyError, TypeError, ImportError: The config cannot be read, or an
            option does not fit.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path('empty.py').write_text("log_confg = dict(interval=10)")
        >>> report = check_config('empty.py', with_files=False)
        >>> [finding.kind for finding in report.findings]
        ['missing_key', 'misspelt_key']
        >>> print(report.findings[1].places['log_confg'])
        log_confg (empty.py): unknown top-level key 'log_confg'. Did you mean 'log_config'? ...
    """
    findings = Findings(RULES, BLOCKING)
    cfg = read_config(filename, cfg_options, findings)
    if cfg is None:
        return ConfigReport(str(filename), findings.sorted())
    check_keys(cfg, findings)
    drop_meaningless(cfg, get_schema())
    classes = named_classes(cfg)
    _check_settings(cfg, classes, findings)
    if with_files:
        check_paths(cfg, findings)
    model, datasets, num_iters = _build(cfg, classes, with_files, findings)
    files = check_sample(datasets).findings
    result = None
    if with_step and 'train' in datasets and all(f.severity != 'error' for f in findings.sorted()):
        result = dry_run(cfg, datasets, findings)
    return ConfigReport(
        config=str(filename),
        findings=sorted([*findings.sorted(), *files], key=lambda finding: finding.severity),
        model=_summarise_model(model) if model is not None else None,
        splits={
            split: SplitSummary(type(data).__name__, len(data), len(data.CLASSES or ()))
            for split, data in datasets.items()
        },
        num_iters=num_iters,
        dry_run=result,
    )


def warn_of_settings(cfg: Config, logger: logging.Logger, validate: bool = True) -> None:
    """Log a warning for each finding about the settings alone, before training starts.

    Without `validate`, training does not evaluate.
    """
    findings = Findings(RULES, BLOCKING)
    _check_settings(cfg, named_classes(cfg), findings)
    for finding in findings.sorted():
        if validate or finding.kind != 'evaluation_interval':
            logger.warning('%s', finding.line())


def _check_settings(cfg: Config, classes: Mapping[str, list[str]], findings: Findings) -> None:
    """Compare settings; nothing is built and no file is read."""
    check_classes(cfg, classes, findings)
    check_datasets(cfg, findings)
    check_schedule(cfg, findings)
    check_train_cfg(cfg, findings)


def _build(
    cfg: Config, classes: dict[str, list[str]], with_files: bool, findings: Findings
) -> tuple[nn.Cell | None, dict[str, Any], int | None]:
    """Build everything; return the model, the data sets by split, the number of iterations."""
    model = build_whole_model(cfg, findings)
    if model is not None:
        check_parameter_groups(cfg, model, findings)
    build_transforms(cfg, findings)
    datasets = build_datasets(cfg, findings) if with_files else {}
    built = {split: list(data.CLASSES) for split, data in datasets.items() if data.CLASSES}
    classes = {**classes, **built}
    check_classes(cfg, classes, findings)
    loss_names = None
    if model is not None:
        loss_names = getattr(model, 'eval_loss_names', model.loss_names)
    check_scores(cfg, classes.get('val', []), loss_names, findings)
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

"""Test a checkpoint: scores, pictures, label files."""

from __future__ import annotations

import copy
import inspect
import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from mindspore import nn

from msseg.apis.architecture import check_architecture
from msseg.apis.build import (
    build_model,
    build_split,
    check_classes,
    graph_settings,
    inner_datasets,
)
from msseg.apis.cityscapes_scores import CITYSCAPES
from msseg.apis.evaluate import Evaluation, ResultHandler, predict_all, scoring
from msseg.apis.model_source import find_checkpoint
from msseg.apis.results import LabelArchive, LabelFiles, Overlays
from msseg.apis.train_settings import LoaderSettings
from msseg.config import Config, required
from msseg.datasets import CustomDataset
from msseg.datasets.builder import PIPELINES
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.pipelines import MultiScaleFlipAug
from msseg.datasets.result_files import outputs_of
from msseg.datasets.sample_rng import get_filename
from msseg.evaluation import Scores, check_metrics
from msseg.inference.inferencer import Inferencer
from msseg.registry import config_path
from msseg.runner import load_checkpoint, load_weights
from msseg.utils.atomic import atomic_write_text
from msseg.utils.device import separate_compile_cache, setup_device
from msseg.utils.dist import get_rank, get_world_size, init_dist
from msseg.utils.logging import get_logger, setup_logging
from msseg.utils.outputs import Outputs, Skipped

# Makes the report on a test: `msseg.reports.EvaluationReport` with its folder.
ReportFactory = Callable[..., 'Report']

# Scales that MMSegmentation's --aug-test uses.
AUG_TEST_RATIOS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)


class Report(Protocol):
    """What `test_segmentor` needs of a report."""

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Add the predicted labels of one image."""

    def gather(self) -> None:
        """Collect the results of the other processes."""

    def write(self, inferencer: Inferencer) -> None:
        """Write the report."""

    def scores(self) -> Scores:
        """Return the scores of all images."""


def test_from_config(
    cfg: Config,
    checkpoint: str | Path,
    metrics: Sequence[str] = (),
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    opacity: float = 0.5,
    legend: bool = True,
    tint_background: bool = False,
    format_dir: str | Path | None = None,
    aug_test: bool = False,
    bootstrap: int = 0,
    work_dir: str | Path | None = None,
    report: ReportFactory | None = None,
    start_check: Callable[[Mapping[str, CustomDataset]], None] | None = None,
    device: str = 'auto',
    device_id: int | None = None,
    launcher: str = 'none',
) -> Evaluation | None:
    """Predict the test images of a config with a checkpoint.

    With several processes each predicts and writes its share; rank 0 prints and writes the scores
    of all images.

    Args:
        cfg: The config, already checked.
        checkpoint: A checkpoint of msseg or another framework; see `find_checkpoint`.
        metrics: Some of ``mIoU``, ``mDice``, ``mFscore``, ``mBoundaryIoU``, and for Cityscapes
            ``cityscapes``.
        out: A .npz file for all label maps, by image name.
        show_dir: Folder for the images, blended with the predicted labels.
        opacity: Opacity of these labels, in (0, 1].
        legend: Add class names and colours below these pictures.
        tint_background: Colour background classes, too, here and in `report`.
        format_dir: Folder for the label maps in the format of the data set's benchmark.
        aug_test: Average over six scales and flips.
        bootstrap: Number of resamples of the images for confidence intervals of IoU; 0 for none.
        work_dir: Folder for a JSON file of the scores.
        report: Makes the page on scores, confusions and images, such as
            ``functools.partial(msseg.reports.EvaluationReport, 'folder')``.
        start_check: Called on rank 0 with the data set, by split, before scores are computed, such
            as `msseg.checks.start.check_before_testing`.
        device: See `setup_device`.
        device_id: See `setup_device`.
        launcher: See `init_dist`.

    Returns:
        The scores, None without `metrics`.
    """
    check_test_options(metrics, out, show_dir, opacity, format_dir, report, bootstrap)
    setup_device(device, device_id, launcher, cfg.get('device'))
    init_dist(launcher)
    setup_logging()
    checkpoint = find_checkpoint(cfg, checkpoint, work_dir)
    if aug_test:
        set_aug_test(cfg)
    separate_compile_cache('test', graph_settings(cfg), metrics, get_world_size())
    dataset = build_split(cfg, 'test')
    model = build_model(cfg)
    check_classes(model, dataset)
    if start_check is not None and get_rank() == 0 and (metrics or report is not None):
        start_check({'test': dataset})
    load_trained(model, dataset, checkpoint, required(cfg, 'model'))
    outputs = outputs_of(dataset, cfg.filename, checkpoint)
    page = None
    if report is not None:
        page = report(dataset, cfg, checkpoint, work_dir, outputs, tint_background)

    def keep(scores: Evaluation) -> None:
        print(scores.table(), flush=True)
        if work_dir is not None:
            _write_scores(Path(work_dir), cfg, checkpoint, scores)

    return test_segmentor(
        model, dataset, cfg, metrics, out=out, show_dir=show_dir, opacity=opacity, legend=legend,
        tint_background=tint_background, format_dir=format_dir, report=page, outputs=outputs,
        on_scores=keep, bootstrap=bootstrap,
    )  # fmt: skip


def test_segmentor(
    model: nn.Cell,
    dataset: CustomDataset,
    cfg: Config,
    metrics: Sequence[str] = (),
    out: str | Path | None = None,
    show_dir: str | Path | None = None,
    opacity: float = 0.5,
    legend: bool = True,
    tint_background: bool = False,
    format_dir: str | Path | None = None,
    report: Report | None = None,
    outputs: Outputs | None = None,
    on_scores: Callable[[Evaluation], None] = lambda scores: None,
    bootstrap: int = 0,
) -> Evaluation | None:
    """Predict all images of a data set; see `test_from_config` for most arguments.

    `outputs` checks the paths of results, by default against the images and labels; `on_scores` is
    called with the scores, on rank 0, before the report is written. After all else is done, results
    whose file names would be too long are a ValueError.
    """
    loading = LoaderSettings.of(cfg, 'test').for_evaluation
    outputs = outputs or outputs_of(dataset)
    skipped = Skipped()
    with ExitStack() as stack:
        scorer = stack.enter_context(scoring(dataset, metrics, bootstrap))
        handlers = scorer.handlers
        if out is not None:
            handlers.append(stack.enter_context(LabelArchive(out, dataset, outputs)).add)
        if show_dir is not None:
            overlays = Overlays(Path(show_dir), dataset, opacity, outputs, legend, tint_background)
            handlers.append(_skipping(overlays.add, dataset, skipped))
        if format_dir is not None:
            label_files = LabelFiles(Path(format_dir), dataset, outputs)
            handlers.append(_skipping(label_files.add, dataset, skipped))
        if report is not None:
            handlers.append(report.add)
        inferencer, with_labels = Inferencer(model), bool(scorer.own) or report is not None
        predict_all(inferencer, dataset, **loading, handlers=handlers, with_labels=with_labels)
        scores = scorer.scores() if metrics else None
        if scores is not None and get_rank() == 0:
            on_scores(scores)
        if report is not None:
            report.gather()
            if get_rank() == 0:
                report.write(inferencer)
                if not scorer.own:  # which has warned already
                    Evaluation((report.scores(),)).warn_of_absent_classes()
    skipped.raise_if_any()
    return scores


def _skipping(add: ResultHandler, dataset: CustomDataset, skipped: Skipped) -> ResultHandler:
    """Return a handler that skips results whose names are too long."""

    def write(sample: EvalSample, labels: np.ndarray) -> None:
        with skipped.long_names(get_filename(dataset, sample.index)):
            add(sample, labels)

    return write


def check_test_options(
    metrics: Sequence[str],
    out: str | Path | None,
    show_dir: str | Path | None,
    opacity: float,
    format_dir: str | Path | None,
    report: ReportFactory | None = None,
    bootstrap: int = 0,
) -> None:
    """Raise, before anything is built, when the options ask for nothing or do not fit."""
    check_metrics(metrics, also=[CITYSCAPES])
    if report is not None and not callable(report):
        raise TypeError(
            f'report is {report!r}, expected what makes a report of a data set, such as '
            'functools.partial(msseg.reports.EvaluationReport, FOLDER)'
        )
    if not (metrics or out or show_dir or format_dir or report):
        raise ValueError(
            'nothing to do: ask for scores (--eval mIoU), pictures (--show-dir), label maps '
            '(--out FILE.npz), label files (--format-only) or a page (--report)'
        )
    if bootstrap < 0 or (bootstrap and 'mIoU' not in metrics):
        raise ValueError(
            f'--bootstrap is {bootstrap}, expected a number of resamples from 1, such as 1000, '
            'together with --eval mIoU'
        )
    if not 0 < opacity <= 1:
        raise ValueError(f'--opacity is {opacity}, expected a number in (0, 1]')
    if out is not None and Path(out).suffix != '.npz':
        raise ValueError(
            f'--out is {str(out)!r}, expected a name ending in .npz (read it with numpy.load)'
        )


def set_aug_test(cfg: Config) -> None:
    """Change the pipelines of all test sets to average over scales and flips.

    Their pipeline becomes that of ``aug_test``, where there is one.
    """
    own = (cfg.get('aug_test') or {}).get('pipeline')
    for dataset in inner_datasets(required(cfg, 'data.test')):
        if own:
            dataset['pipeline'] = copy.deepcopy(own)
            continue
        transforms = [step for step in dataset.get('pipeline') or () if _is_multi_scale(step)]
        if not transforms:
            raise ValueError(
                f'--aug-test needs a MultiScaleFlipAug in {config_path(dataset)}.pipeline, which '
                'has none'
            )
        for transform in transforms:
            transform['img_ratios'] = list(AUG_TEST_RATIOS)
            transform['flip'] = True


def _is_multi_scale(step: Any) -> bool:
    kind = step.get('type') if isinstance(step, Mapping) else None
    kind = PIPELINES.get(kind) if isinstance(kind, str) else kind
    return inspect.isclass(kind) and issubclass(kind, MultiScaleFlipAug)


def load_trained(
    model: nn.Cell, dataset: CustomDataset, checkpoint: str | Path, settings: Mapping[str, Any]
) -> None:
    """Load the weights of a checkpoint, averaged if it has these; warn of other classes.

    Args:
        model: The network.
        dataset: What it is tested with.
        checkpoint: The file.
        settings: The config's ``model``.
    """
    loaded = load_checkpoint(checkpoint).as_evaluated()
    check_architecture(loaded, settings)
    load_weights(model, loaded)
    trained_for = loaded.meta.get('CLASSES')
    if trained_for is not None and list(trained_for) != list(dataset.CLASSES):
        get_logger().warning(
            'the checkpoint was trained for the classes %s, the data set has %s',
            trained_for,
            list(dataset.CLASSES),
        )


def _write_scores(folder: Path, cfg: Config, checkpoint: str | Path, scores: Evaluation) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        'config': str(cfg.filename),
        'checkpoint': str(checkpoint),
        'metric': {
            key: None if math.isnan(value) else value for key, value in scores.as_dict().items()
        },
    }
    stem = f'eval_{time.strftime("%Y%m%d_%H%M%S")}'
    path, number = folder / f'{stem}.json', 1
    while path.exists():  # of another test in the same second
        number += 1
        path = folder / f'{stem}_{number}.json'
    atomic_write_text(path, json.dumps(content, indent=2) + '\n')

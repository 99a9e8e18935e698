"""Scoring an exported file as checkpoints are scored."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from msseg.apis.build import build_split, loader_options
from msseg.apis.evaluate import Evaluation, predict_all, scoring
from msseg.apis.results import LabelArchive
from msseg.config import Config
from msseg.datasets import CustomDataset
from msseg.datasets.result_files import outputs_of
from msseg.deploy import Predictor


class _FromFiles:
    """Labels the images of a data set from their files, as a user of the exported file does."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor

    def labels(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return the labels (h, w) of a sample."""
        return self.predictor(metas[0]['filename'])


def deploy_test(
    file: str | Path,
    cfg: Config,
    metrics: Sequence[str] = ('mIoU',),
    out: str | Path | None = None,
    device: str = 'auto',
    runtime: str = 'auto',
) -> Evaluation:
    """Score an exported file on the test images of a config.

    Args:
        file: The .mindir, .onnx or .ms file.
        cfg: The config, already checked.
        metrics: See `evaluate`.
        out: A .npz file for all label maps, by image name, as ``tools/test.py --out`` writes it.
        device: See `Predictor`.
        runtime: See `Predictor`.

    Raises:
        FileNotFoundError, ImportError, KeyError, ValueError: See `Predictor` and
            `test_from_config`; or the file has other classes than the data set.
    """
    if out is not None and Path(out).suffix != '.npz':
        raise ValueError(f'--out is {str(out)!r}, expected a name ending in .npz')
    predictor = Predictor(file, device, runtime)
    dataset = build_split(cfg, 'test')
    _check_classes(predictor, dataset)
    with ExitStack() as stack:
        scorer = stack.enter_context(scoring(dataset, metrics))
        handlers = list(scorer.handlers)
        if out is not None:
            outputs = outputs_of(dataset, file, cfg.filename)
            handlers.append(stack.enter_context(LabelArchive(out, dataset, outputs)).add)
        options = loader_options(cfg, 'test')
        predict_all(_FromFiles(predictor), dataset, handlers=handlers, **options)
        return scorer.scores()


def _check_classes(predictor: Predictor, dataset: CustomDataset) -> None:
    if len(predictor.classes) != len(dataset.CLASSES):
        raise ValueError(
            f'{predictor.path} has the {len(predictor.classes)} classes {predictor.classes}, but '
            f'the data set {len(dataset.CLASSES)}: {tuple(dataset.CLASSES)}'
        )

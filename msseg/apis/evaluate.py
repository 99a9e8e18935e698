"""Prediction of a data set, and its scores."""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path

import numpy as np

from msseg.apis.cityscapes_scores import (
    CITYSCAPES,
    CityscapesCounter,
    CityscapesScores,
    cityscapes_keys,
)
from msseg.datasets import ConcatDataset, CustomDataset, EvalLoader, check_labels
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.sample_rng import name_sample
from msseg.datasets.worker_pool import WORKER_TIMEOUT_S
from msseg.evaluation import (
    Scores,
    bootstrap_intervals,
    check_metrics,
    compute_scores,
    confusion_matrix,
    count_boundaries,
    format_scores,
    reported_keys,
)
from msseg.inference.inferencer import Inferencer
from msseg.inference.validation_loss import LossCounter, LossInferencer
from msseg.utils.dist import get_rank, get_world_size, keep_together, sum_over_ranks
from msseg.utils.logging import get_logger
from msseg.utils.progress_bar import progress_bar
from msseg.utils.rank_status import note
from msseg.utils.stop_signals import LeftLoading

ResultHandler = Callable[[EvalSample, np.ndarray], None]


@dataclass(frozen=True)
class Evaluation:
    """Scores of a data set, or of each part of a ConcatDataset with ``separate_eval``.

    Attributes:
        parts: Scores of each part, usually one; none with the metric ``cityscapes`` alone.
        cityscapes: Scores by Cityscapes' own tool, if requested.
        losses: Mean losses by name, if requested.
    """

    parts: tuple[Scores, ...]
    cityscapes: CityscapesScores | None = None
    losses: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, float]:
        """Return all scores by key; of several parts, under ``0_mIoU``, ``1_mIoU`` and so on."""
        scores = {
            prefix + key: value
            for prefix, part in zip(_prefixes(len(self.parts)), self.parts, strict=True)
            for key, value in part.as_dict().items()
        }
        official = self.cityscapes.as_dict() if self.cityscapes else {}
        return {**scores, **official, **self.losses}

    def coverage(self, key: str | None = None) -> str:
        """Describe the classes without a labelled pixel, empty for none; of one score or of all."""
        texts = []
        for prefix, part in zip(_prefixes(len(self.parts)), self.parts, strict=True):
            lead = f'data set {prefix[:-1]}, ' if prefix and key is None else ''
            if part.absent and (key is None or key.startswith(prefix)):
                texts.append(lead + part.coverage())
        return '; '.join(texts)

    def warn_of_absent_classes(self) -> None:
        """Log a warning that names the classes without a labelled pixel."""
        coverage = self.coverage()
        if coverage:
            get_logger().warning(
                'the scores are %s. Such a class has no score, and the means leave it out: if it '
                'should be there, look for its label value with msseg check-data',
                coverage,
            )

    def table(self) -> str:
        """Return the scores as text tables."""
        tables = [format_scores(part) for part in self.parts]
        return '\n\n'.join(tables + ([self.cityscapes.table()] if self.cityscapes else []))


def evaluate(
    inferencer: Inferencer,
    dataset: CustomDataset,
    workers_per_gpu: int,
    metrics: str | Sequence[str] = 'mIoU',
    worker_timeout: float = WORKER_TIMEOUT_S,
    is_over: Callable[[], bool] = lambda: False,
    handlers: Sequence[ResultHandler] = (),
) -> Evaluation | None:
    """Score a model on a data set.

    Args:
        inferencer: Predicts an image's labels; the losses of a `LossInferencer` are reported, too.
        dataset: A data set in test mode, with labels.
        workers_per_gpu: Number of processes that load images; 0 loads in this process.
        metrics: Some of ``mIoU``, ``mDice``, ``mFscore``, ``mBoundaryIoU``, and for Cityscapes
            ``cityscapes``.
        worker_timeout: See `EvalLoader`.
        is_over: Whether to abort, called after each image; not with several processes.
        handlers: What else takes the results.

    Returns:
        Its scores, None when it was aborted.
    """
    losses = LossCounter(inferencer) if isinstance(inferencer, LossInferencer) else None
    with scoring(dataset, metrics) as scorer:
        handlers = [*scorer.handlers, *([losses.add] if losses else []), *handlers]
        if not predict_all(
            inferencer, dataset, workers_per_gpu, handlers, True, worker_timeout, is_over
        ):
            return None
        return scorer.scores(losses.means() if losses else {})


class Scorer:
    """Count predictions for every metric requested.

    Args:
        dataset: A data set with labels.
        metrics: See `evaluate`; none counts nothing.
        folder: A temporary folder, for the predictions that Cityscapes' own tool reads.
        bootstrap: Number of resamples for confidence intervals; 0 for none.
    """

    def __init__(
        self,
        dataset: CustomDataset,
        metrics: str | Sequence[str],
        folder: str | Path,
        bootstrap: int = 0,
    ) -> None:
        names = check_metrics(metrics, also=[CITYSCAPES])
        self.own = [name for name in names if name != CITYSCAPES]
        self.counter = ScoreCounter(dataset, self.own, bootstrap) if self.own else None
        self.official = CityscapesCounter(dataset, folder) if CITYSCAPES in names else None
        if self.official and get_world_size() > 1:
            raise ValueError(
                "metric 'cityscapes' is for one device: ask for mIoU here, and for cityscapes with "
                'msseg test on one device'
            )

    @property
    def handlers(self) -> list[ResultHandler]:
        """The handlers of each result."""
        return [each.add for each in (self.counter, self.official) if each]

    def scores(self, losses: Mapping[str, float] | None = None) -> Evaluation:
        """Return the scores of all images counted so far, together with losses."""
        parts = self.counter.scores(self.own).parts if self.counter else ()
        return Evaluation(parts, self.official.scores() if self.official else None, losses or {})


@contextmanager
def scoring(
    dataset: CustomDataset, metrics: str | Sequence[str], bootstrap: int = 0
) -> Iterator[Scorer]:
    """Yield a `Scorer` with a temporary folder."""
    with tempfile.TemporaryDirectory(prefix='msseg-') as folder:
        yield Scorer(dataset, metrics, folder, bootstrap)


class ScoreCounter:
    """Count predictions against a data set's labels; a handler for `predict_all`.

    Args:
        dataset: A data set with labels.
        metrics: What will be asked for.
        bootstrap: Number of resamples for confidence intervals; 0 for none.
    """

    def __init__(
        self, dataset: CustomDataset, metrics: Sequence[str] = (), bootstrap: int = 0
    ) -> None:
        check_labels(dataset)
        self.classes = dataset.CLASSES
        self.ignore_index = dataset.ignore_index
        self.ends = list(accumulate(len(part) for part in separate_parts(dataset)))
        count = len(self.classes)
        self.matrices = np.zeros((len(self.ends), count, count), np.int64)
        self.boundaries = None
        if 'mBoundaryIoU' in metrics:
            self.boundaries = np.zeros((len(self.ends), count, 2), np.int64)
        self.bootstrap = bootstrap
        # right, labelled and predicted pixels of each image and class
        self.images = np.zeros((3, len(dataset) if bootstrap else 0, count), np.int64)

    def add(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Count one image.

        Raises:
            ValueError: The label is not of its image's size.
        """
        if prediction.shape != sample.gt.shape:
            height, width = sample.gt.shape
            name = sample.metas[0].get('filename') or f'sample {sample.index}'
            raise ValueError(
                f'{name}: its label is {height}x{width} (height x width), but the image is '
                f'{prediction.shape[0]}x{prediction.shape[1]}; they must be of one size '
                '(msseg check-data lists all such files)'
            )
        part = bisect_right(self.ends, sample.index)
        counted = (prediction, sample.gt, len(self.classes), self.ignore_index)
        matrix = confusion_matrix(*counted)
        self.matrices[part] += matrix
        if self.boundaries is not None:
            self.boundaries[part] += count_boundaries(*counted)
        if self.bootstrap:
            sums = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
            self.images[:, sample.index] = sums

    def scores(self, metrics: str | Sequence[str]) -> Evaluation:
        """Return the scores of all images counted so far, in all processes."""
        matrices = sum_over_ranks(self.matrices)
        boundaries = [None] * len(matrices)
        if self.boundaries is not None:
            boundaries = sum_over_ranks(self.boundaries)
        parts = [
            compute_scores(matrix, self.classes, metrics, boundary=boundary)
            for matrix, boundary in zip(matrices, boundaries, strict=True)
        ]
        scores = Evaluation(tuple(self._with_intervals(parts)))
        scores.warn_of_absent_classes()
        return scores

    def _with_intervals(self, parts: Sequence[Scores]) -> list[Scores]:
        if not self.bootstrap:
            return list(parts)
        images = sum_over_ranks(self.images)
        starts = [0, *self.ends]
        return [
            replace(part, intervals=bootstrap_intervals(*images[:, start:end], self.bootstrap))
            for part, start, end in zip(parts, starts[:-1], self.ends, strict=True)
        ]


def separate_parts(dataset: CustomDataset) -> list[CustomDataset]:
    """Return the data sets with separate scores: a ConcatDataset's with ``separate_eval``."""
    is_separate = isinstance(dataset, ConcatDataset) and dataset.separate_eval
    return dataset.datasets if is_separate else [dataset]


def evaluation_keys(dataset: CustomDataset, metrics: str | Sequence[str]) -> list[str]:
    """Return the keys that evaluating a data set will report."""
    names = check_metrics(metrics, also=[CITYSCAPES])
    own = [name for name in names if name != CITYSCAPES]
    keys = reported_keys(own, dataset.CLASSES) if own else []
    prefixes = _prefixes(len(separate_parts(dataset)))
    official = cityscapes_keys() if CITYSCAPES in names else []
    return [prefix + key for prefix in prefixes for key in keys] + official


def _prefixes(num_parts: int) -> list[str]:
    return [''] if num_parts == 1 else [f'{index}_' for index in range(num_parts)]


def predict_all(
    inferencer: Inferencer,
    dataset: CustomDataset,
    workers_per_gpu: int,
    handlers: Iterable[ResultHandler],
    with_labels: bool = True,
    worker_timeout: float = WORKER_TIMEOUT_S,
    is_over: Callable[[], bool] = lambda: False,
) -> bool:
    """Predict every image of a data set, one after another, and pass the results to handlers.

    With several processes, each predicts a share of the images. The memory used does not grow with
    their number.

    Args:
        inferencer: Predicts the labels of an image.
        dataset: A data set in test mode.
        workers_per_gpu: See `evaluate`.
        handlers: Called with each sample and its predicted labels, (h, w).
        with_labels: Load the labels too; otherwise the samples' ``gt`` is None.
        worker_timeout: See `evaluate`.
        is_over: See `evaluate`.

    Returns:
        Whether every image was predicted.
    """
    handlers = list(handlers)
    rank, world_size = get_rank(), get_world_size()
    loader = EvalLoader(dataset, workers_per_gpu, rank, world_size, with_labels, worker_timeout)
    num_rounds = len(dataset) // world_size  # in which every process has an image
    bar = progress_bar(loader, len(loader), desc='evaluating', unit='img')
    try:
        for round_index, sample in enumerate(bar):
            note(f'segmenting image {sample.index}')
            try:
                prediction = inferencer.labels(sample.imgs, sample.metas)
            except (ValueError, RuntimeError) as error:
                name_sample(error, dataset, sample.index)
                raise
            for handle in handlers:
                handle(sample, prediction)
            if world_size == 1 and is_over():
                return False
            if round_index < num_rounds:
                keep_together()
    except LeftLoading:
        return False
    finally:
        bar.close()
        loader.close()
    return True

"""One pass over a data set: predict, count, hand each result on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from tqdm import tqdm

from msseg.apis.segment import Segmenter
from msseg.datasets import CustomDataset, TestLoader
from msseg.datasets.loader import TestSample
from msseg.evaluation import Scores, compute_scores, confusion_matrix

ResultHandler = Callable[[TestSample, np.ndarray], None]


def evaluate(
    segmenter: Segmenter,
    dataset: CustomDataset,
    workers_per_gpu: int,
    metrics: str | Sequence[str] = 'mIoU',
) -> Scores:
    """Score a model on a data set.

    Args:
        segmenter: Predicts the labels of an image.
        dataset: A data set in test mode, with labels.
        workers_per_gpu: Processes that load images; 0 loads in this one.
        metrics: Some of ``mIoU``, ``mDice``, ``mFscore``.

    Returns:
        Its scores.
    """
    counter = ScoreCounter(dataset)
    predict_all(segmenter, dataset, workers_per_gpu, [counter.add])
    return counter.scores(metrics)


class ScoreCounter:
    """Counts predictions against a data set's labels; a handler for `predict_all`.

    Args:
        dataset: A data set with labels.
    """

    def __init__(self, dataset: CustomDataset) -> None:
        self.classes = dataset.CLASSES
        self.ignore_index = dataset.ignore_index
        self.matrix = np.zeros((len(self.classes), len(self.classes)), np.int64)

    def add(self, sample: TestSample, prediction: np.ndarray) -> None:
        """Count one image.

        Raises:
            ValueError: It has no label.
        """
        if sample.gt is None:
            raise ValueError(
                f'{sample.metas[0]["filename"]!r} has no label to score against: set ann_dir'
            )
        self.matrix += confusion_matrix(prediction, sample.gt, len(self.classes), self.ignore_index)

    def scores(self, metrics: str | Sequence[str]) -> Scores:
        """Return the scores of all images counted so far."""
        return compute_scores(self.matrix, self.classes, metrics)


def predict_all(
    segmenter: Segmenter,
    dataset: CustomDataset,
    workers_per_gpu: int,
    handlers: Iterable[ResultHandler],
) -> None:
    """Predict every image of a data set, one after another, and hand the results on.

    Nothing is kept, so the memory used does not grow with the number of images.

    Args:
        segmenter: Predicts the labels of an image.
        dataset: A data set in test mode.
        workers_per_gpu: Processes that load images; 0 loads in this one.
        handlers: Called with each sample and its predicted labels, (h, w).
    """
    handlers = list(handlers)
    loader = TestLoader(dataset, workers_per_gpu)
    # disable=None: no bar when the output is not a terminal.
    for sample in tqdm(loader, total=len(loader), disable=None, unit='img', leave=False):
        prediction = segmenter.labels(sample.imgs, sample.metas)
        for handle in handlers:
            handle(sample, prediction)

"""Scores of each image of a data set."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import numpy as np

from msseg.datasets import CustomDataset, check_labels
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.sample_rng import get_filename
from msseg.evaluation import confusion_matrix
from msseg.utils.atomic import atomic_write_text
from msseg.utils.dist import sum_over_ranks
from msseg.utils.outputs import CSV_HEAD


class ImageScores:
    """Count pixels of each image; a handler for `predict_all`.

    Each process counts its images; `gather` adds up.

    Args:
        dataset: A data set with labels.

    Attributes:
        matrix: int64 (K, K) of all images, rows are labels.
        hits: Right pixels by image and class, int64 (N, K).
        labelled: Labelled pixels.
        predicted: Predicted pixels among the labelled ones.

    Raises:
        FileNotFoundError: An image has no label file.
    """

    def __init__(self, dataset: CustomDataset) -> None:
        check_labels(dataset)
        self.dataset = dataset
        count = len(dataset.CLASSES)
        self.matrix = np.zeros((count, count), np.int64)
        self.hits, self.labelled, self.predicted = np.zeros((3, len(dataset), count), np.int64)

    def add(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Count one image."""
        matrix = confusion_matrix(
            prediction, sample.gt, len(self.matrix), self.dataset.ignore_index
        )
        self.matrix += matrix
        self.hits[sample.index] = matrix.diagonal()
        self.labelled[sample.index] = matrix.sum(axis=1)
        self.predicted[sample.index] = matrix.sum(axis=0)

    def gather(self) -> None:
        """Add up what all processes have counted; all of them must call it."""
        self.matrix = sum_over_ranks(self.matrix)
        counts = sum_over_ranks(np.stack([self.hits, self.labelled, self.predicted]))
        self.hits, self.labelled, self.predicted = counts

    def iou(self) -> np.ndarray:
        """Return the IoU by image and class, (N, K); NaN where the image has none of a class."""
        union = self.labelled + self.predicted - self.hits
        return _ratio(self.hits, union, self.labelled > 0)

    def mean_iou(self) -> np.ndarray:
        """Return each image's mean IoU over its classes; NaN without labelled pixels."""
        iou, present = self.iou(), self.labelled > 0
        return _ratio(np.where(present, iou, 0).sum(1), present.sum(1), present.any(1))

    def accuracy(self) -> np.ndarray:
        """Return the share of each image's labelled pixels that are right."""
        total = self.labelled.sum(axis=1)
        return _ratio(self.hits.sum(axis=1), total, total > 0)

    def ranking(self) -> list[int]:
        """Return the images that have labelled pixels, the worst mean IoU first."""
        scores = self.mean_iou()
        order = np.argsort(scores, kind='stable')
        return [int(i) for i in order if not math.isnan(scores[i])]

    def name(self, index: int) -> str:
        """Return an image's name in its folder."""
        infos = getattr(self.dataset, 'img_infos', None)
        return infos[index]['filename'] if infos else Path(self.path(index)).name

    def path(self, index: int) -> str:
        """Return an image's file."""
        return get_filename(self.dataset, index)

    def write_csv(self, path: str | Path) -> None:
        """Write a line for each image: file, mIoU, aAcc, labelled pixels, IoU of each class.

        Raises:
            OSError: It cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator='\n')
        classes = [f'IoU.{name}' for name in self.dataset.CLASSES]
        writer.writerow([*CSV_HEAD.split(','), *classes])
        rows = zip(
            self.mean_iou(), self.accuracy(), self.labelled.sum(axis=1), self.iou(), strict=True
        )
        for index, (mean, accuracy, pixels, ious) in enumerate(rows):
            numbers = [_number(value) for value in (mean, accuracy)]
            classes = [_number(value) for value in ious]
            writer.writerow([self.path(index), *numbers, int(pixels), *classes])
        atomic_write_text(path, text.getvalue())


def _ratio(part: np.ndarray, whole: np.ndarray, where: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=where)


def _number(value: float) -> str:
    return '' if math.isnan(value) else f'{value:.6f}'

"""What adding one prediction to the confusion matrix costs, against decoding one sample."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np

from benchmarks.measure import Comparison, compare
from benchmarks.photograph import write_photograph
from msseg.datasets.cityscapes import LABEL_ID_MAP, LABEL_IDS
from msseg.evaluation import confusion_matrix

HELP = 'a 1024x2048 prediction into the confusion matrix / cv2.imread of its two files'
LIMIT = 0.25
_WRONG_SHARE = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the subcommand's options."""
    parser.add_argument('--rounds', type=int, default=30, help='times that both are measured')


def run(args: argparse.Namespace) -> Comparison:
    """Measures, prints a line and returns the times."""
    with tempfile.TemporaryDirectory() as folder:
        table = np.array([LABEL_ID_MAP[label_id] for label_id in range(256)], np.uint8)
        image, labels = write_photograph(Path(folder))
        label = table[cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)]
        prediction = _predict(label)
        num_classes = len(LABEL_IDS)

        def count() -> None:
            confusion_matrix(prediction, label, num_classes)

        def decode() -> None:
            cv2.imread(str(image))
            cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)

        times = compare(count, decode, args.rounds)
    print(times.report('confusion matrix', 'decoding', LIMIT))
    return times


def _predict(label: np.ndarray) -> np.ndarray:
    """Returns what a fair model might: the label in int32, with patches of wrong classes."""
    rng = np.random.default_rng(0)
    height, width = label.shape
    wrong = rng.random((height // 16, width // 16)) < _WRONG_SHARE
    wrong = wrong.repeat(16, axis=0).repeat(16, axis=1)
    guess = rng.integers(0, len(LABEL_IDS), label.shape)
    return np.where(wrong | (label == 255), guess, label).astype(np.int32)

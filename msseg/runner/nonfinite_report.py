"""What is known of a batch whose loss or gradient is not a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class NonfiniteStep:
    """One training step, as the guard saw it.

    Attributes:
        iteration: Its number, from 1.
        batch: Its batch, with ``img``, ``gt``, ``indices`` and ``filenames``.
        values: What the step returned by name: losses, gradient norm, loss scale.
        lrs: The learning rate of every parameter group.
    """

    iteration: int
    batch: Any
    values: dict[str, float]
    lrs: list[float]

    def report(self, classes: Sequence[str], ignore_index: int | None) -> dict:
        """Return everything about the step as JSON values; numbers that are none are strings.

        Args:
            classes: Names of the classes.
            ignore_index: Label of pixels that do not count.
        """
        values = {name: _json_number(value) for name, value in self.values.items()}
        batch = self.batch
        samples = zip(batch.filenames, batch.indices, batch.img, batch.gt, strict=True)
        return {
            'iter': self.iteration,
            'lr': self.lrs,
            'grad_norm': values.pop('grad_norm', None),
            'loss_scale': values.pop('loss_scale', None),
            'update_skipped': bool(values.pop('skipped', 0.0)),
            'losses': values,
            'samples': [
                {
                    'file': str(file),
                    'index': int(index),
                    'image': describe_image(img),
                    'labels': count_labels(gt, classes, ignore_index),
                }
                for file, index, img, gt in samples
            ],
        }


def describe_image(img: np.ndarray) -> dict:
    """Return the range of a prepared image, over its finite values, and how many are not."""
    finite = img[np.isfinite(img)]
    if finite.size == 0:
        return {'min': None, 'max': None, 'mean': None, 'num_nonfinite': int(img.size)}
    return {
        'min': float(finite.min()),
        'max': float(finite.max()),
        'mean': float(finite.mean(dtype=np.float64)),
        'num_nonfinite': int(img.size - finite.size),
    }


def count_labels(gt: np.ndarray, classes: Sequence[str], ignore_index: int | None) -> dict:
    """Return the number of pixels of every class that occurs, by name.

    Args:
        gt: Labels of any shape.
        classes: Names of the classes.
        ignore_index: Counted as ``(ignored)``; any other value that is no class as
            ``(no class: VALUE)``.
    """
    counts = {}
    for value, count in zip(*np.unique(gt, return_counts=True), strict=True):
        if value == ignore_index:
            name = '(ignored)'
        elif 0 <= value < len(classes) and value == int(value):
            name = classes[int(value)]
        else:
            name = f'(no class: {value})'
        counts[name] = counts.get(name, 0) + int(count)
    return counts


def format_report(report: dict) -> str:
    """Return a report as lines for the log."""
    head = {'lr': max(report['lr']), 'grad_norm': report['grad_norm']}
    if report['loss_scale'] is not None:
        head['loss_scale'] = report['loss_scale']
    lines = [', '.join(f'{name} {_short(v)}' for name, v in {**head, **report['losses']}.items())]
    for sample in report['samples']:
        image, labels = sample['image'], sample['labels']
        broken = f', {image["num_nonfinite"]} NOT FINITE' if image['num_nonfinite'] else ''
        total = sum(labels.values())
        shares = ', '.join(f'{name} {100 * n / total:.2f} %' for name, n in labels.items())
        lines.append(
            f'{sample["file"]}: image {_short(image["min"])} to {_short(image["max"])}, mean '
            f'{_short(image["mean"])}{broken}; labels: {shares}'
        )
    return '\n'.join(f'  {line}' for line in lines)


def _json_number(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _short(value: float | str | None) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)

"""The report on data sets: counts, class weights, mean and standard deviation, text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from terminaltables import AsciiTable

from msseg.checks.data.file_scan import ImageScan, PairScan
from msseg.checks.data.source import LabelRules
from msseg.checks.findings import Report, count

_MOST_SIZES = 5


@dataclass
class Statistics:
    """Counts over a split, without files that cannot be read."""

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)  # number of images by (h, w)
    # number of images by kind of file, mode and bits
    image_forms: Counter[str] = field(default_factory=Counter)
    label_forms: Counter[str] = field(default_factory=Counter)  # number of labels likewise
    # pixels by label value as in the files, without colours
    values: Counter[int] = field(default_factory=Counter)
    # pixels by class index, ignore_index and wrong values
    pixels: Counter[int] = field(default_factory=Counter)
    num_images: Counter[int] = field(default_factory=Counter)  # number of images by the same
    # labelled pixels of the images in which a class occurs, by class index
    pixels_of_images: Counter[int] = field(default_factory=Counter)

    def add(self, scan: PairScan, rules: LabelRules) -> None:
        """Count an image and its label, unless they cannot be read."""
        image, label = scan
        if image is not None and image.problem is None:
            self.sizes[image.size] += 1
            self.image_forms[image.form] += 1
        if label is None or label.problem is not None:
            return
        self.label_forms[label.form] += 1
        if not label.is_colour:
            self.values.update(label.values)
        pixels = rules.count(label)
        classes = {k: n for k, n in pixels.items() if k != rules.ignore_index and rules.is_right(k)}
        self.pixels.update(pixels)
        self.num_images.update(pixels.keys())
        self.pixels_of_images.update(dict.fromkeys(classes, sum(classes.values())))


@dataclass(frozen=True)
class Balance:
    """Weights of the classes, for losses."""

    median_frequency: list[float]  # by median frequency balancing
    effective_number: list[float]  # by the effective number of samples
    beta: float  # the parameter of the latter


def balance_of(
    statistics: Statistics, classes: Sequence[str] | None, beta: float | None
) -> Balance | None:
    """Return class weights, None without labels or classes; `beta` is `default_beta` by default."""
    if classes is None or not statistics.label_forms:
        return None
    pixels, of_images = (
        np.array([counts[k] for k in range(len(classes))], np.int64)
        for counts in (statistics.pixels, statistics.pixels_of_images)
    )
    beta = default_beta(pixels) if beta is None else beta
    return Balance(
        median_frequency_weights(pixels, of_images).tolist(),
        effective_number_weights(pixels, beta).tolist(),
        beta,
    )


def median_frequency_weights(pixels: np.ndarray, pixels_of_images: np.ndarray) -> np.ndarray:
    """Return weights by median frequency balancing.

    The frequency of a class is the share of its pixels in the images that have it; its weight is
    the median of all frequencies divided by its own.

    Args:
        pixels: (K,) pixels of each class.
        pixels_of_images: (K,) labelled pixels of the images in which the class occurs.

    Returns:
        (K,) float64; 1 for classes that never occur, which no pixel uses.

    Source: "Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale
        Convolutional Architecture" (Eigen and Fergus, 2015), section 4.3.2.

    Examples:
        >>> median_frequency_weights(np.array([30, 0, 10]), np.array([40, 0, 20])).round(3)
        array([0.833, 1.   , 1.25 ])
    """
    weights = np.ones(len(pixels))
    occurs = np.asarray(pixels) > 0
    if occurs.any():
        frequency = np.asarray(pixels, float)[occurs] / np.asarray(pixels_of_images, float)[occurs]
        weights[occurs] = np.median(frequency) / frequency
    return weights


def default_beta(pixels: np.ndarray) -> float:
    """Return 1 - 1/N, where N is the mean number of pixels of the classes that occur.

    With N far below the counts, all weights would be equal; far above them, they would be inverse
    frequencies. The paper's 0.9999 is for thousands of images, not for millions of pixels.
    """
    occurring = np.asarray(pixels)[np.asarray(pixels) > 0]
    return 1.0 - 1.0 / max(float(occurring.mean()), 2.0) if occurring.size else 0.5


def effective_number_weights(pixels: np.ndarray, beta: float) -> np.ndarray:
    """Return weights by the effective number of samples.

    The weight of a class is the inverse of ``(1 - beta ** n) / (1 - beta)``, where n is the number
    of its pixels; the weights of the classes that occur are scaled to the mean 1.

    Args:
        pixels: (K,) pixels of each class.
        beta: In (0, 1).

    Returns:
        (K,) float64; 1 for classes that never occur.

    Raises:
        ValueError: `beta` is out of range.

    Source: "Class-Balanced Loss Based on Effective Number of Samples" (Cui et al., 2019),
        equations 2 and 4.

    Examples:
        >>> effective_number_weights(np.array([30, 0, 10]), 0.9).round(3)
        array([0.81, 1.  , 1.19])
    """
    if not 0 < beta < 1:
        raise ValueError(f'beta={beta!r}; expected a number between 0 and 1, such as 0.9999')
    weights = np.ones(len(pixels))
    counts = np.asarray(pixels, float)
    occurs = counts > 0
    if occurs.any():
        effective = -np.expm1(counts[occurs] * np.log(beta)) / (1.0 - beta)
        weights[occurs] = 1.0 / effective
        weights[occurs] /= weights[occurs].mean()
    return weights


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of images, in the order of channels that Normalize takes."""

    mean: list[float]  # of each channel
    std: list[float]  # likewise
    to_rgb: bool  # whether they are in RGB order
    smallest: list[float]  # value of each channel
    largest: list[float]  # likewise
    share_without_data: float = 0.0  # of the pixels, which do not count


def normalisation_of(images: Iterable[ImageScan | None], to_rgb: bool) -> Normalisation | None:
    """Return mean and standard deviation of each channel over all pixels of all images.

    Args:
        images: The images; those that could not be loaded are left out.
        to_rgb: Whether Normalize swaps BGR to RGB.

    Returns:
        None without images, or if they differ in their number of channels.
    """
    images = [image for image in images if image is not None and image.problem is None]
    total = sum(image.size[0] * image.size[1] for image in images)
    share_without_data = sum(image.num_no_data for image in images) / max(total, 1)
    images = [image for image in images if image.num_known]
    if len({len(image.mean) for image in images}) != 1:
        return None
    pixels = np.array([image.num_known for image in images], float)[:, None]
    share = pixels / pixels.sum()
    means = np.array([image.mean for image in images])
    mean = (share * means).sum(axis=0)
    within = np.array([image.variance for image in images])
    variance = (share * (within + (means - mean) ** 2)).sum(axis=0)
    to_rgb = to_rgb and len(mean) == 3
    order = slice(None, None, -1 if to_rgb else 1)
    limits = np.array([image.limits for image in images])
    values = [mean, np.sqrt(variance), limits[..., 0].min(axis=0), limits[..., 1].max(axis=0)]
    mean, std, smallest, largest = (value[order].tolist() for value in values)
    return Normalisation(mean, std, to_rgb, smallest, largest, share_without_data)


@dataclass(frozen=True)
class SplitReport:
    """The counts of a split."""

    name: str  # ``train``, ``val`` or ``test``
    datasets: Sequence[str]  # names of the classes of its data sets
    num_images: int  # number of images listed
    rules: LabelRules  # the meaning of label values in its first data set
    statistics: Statistics  # the counts
    balance: Balance | None = None  # None without labels or classes
    # None without images, or if they differ in their channels
    normalisation: Normalisation | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        counts = self.statistics
        named = dict(enumerate(self.rules.classes or ()))
        norm = dict(vars(self.normalisation)) if self.normalisation else None
        return {
            'datasets': list(self.datasets),
            'num_images': self.num_images,
            'sizes': [{'size': list(s), 'images': n} for s, n in counts.sizes.most_common()],
            'image_forms': dict(counts.image_forms.most_common()),
            'label_forms': dict(counts.label_forms.most_common()),
            'ignore_index': self.rules.ignore_index,
            'classes': [
                {
                    'index': index,
                    'name': named.get(index),
                    'pixels': counts.pixels[index],
                    'images': counts.num_images[index],
                }
                for index in self._indices()
            ],
            'class_weight': vars(self.balance) if self.balance else None,
            'img_norm_cfg': norm and {key: norm.pop(key) for key in ('mean', 'std', 'to_rgb')},
            'channels': norm,
        }

    def _indices(self) -> list[int]:
        """Return the classes, then the other values that occur."""
        classes = range(len(self.rules.classes or ()))
        return [*classes, *sorted(set(self.statistics.pixels) - set(classes))]

    def text(self, same: str | None) -> str:
        """Return the counts as text; of a split with the files of another, its name only."""
        datasets = ' + '.join(
            f'{n} x {who}' if n > 1 else who for who, n in Counter(self.datasets).items()
        )
        head = f'{self.name}: {datasets}, {count(self.num_images, "image")}'
        if same is not None:
            return f'{head}, the files of {same}'
        counts = self.statistics
        lines = [head, f'  sizes (height x width): {_format_sizes(counts.sizes)}']
        lines.append(f'  images: {_format_counts(counts.image_forms)}')
        if counts.label_forms:
            lines += [f'  labels: {_format_counts(counts.label_forms)}', self._class_table()]
        if self.normalisation is not None:
            lines += self._band_lines(self.normalisation)
        return '\n'.join(lines)

    def _band_lines(self, norm: Normalisation) -> list[str]:
        """Return a table of the channels, unless they are colours or grey; and what has no data."""
        lines = []
        if len(norm.mean) not in (1, 3):
            rows = [['Channel', 'Smallest', 'Largest', 'Mean', 'Standard deviation']]
            columns = zip(norm.smallest, norm.largest, norm.mean, norm.std, strict=True)
            rows += [[str(i), *(f'{v:.5g}' for v in row)] for i, row in enumerate(columns, 1)]
            table = AsciiTable(rows)
            table.justify_columns = dict.fromkeys(range(5), 'right')
            lines.append(table.table)
        if norm.share_without_data:
            share = f'{100 * norm.share_without_data:.3g} %'
            lines.append(f'  pixels without data: {share}; neither loss nor scores count them')
        return lines

    def _class_table(self) -> str:
        counts, classes = self.statistics, self.rules.classes or ()
        total = max(sum(counts.pixels[k] for k in range(len(classes))), 1)
        rows = [['Index', 'Class', 'Pixels', 'Share', 'Images']]
        for k in self._indices():
            name, share = '', ''
            if 0 <= k < len(classes):
                name, share = classes[k], f'{100 * counts.pixels[k] / total:.3f} %'
            elif classes:
                name = 'does not count' if k == self.rules.ignore_index else 'no class'
            rows.append([str(k), name, str(counts.pixels[k]), share, str(counts.num_images[k])])
        table = AsciiTable(rows)
        table.justify_columns = {0: 'right', 2: 'right', 3: 'right', 4: 'right'}
        return table.table

    def lines_for_config(self) -> list[str]:
        """Return lines that can be pasted into a config."""
        lines = []
        if self.balance is not None:
            median, effective = self.balance.median_frequency, self.balance.effective_number
            lines = [
                f'class_weight=[{_numbers(median)}]  # median frequency balancing',
                f'class_weight=[{_numbers(effective)}]  # effective number, '
                f'beta={self.balance.beta!r}',
            ]
        if self.normalisation is not None:
            norm = self.normalisation
            numbers = f'mean=[{_numbers(norm.mean)}], std=[{_numbers(norm.std)}]'
            lines.append(f'img_norm_cfg = dict({numbers}, to_rgb={norm.to_rgb})')
        return lines


@dataclass(frozen=True)
class DatasetReport(Report):
    """All findings, and the counts of all splits."""

    splits: Sequence[SplitReport]  # in the order asked for
    # from a split to an earlier one with the same files
    same_files: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            **super().as_dict(),
            'splits': {split.name: split.as_dict() for split in self.splits},
            'same_files': self.same_files,
        }

    def facts(self) -> list[str]:
        parts = [split.text(self.same_files.get(split.name)) for split in self.splits]
        lines = self.splits[0].lines_for_config()
        if lines:
            parts += [f'of {self.splits[0].name}, to paste into a config:', '\n'.join(lines)]
        return parts


def _format_sizes(sizes: Counter[tuple[int, int]]) -> str:
    named = [f'{h}x{w} ({n})' for (h, w), n in sizes.most_common(_MOST_SIZES)]
    rest = sizes.most_common()[_MOST_SIZES:]
    if rest:
        smallest, largest = min(s for s, _ in rest), max(s for s, _ in rest)
        named.append(
            f'{sum(n for _, n in rest)} of {len(rest)} other sizes, '
            f'from {smallest[0]}x{smallest[1]} to {largest[0]}x{largest[1]}'
        )
    return ', '.join(named) or 'none'


def _format_counts(counts: Counter[str]) -> str:
    return '; '.join(f'{number} {form}' for form, number in counts.most_common()) or 'none'


def _numbers(values: Iterable[float]) -> str:
    return ', '.join(f'{value:.4g}' if value < 1 else f'{value:.3f}' for value in values)

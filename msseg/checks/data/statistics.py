"""Counts over a split: sizes, kinds of files, classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from msseg.checks.data.file_scan import ImageScan, LabelScan
from msseg.checks.data.label_rules import LabelRules


@dataclass
class Statistics:
    """What a split consists of; files that cannot be read are left out.

    Attributes:
        sizes: Number of images by (h, w).
        image_forms: Number of images by kind of file, mode and bits.
        label_forms: Number of labels likewise.
        values: Label values as the files hold them, with their pixels; colours left out.
        pixels: Pixels by class index, ignore_index and wrong values.
        num_images: By the same, images in which it occurs.
        pixels_of_images: By class index, labelled pixels of the images in which it occurs.
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    image_forms: Counter[str] = field(default_factory=Counter)
    label_forms: Counter[str] = field(default_factory=Counter)
    values: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    num_images: Counter[int] = field(default_factory=Counter)
    pixels_of_images: Counter[int] = field(default_factory=Counter)

    def add_image(self, image: ImageScan) -> None:
        """Count an image that can be loaded."""
        self.sizes[image.size] += 1
        self.image_forms[image.form] += 1

    def add_label(self, label: LabelScan, rules: LabelRules) -> None:
        """Count a label."""
        if label.problem is not None:
            return
        self.label_forms[label.form] += 1
        if not label.is_colour:
            self.values.update(label.values)
        pixels = rules.count(label)
        classes = {k: n for k, n in pixels.items() if k != rules.ignore_index and rules.is_right(k)}
        labelled = sum(classes.values())
        self.pixels.update(pixels)
        self.num_images.update(pixels.keys())
        self.pixels_of_images.update(dict.fromkeys(classes, labelled))

    def class_pixels(self, classes: Sequence[str]) -> np.ndarray:
        """Return (K,) pixels of each class."""
        return np.array([self.pixels[k] for k in range(len(classes))], np.int64)

    def class_pixels_of_images(self, classes: Sequence[str]) -> np.ndarray:
        """Return (K,) labelled pixels of the images in which each class occurs."""
        return np.array([self.pixels_of_images[k] for k in range(len(classes))], np.int64)

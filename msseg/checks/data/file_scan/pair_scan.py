"""One sample's files: the work of one call of a worker process."""

from __future__ import annotations

import signal
from typing import NamedTuple

import cv2

from msseg.checks.data.file_scan.image_scan import ImageScan, scan_image
from msseg.checks.data.file_scan.label_scan import LabelScan, scan_label
from msseg.utils.image_values import ValueScale


class PairTask(NamedTuple):
    """Which files to look at, and how training decodes the image.

    Attributes:
        image: Path of the image.
        label: Path of the label, None for none.
        color_type: As `LoadImageFromFile` has it; None for an image that a transform of the
            user's own loads, which is not looked at.
        backend: Likewise.
        max_value: Likewise.
        percentiles: Likewise.
    """

    image: str
    label: str | None
    color_type: str | None = 'color'
    backend: str = 'cv2'
    max_value: float | None = None
    percentiles: tuple[float, float] | None = None


class PairScan(NamedTuple):
    """What was found in them; None where nothing was looked at."""

    image: ImageScan | None
    label: LabelScan | None


def scan_pair(task: PairTask, decode_image: bool = True) -> PairScan:
    """Look at an image (at its header alone, if `decode_image` is False) and its label."""
    image = scale = None
    if task.max_value is not None or task.percentiles is not None:
        scale = ValueScale(task.max_value, task.percentiles)
    if task.color_type is not None:
        image = scan_image(task.image, task.color_type, task.backend, scale, decode_image)
    return PairScan(image, None if task.label is None else scan_label(task.label))


def prepare_worker() -> None:
    """Set up a process that does nothing but look at files, in parallel with others."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the main process ends it

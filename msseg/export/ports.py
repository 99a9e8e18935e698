"""What goes into an exported file and what comes out of it."""

from __future__ import annotations

from msseg.deploy.metadata import Port
from msseg.export.options import ExportOptions


def input_port(options: ExportOptions, channels: int) -> Port:
    """Return the input of a file.

    Args:
        options: What to export.
        channels: Of the image.
    """
    n, h, w = _shape(options)
    if options.include_preprocessing:
        meaning = 'the image as cv2.imread gives it, in BGR order'
        return Port('image', 'uint8', 'NHWC', (n, h, w, channels), meaning)
    meaning = 'the image, its channels in the order that preprocessing says, normalised'
    return Port('image', 'float32', 'NCHW', (n, channels, h, w), meaning)


def output_port(options: ExportOptions, channels: int) -> Port:
    """Return the output of a file.

    Args:
        options: What to export.
        channels: Of the logits.
    """
    n, h, w = _shape(options)
    if options.argmax:
        return Port('labels', 'int32', 'NHW', (n, h, w), 'labels')
    return Port('logits', 'float32', 'NCHW', (n, channels, h, w), 'logits')


def _shape(options: ExportOptions) -> tuple[int | None, int | None, int | None]:
    return (None,) * 3 if options.dynamic else (options.batch, *options.size)

"""Read and write videos frame by frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from msseg.prediction.raster import UnreadableInputError, reading
from msseg.utils.atomic import atomic_path
from msseg.utils.regular_file import check_regular

_CODEC = 'mp4v'
_USUAL_FPS = 25.0
# Containers only estimate how many frames they hold; more missing than this is a cut file.
_MISSING_SHARE, _MISSING_FRAMES = 0.02, 2


class VideoFrames:
    """The frames of a video, BGR uint8 (h, w, 3), to iterate over once.

    Attributes:
        size: The frames' (h, w).
        fps: Frames a second.
        num_frames: From the container; 0 when unknown.

    Raises:
        UnreadableInputError: It cannot be opened; or, while iterating, ends far too early.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with reading(path):
            check_regular(path)
            _check_name(path)
        self._capture = cv2.VideoCapture(str(path))
        width = int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if not self._capture.isOpened() or not width or not height:
            raise UnreadableInputError(
                f'{path}: cannot be read as a video; it is damaged or of a kind that OpenCV does '
                'not know: copy it again, or save it as MP4'
            )
        self.size = height, width
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0 < fps < 1000 else _USUAL_FPS
        self.num_frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def __iter__(self) -> Iterator[np.ndarray]:
        count = 0
        try:
            while (found := self._capture.read())[0]:
                count += 1
                yield found[1]
        finally:
            self._capture.release()
        missing = self.num_frames - count
        if count == 0 or missing > max(_MISSING_FRAMES, _MISSING_SHARE * self.num_frames):
            raise UnreadableInputError(
                f'{self.path}: the video ends after {count} of {self.num_frames} frames; it is '
                'damaged: copy it again'
            )


def _check_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:  # OpenCV 4.11 ends the process
        raise ValueError(
            f'{path}: OpenCV takes no video whose path is not UTF-8: rename it'
        ) from error


@contextmanager
def writing_video(path: Path, size: tuple[int, int], fps: float) -> Iterator[cv2.VideoWriter]:
    """Yield a writer of an MP4 file, which is there when the block succeeds."""
    _check_name(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        fourcc = cv2.VideoWriter_fourcc(*_CODEC)
        writer = cv2.VideoWriter(str(temporary), fourcc, fps, (size[1], size[0]))
        if not writer.isOpened():
            raise OSError(f'{str(path)!r} cannot be written as a video (codec {_CODEC})')
        try:
            yield writer
        finally:
            writer.release()

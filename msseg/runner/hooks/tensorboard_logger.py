"""Curves and pictures for TensorBoard."""

from __future__ import annotations

import math
import os
import platform
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from msseg.runner.builder import HOOKS
from msseg.runner.hooks.logger import LoggerHook
from msseg.utils.arguments import File, NonNegativeInt, PositiveInt
from msseg.utils.extras import import_extra
from msseg.utils.logging import PatientFile

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


@HOOKS.register_module()
class TensorboardLoggerHook(LoggerHook):
    """Write scalars under ``train/`` and ``val/`` to ``tf_logs`` in the work dir.

    After each evaluation it writes pictures of some images, their labels and predictions, too: the
    same images each time, at most 400 pixels wide and high each.

    The points are appended at once: the writer of tensorboardX 2.6 has a thread, which the first
    error of the disk ends, and then waits for it forever.

    Args:
        log_dir: Folder for the event files; ``tf_logs`` in the work dir by default.
        interval: Iterations between training points.
        by_epoch: See `LoggerHook`.
        ignore_last: See `LoggerHook`.
        num_images: Images of each evaluation to show; 0 shows none.
    """

    def __init__(
        self,
        log_dir: File | None = None,
        interval: PositiveInt = 10,
        by_epoch: bool = True,
        ignore_last: bool = True,
        num_images: NonNegativeInt = 4,
    ) -> None:
        super().__init__(interval, by_epoch, ignore_last)
        self.num_images = num_images
        self.log_dir = log_dir
        import_extra('tensorboardX', extra='tensorboard', used_by='TensorboardLoggerHook')

    def before_run(self, runner: Runner) -> None:
        """Begin an event file."""
        from tensorboardX.proto.event_pb2 import Event

        if runner.rank == 0:
            folder = Path(self.log_dir) if self.log_dir else Path(runner.work_dir) / 'tf_logs'
            folder.mkdir(parents=True, exist_ok=True)
            now = time.time()
            # readers find event files by this form of name
            name = f'events.out.tfevents.{now:.0f}.{platform.node()}.{os.getpid()}'
            self.file = PatientFile(folder / name)
            self.file.append(_record(Event(wall_time=now, file_version='brain.Event:2')))

    def log(self, runner: Runner, mode: str, values: dict[str, float]) -> None:
        """Write one point to each curve."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        points = [
            Event(wall_time=time.time(), step=runner.iter, summary=scalar(f'{mode}/{name}', value))
            for name, value in {'learning_rate': runner.current_lr()[0], **values}.items()
            if not math.isnan(value)
        ]
        self.file.append(b''.join(_record(point) for point in points))

    def log_images(self, runner: Runner, pictures: Mapping[str, np.ndarray]) -> None:
        """Write pictures of an evaluation under ``evaluation/``."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        values = []
        for name, picture in pictures.items():
            height, width = picture.shape[:2]
            content = cv2.imencode('.jpg', np.ascontiguousarray(picture[..., ::-1]))[1].tobytes()
            image = Summary.Image(
                height=height, width=width, colorspace=3, encoded_image_string=content
            )
            values.append(Summary.Value(tag=f'evaluation/{name}', image=image))
        event = Event(wall_time=time.time(), step=runner.iter, summary=Summary(value=values))
        self.file.append(_record(event))


def _record(event: Any) -> bytes:
    from tensorboardX.record_writer import masked_crc32c

    content = event.SerializeToString()
    length = struct.pack('<Q', len(content))
    checksums = [struct.pack('<I', masked_crc32c(part)) for part in (length, content)]
    return length + checksums[0] + content + checksums[1]

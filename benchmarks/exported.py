"""Exported files against the bare network they were made from."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from benchmarks.measure import Comparison, compare
from msseg.deploy.metadata import Metadata, Preprocessing
from msseg.export.options import ExportOptions
from msseg.export.writers import WRITERS
from msseg.version import __version__

# Largest times per image, over the bare network's.
LIMITS = {'mindir': 1.05, 'onnx': 0.75}
START_LIMIT_S, MEMORY_LIMIT_MB = 3.0, 3000

# What another program does with the file; it prints how long it took and what it used.
_PROGRAM = """
import json, sys, time
from msseg.deploy import Predictor
from msseg.utils.resources import peak_memory_mb
import numpy as np
predictor = Predictor(sys.argv[1], 'CPU')
print('ready', flush=True)
h, w = predictor.metadata.input.size
image = np.random.default_rng(0).integers(0, 256, (h, w, 3), np.uint8)
times = []
for _ in range(2):
    start = time.perf_counter()
    predictor(image)
    times.append(time.perf_counter() - start)
print(json.dumps({'times': times, 'peak_mb': peak_memory_mb()}))
"""


@dataclass(frozen=True)
class Usage:
    """What a program that labels images with an exported file needs.

    Attributes:
        start_s: Seconds from its start until `Predictor` is ready.
        first_s: Seconds for the first image.
        second_s: Seconds for the second.
        peak_mb: The program's largest memory.
    """

    start_s: float
    first_s: float
    second_s: float
    peak_mb: int

    def report(self) -> str:
        """Return it in a line."""
        return (
            f'  by itself: ready after {self.start_s:.2f} s (promised for HRNet-W18-small: '
            f'{START_LIMIT_S:g}), image 1 in {self.first_s:.2f} s, image 2 in {self.second_s:.2f} '
            f's, peak memory {self.peak_mb} MB (promised for HRNet-W48 in ONNX: {MEMORY_LIMIT_MB})'
        )


def write_file(model: nn.Cell, file_format: str, size: tuple[int, int], folder: Path) -> Path:
    """Export a network that gives labels at full size; it is changed thereby.

    Args:
        model: The network.
        file_format: ``mindir`` or ``onnx``.
        size: The images' (h, w).
        folder: Where to.
    """
    options = ExportOptions(file_format, size, argmax=True)
    path = folder / f'network.{file_format}'
    options.check(path, 'CPU')
    metadata = Metadata(
        input=options.input_port(3),
        output=options.output_port(model.out_channels),
        preprocessing=Preprocessing(False, True, (123.675, 116.28, 103.53), (58.4, 57.1, 57.4)),
        classes=tuple(f'class {i}' for i in range(model.num_classes)),
        palette=((0, 0, 0),) * model.num_classes,
        align_corners=model.align_corners,
        threshold=model.threshold,
        toolbox_version=__version__,
    )
    WRITERS[file_format](model, metadata, path)
    return path


def compare_file(path: Path, network: nn.Cell, img: np.ndarray, rounds: int) -> Comparison:
    """Time an exported file and the network that it was made from, in turns.

    Args:
        path: The file.
        network: From the image to logits at the network's own size.
        img: The image, float32 (1, 3, h, w).
        rounds: Number of times that both are timed.
    """
    from msseg.deploy.runners import open_file

    run = open_file(path, 'auto', 'CPU')
    tensor = ms.Tensor(img)
    return compare(lambda: run(img), lambda: network(tensor).asnumpy(), rounds, warmup=1)


def measure_usage(path: Path) -> Usage:
    """Label two images in a program of its own."""
    start = time.perf_counter()
    # Importing MindSpore sets OMP_NUM_THREADS=1 where os.environ does not see it, but children do.
    with subprocess.Popen(
        [sys.executable, '-c', _PROGRAM, str(path)],
        env=dict(os.environ),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while process.stdout.readline() not in ('ready\n', ''):
            pass
        ready = time.perf_counter() - start
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise ValueError(f'labelling with {path} ended with exit status {process.returncode}')
    found = json.loads(lines[-1])
    return Usage(ready, *found['times'], found['peak_mb'])

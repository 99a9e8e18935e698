"""Choosing what runs an exported file."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from msseg.deploy.metadata import Metadata
from msseg.utils.suggest import did_you_mean

RUNTIMES = ('auto', 'mindspore', 'onnxruntime', 'lite')
_SUFFIXES = {'.mindir': ('mindspore', 'lite'), '.onnx': ('onnxruntime',), '.ms': ('lite',)}


class Runner(Protocol):
    """Runs an exported file.

    Attributes:
        metadata: What the file says about itself.
    """

    metadata: Metadata

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return the output for an input, both as the metadata say."""


def open_file(path: str | Path, runtime: str, device: str) -> Runner:
    """Open an exported file.

    Args:
        path: A .mindir, .onnx or .ms file.
        runtime: One of `RUNTIMES`; ``auto`` goes by the suffix: MindSpore for .mindir, MindSpore
            Lite where that is not installed.
        device: See `msseg.utils.device_name.parse_device`.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: What runs it is not installed.
        ValueError: An unknown format or runtime, a damaged file, or one without metadata.
    """
    path = Path(path)
    if runtime not in RUNTIMES:
        raise ValueError(
            f'runtime is {runtime!r}, expected one of {list(RUNTIMES)}.'
            f'{did_you_mean(str(runtime), RUNTIMES)}'
        )
    able = _SUFFIXES.get(path.suffix.lower())
    if able is None:
        raise ValueError(
            f'{path}: an exported file ends in one of {list(_SUFFIXES)}, this one in '
            f'{path.suffix!r}; make one with tools/export.py'
        )
    if not path.is_file():
        raise FileNotFoundError(f'{path}: there is no such file')
    if runtime == 'auto':
        runtime = next((name for name in able if find_spec(name) is not None), able[-1])
    if runtime not in able:
        raise ValueError(f'{path}: {runtime} does not run {path.suffix} files, but {able[0]} does')
    if runtime == 'onnxruntime':
        from msseg.deploy.onnx_runner import OnnxRunner

        return OnnxRunner(path, device)
    if runtime == 'mindspore':
        from msseg.deploy.mindir_runner import MindIRRunner

        return MindIRRunner(path, device)
    from msseg.deploy.lite_runner import LiteRunner

    return LiteRunner(path, device)

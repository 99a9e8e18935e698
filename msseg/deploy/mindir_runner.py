"""MindIR files through MindSpore."""

from __future__ import annotations

from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.deploy.sidecar import read_sidecar
from msseg.utils.device import setup_device

_PRODUCER = b'MindSpore'  # stands at the beginning of every file


class MindIRRunner:
    """Runs a MindIR file.

    Args:
        path: The file.
        device: See `setup_device`.

    Raises:
        FileNotFoundError: There are no metadata beside it.
        ValueError: It is no MindIR or damaged, or the device is not there.
    """

    def __init__(self, path: Path, device: str = 'auto') -> None:
        self._path = path
        self.metadata = read_sidecar(path)
        with path.open('rb') as file:
            is_mindir = _PRODUCER in file.read(64)
        if not is_mindir:
            raise ValueError(f'{path}: is no MindIR file; copy or export it again')
        setup_device(device)
        try:
            self._network = nn.GraphCell(ms.load(str(path)))
        except RuntimeError as error:
            raise ValueError(f'{path}: {_refusal("load", error)}') from None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network."""
        try:
            return self._network(ms.Tensor(batch)).asnumpy()
        except RuntimeError as error:
            raise ValueError(f'{self._path}: {_refusal("run", error)}') from None


def _refusal(what: str, error: RuntimeError) -> str:
    return (
        f'MindSpore {ms.__version__} cannot {what} it ({str(error).splitlines()[0]}); copy or '
        'export it again'
    )

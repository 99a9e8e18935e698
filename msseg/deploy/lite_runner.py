"""MindIR and .ms files through MindSpore Lite."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msseg.deploy.sidecar import read_sidecar
from msseg.utils.device_name import parse_device

_TARGETS = {'auto': 'cpu', 'CPU': 'cpu', 'GPU': 'gpu', 'Ascend': 'ascend'}


class LiteRunner:
    """Runs a file with MindSpore Lite's ``Model``.

    Args:
        path: A .ms file, or a .mindir file of a version that the installed Lite reads.
        device: See `parse_device`; ``auto`` is the CPU.

    Raises:
        FileNotFoundError: There are no metadata beside it.
        ImportError: MindSpore Lite is not installed.
        ValueError: Lite cannot read the file, or an unknown device.
    """

    def __init__(self, path: Path, device: str = 'auto') -> None:
        self.metadata = read_sidecar(path)
        name, number = parse_device(device)
        try:
            import mindspore_lite as lite
        except ImportError as error:
            raise ImportError(
                f"running {path} needs MindSpore Lite, the package 'mindspore_lite' that "
                'MindSpore publishes for each platform'
            ) from error
        context = lite.Context()
        context.target = [_TARGETS[name]]
        if number is not None and name != 'CPU':
            getattr(context, _TARGETS[name]).device_id = number
        kind = lite.ModelType.MINDIR_LITE if path.suffix == '.ms' else lite.ModelType.MINDIR
        self._model = lite.Model()
        try:
            self._model.build_from_file(str(path), kind, context)
        except RuntimeError as error:
            raise ValueError(
                f'{path}: MindSpore Lite cannot load it ({str(error).splitlines()[0]}); convert it '
                'with the converter of the same version'
            ) from None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network."""
        inputs = self._model.get_inputs()
        if list(inputs[0].shape) != list(batch.shape):
            self._model.resize(inputs, [list(batch.shape)])
        inputs[0].set_data_from_numpy(batch)
        return self._model.predict(inputs)[0].get_data_to_numpy()

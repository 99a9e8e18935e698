"""ONNX files through ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from msseg.deploy.metadata import Metadata
from msseg.utils.device_name import parse_device
from msseg.utils.extras import import_extra

_PROVIDERS = {'CPU': 'CPUExecutionProvider', 'GPU': 'CUDAExecutionProvider',
              'Ascend': 'CANNExecutionProvider'}  # fmt: skip


class OnnxRunner:
    """Runs an ONNX file.

    Args:
        path: The file.
        device: See `parse_device`; ``auto`` takes the first that this ONNX Runtime has.

    Raises:
        ImportError: ONNX Runtime is not installed.
        ValueError: The file is no ONNX model or damaged, has no metadata, or the device is not
            there.
    """

    def __init__(self, path: Path, device: str = 'CPU') -> None:
        runtime = import_extra('onnxruntime', 'onnx', f'running {path}')
        providers = _providers(device, runtime.get_available_providers())
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # Buffers are kept from image to image, but are not laid out in one block for a whole run:
        # that took half the memory more, and no less time.
        options.enable_mem_pattern = False
        # Probabilities below 1e-38, which OCR's softmax over all pixels has many of, made products
        # ten times slower.
        options.add_session_config_entry('session.set_denormal_as_zero', '1')
        if os.environ.get('OMP_NUM_THREADS', '').isdigit():  # which MindSpore obeys too
            options.intra_op_num_threads = int(os.environ['OMP_NUM_THREADS'])
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=providers)
        except _errors() as error:
            raise ValueError(
                f'{path}: is no ONNX model, or was cut short ({_first_line(error)}); copy or '
                'export it again'
            ) from None
        properties = self._session.get_modelmeta().custom_metadata_map
        self.metadata = Metadata.from_properties(properties, str(path))

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network."""
        (result,) = self._session.run(None, {self.metadata.input.name: batch})
        return result


def _providers(device: str, available: list[str]) -> list[str | tuple[str, dict]]:
    chosen, number = parse_device(device)
    if chosen == 'auto':
        chosen = next(name for name in reversed(_PROVIDERS) if _PROVIDERS[name] in available)
    if _PROVIDERS.get(chosen) not in available:
        there = [name for name, provider in _PROVIDERS.items() if provider in available]
        raise ValueError(f'device is {device!r}, but this ONNX Runtime has {there}')
    provider = _PROVIDERS[chosen]
    return [provider if number is None or chosen == 'CPU' else (provider, {'device_id': number})]


def _errors() -> tuple[type[Exception], ...]:
    # They have no base class of their own.
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ('Fail', 'InvalidArgument', 'InvalidGraph', 'InvalidProtobuf', 'NoModel',
             'NoSuchFile', 'NotImplemented', 'RuntimeException')  # fmt: skip
    return tuple(getattr(state, name) for name in names)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

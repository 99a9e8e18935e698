"""Runners of exported files: ONNX Runtime, MindSpore and MindSpore Lite."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from msseg.deploy.metadata import Metadata, read_sidecar
from msseg.utils.device_name import parse_device
from msseg.utils.errors import UserFileNotFoundError, UserValueError, check_one_of
from msseg.utils.extras import import_extra

RUNTIMES = ('auto', 'mindspore', 'onnxruntime', 'lite')
_BY_SUFFIX = {'.mindir': ('mindspore', 'lite'), '.onnx': ('onnxruntime',), '.ms': ('lite',)}
_PROVIDERS = {'CPU': 'CPUExecutionProvider', 'GPU': 'CUDAExecutionProvider',
              'Ascend': 'CANNExecutionProvider'}  # fmt: skip
_LITE_TARGETS = {'auto': 'cpu', 'CPU': 'cpu', 'GPU': 'gpu', 'Ascend': 'ascend'}
_MINDIR_PRODUCER = b'MindSpore'  # in the first bytes of every MindIR file
_AGAIN = 'copy or export it again'


class Runner(Protocol):
    """A callable that runs an exported file.

    Attributes:
        metadata: The file's description of its input and output.
    """

    metadata: Metadata

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Return the output for an input, both as the metadata describe them."""


def open_file(path: str | Path, runtime: str, device: str) -> Runner:
    """Open an exported file.

    Args:
        path: A .mindir, .onnx or .ms file.
        runtime: One of `RUNTIMES`; ``auto`` chooses by the suffix: MindSpore for .mindir, MindSpore
            Lite where MindSpore is not installed.
        device: See `msseg.utils.device_name.parse_device`.

    Raises:
        FileNotFoundError: The file or its metadata do not exist.
        ImportError: The runtime is not installed.
        ValueError: An unknown format, runtime or device, a damaged file, or one without metadata.
    """
    path = Path(path)
    check_one_of('runtime', runtime, RUNTIMES)
    able = _BY_SUFFIX.get(path.suffix.lower())
    if able is None:
        raise UserValueError(
            f'an exported file ends in one of {list(_BY_SUFFIX)}, this one in {path.suffix!r}',
            file=str(path),
            advice='make one with msseg export',
        )
    if not path.is_file():
        raise UserFileNotFoundError('there is no such file', file=str(path))
    if runtime == 'auto':
        runtime = next((name for name in able if find_spec(name) is not None), able[-1])
    if runtime not in able:
        problem = f'{runtime} does not run {path.suffix} files, but {able[0]} does'
        raise UserValueError(problem, file=str(path))
    return _RUNNERS[runtime](path, device)


class OnnxRunner:
    """A runner of ONNX files; the device ``auto`` is the best one that ONNX Runtime has here."""

    def __init__(self, path: Path, device: str) -> None:
        runtime = import_extra('onnxruntime', 'onnx', f'running {path}')
        providers = _providers(device, runtime.get_available_providers())
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        # A memory layout planned for a whole run took half the memory more, and no less time.
        options.enable_mem_pattern = False
        # Probabilities below 1e-38, which OCR's softmax over all pixels has many of, made products
        # ten times slower.
        options.add_session_config_entry('session.set_denormal_as_zero', '1')
        if os.environ.get('OMP_NUM_THREADS', '').isdigit():  # which MindSpore obeys too
            options.intra_op_num_threads = int(os.environ['OMP_NUM_THREADS'])
        try:
            self._session = runtime.InferenceSession(str(path), options, providers=providers)
        except _onnx_errors() as error:
            line = (str(error).splitlines() or [type(error).__name__])[0]
            problem = f'is no ONNX model, or was cut short ({line})'
            raise UserValueError(problem, file=str(path), advice=_AGAIN) from None
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
    provider = _PROVIDERS[chosen]
    if provider not in available:
        there = [name for name, each in _PROVIDERS.items() if each in available]
        problem = f'device is {device!r}, but this ONNX Runtime has {there}'
        raise UserValueError(problem, key='device', got=device)
    return [provider if number is None or chosen == 'CPU' else (provider, {'device_id': number})]


def _onnx_errors() -> tuple[type[Exception], ...]:
    """Return ONNX Runtime's errors about files, which have no common base class."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    names = ('Fail', 'InvalidArgument', 'InvalidGraph', 'InvalidProtobuf', 'NoModel',
             'NoSuchFile', 'NotImplemented', 'RuntimeException')  # fmt: skip
    return tuple(getattr(state, name) for name in names)


class MindIRRunner:
    """A runner of MindIR files through MindSpore."""

    def __init__(self, path: Path, device: str) -> None:
        self._path = path
        self.metadata = read_sidecar(path)
        with path.open('rb') as file:
            if _MINDIR_PRODUCER not in file.read(64):
                raise UserValueError('is no MindIR file', file=str(path), advice=_AGAIN)
        # imported here, so that other files are run without MindSpore
        import mindspore as ms

        from msseg.utils.device import setup_device

        setup_device(device)
        self._ms = ms
        try:
            self._network = ms.nn.GraphCell(ms.load(str(path)))
        except RuntimeError as error:
            raise self._refusal('load', error) from None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network."""
        try:
            return self._network(self._ms.Tensor(batch)).asnumpy()
        except RuntimeError as error:
            raise self._refusal('run', error) from None

    def _refusal(self, what: str, error: RuntimeError) -> UserValueError:
        cause = str(error).splitlines()[0]
        problem = f'MindSpore {self._ms.__version__} cannot {what} it ({cause})'
        return UserValueError(problem, file=str(self._path), advice=_AGAIN)


class LiteRunner:
    """A runner of .ms files, and of MindIR files that the installed MindSpore Lite can read."""

    def __init__(self, path: Path, device: str) -> None:
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
        context.target = [_LITE_TARGETS[name]]
        if number is not None and name != 'CPU':
            getattr(context, _LITE_TARGETS[name]).device_id = number
        kind = lite.ModelType.MINDIR_LITE if path.suffix == '.ms' else lite.ModelType.MINDIR
        self._model = lite.Model()
        try:
            self._model.build_from_file(str(path), kind, context)
        except RuntimeError as error:
            raise UserValueError(
                f'MindSpore Lite cannot load it ({str(error).splitlines()[0]})',
                file=str(path),
                advice='convert it with the converter of the same version',
            ) from None

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        """Run the network."""
        inputs = self._model.get_inputs()
        if list(inputs[0].shape) != list(batch.shape):
            self._model.resize(inputs, [list(batch.shape)])
        inputs[0].set_data_from_numpy(batch)
        return self._model.predict(inputs)[0].get_data_to_numpy()


_RUNNERS: dict[str, Callable[[Path, str], Runner]] = {
    'onnxruntime': OnnxRunner,
    'mindspore': MindIRRunner,
    'lite': LiteRunner,
}

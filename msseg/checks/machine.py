"""What of a machine msseg depends on: versions, devices, memory, disk, caches.

Neither MindSpore nor another requirement is imported by this process: each may be what is wrong.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from msseg.config.own_configs import list_configs, own_folder
from msseg.utils.cli import QUIET
from msseg.utils.shown import shorten
from msseg.version import __version__

_PACKAGE = Path(__file__).parents[1]
_DEVICES = ('CPU', 'GPU', 'Ascend')
_PATIENCE_S = 180
_GIB = 2**30
_LEAST_FREE_GIB = 2
# what runs in a process of its own, as a driver may hang or end it
_PROBE = """
import json, logging, sys, time
logging.disable(logging.WARNING)
import mindspore as ms
import numpy as np
device = sys.argv[1]
place = getattr(ms.device_context, device.lower())
found = {'version': ms.__version__, 'available': place.is_available()}
if found['available']:
    found['count'] = 1 if device == 'CPU' else place.device_count()
    ms.set_device(device)
    start = time.perf_counter()
    one = ms.Tensor(np.ones((1, 3, 16, 16), np.float32))
    value = ms.ops.conv2d(one, ms.Tensor(np.ones((2, 3, 3, 3), np.float32))).asnumpy()
    found['right'] = bool((value == 27).all())
    found['seconds'] = time.perf_counter() - start
print('FOUND' + json.dumps(found))
"""
# packages with libraries of their own, by their names; and what imports them
_COMPILED = {
    'numpy': 'numpy',
    'opencv-python': 'cv2',
    'matplotlib': 'matplotlib.image',
    'onnx': 'onnx',
    'onnxruntime': 'onnxruntime',
    'rasterio': 'rasterio',
}
_IMPORT_PROBE = """
import importlib, importlib.util, json, sys
broken = {}
for name, module in json.loads(sys.argv[1]).items():
    if importlib.util.find_spec(module.partition('.')[0]):
        try:
            importlib.import_module(module)
        except Exception as error:
            broken[name] = str(error).partition('\\n')[0]
print('FOUND' + json.dumps(broken))
"""
# Beginnings of the names of libraries: what they belong to.
_OWNERS = {
    'libcuda.': 'the NVIDIA driver',
    'libnvidia': 'the NVIDIA driver',
    'libcudnn': 'cuDNN 8',
    'libcu': 'CUDA 11',
    'libnvrtc': 'CUDA 11',
    'libnccl': 'NCCL',
    'libmpi': 'Open MPI',
    'libascend_hal': 'the Ascend driver',
}
_OWNER_OF_OTHERS = {'GPU': 'CUDA 11', 'Ascend': 'CANN (source its set_env.sh)'}
_VARIABLES = (
    'MSSEG_', 'MS_', 'GLOG_', 'ASCEND_', 'CUDA_', 'OMP_', 'ONEDNN_', 'OPENBLAS_', 'MKL_',
    'LD_LIBRARY_PATH', 'DEVICE_ID', 'RANK_',
)  # fmt: skip


@dataclass
class Report:
    """Lines to show, and what is wrong.

    Attributes:
        lines: The page.
        problems: Sentences, each with what to do.
        devices: By device what was found of it, in words.
        cards: By device that works the number of cards.
    """

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    devices: dict[str, str] = field(default_factory=dict)
    cards: dict[str, int] = field(default_factory=dict)

    def add(self, title: str, rows: Mapping[str, str]) -> None:
        """Append a part with a title and named rows."""
        width = max(map(len, rows), default=0)
        self.lines += ['', title, *(f'  {name:{width}}  {text}' for name, text in rows.items())]

    def text(self) -> str:
        """Return the page, the problems last."""
        found = [f'  - {problem}' for problem in self.problems] or ['  none']
        return '\n'.join([*self.lines, '', 'problems', *found])


def examine_machine(folder: str | Path = '.') -> Report:
    """Return what a page shows of this machine.

    Args:
        folder: Where results will be written.
    """
    report = Report()
    report.lines += [
        f'msseg {__version__} in {_PACKAGE}',
        f'Python {platform.python_version()} ({sys.executable}), {platform.platform()}',
        f'{len(list_configs())} configs in {own_folder()}',
    ]
    _add_packages(report)
    _add_devices(report)
    _add_resources(report, Path(folder))
    _add_caches(report)
    found = {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(_VARIABLES) and QUIET.get(name) != value
    }
    report.add('environment variables', found or {'none': ''})
    if not list_configs():
        report.problems.append(f'there are no configs in {own_folder()}: install msseg again')
    return report


# ------------------------------------------------------------------ packages


def _add_packages(report: Report) -> None:
    rows, broken = {}, find_broken_imports()
    for requirement, extras in read_requirements().values():
        name = requirement.name
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = _version_of_twin(name)
        if version is None and extras:
            rows[name] = f"not installed; pip install 'msseg[{extras[0]}]'"
        elif version is None:
            rows[name] = 'not installed'
            report.problems.append(f"{name} is not installed: pip install '{requirement}'")
        elif not requirement.specifier.contains(version, prereleases=True):
            rows[name] = f'{version}, expected {requirement.specifier}'
            report.problems.append(f"{name} is {rows[name]}: pip install '{requirement}'")
        elif name in broken:
            rows[name] = f'{version}, does not import: {broken[name]}'
            report.problems.append(f'{name} does not import: {broken[name]}')
        else:
            rows[name] = version
    report.add('packages', rows)


def read_requirements() -> dict[str, tuple[Requirement, list[str]]]:
    """Return msseg's requirements by name, each with the extras that need it; [] for the core.

    They are those of the installed package, or of a checkout that is not installed.
    """
    try:
        lines = importlib.metadata.requires('msseg') or []
    except importlib.metadata.PackageNotFoundError:
        file = _PACKAGE.parent / 'requirements.txt'
        lines = file.read_text(encoding='utf-8').splitlines() if file.is_file() else []
    found: dict[str, tuple[Requirement, list[str]]] = {}
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # a comment
            continue
        marker = str(requirement.marker or '')
        extra = marker.partition('extra == ')[2].strip('"\'')
        requirement.marker = None
        if extra in ('tests', 'docs'):
            continue
        known, extras = found.setdefault(requirement.name, (requirement, []))
        if extra:
            extras.append(extra)
    return found


def find_broken_imports() -> dict[str, str]:
    """Return the installed packages whose compiled parts do not load, and why."""
    run = subprocess.run(
        [sys.executable, '-c', _IMPORT_PROBE, json.dumps(_COMPILED)],
        capture_output=True,
        text=True,
        errors='replace',
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith('FOUND')]
    return json.loads(lines[-1].removeprefix('FOUND')) if lines else {}


def _version_of_twin(name: str) -> str | None:
    """Return the version of OpenCV without windows, which replaces the one with them."""
    twins = ('opencv-python-headless', 'opencv-contrib-python', 'opencv-contrib-python-headless')
    for twin in twins if name == 'opencv-python' else ():
        try:
            return importlib.metadata.version(twin)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


# ------------------------------------------------------------------- devices


def _add_devices(report: Report) -> None:
    with ThreadPoolExecutor(len(_DEVICES)) as pool:
        found = dict(zip(_DEVICES, pool.map(_examine, _DEVICES), strict=True))
    plugins = _plugin_folder()
    rows = {}
    for device, (answer, problem) in found.items():
        if answer is None:
            rows[device] = problem
        elif not answer['available']:
            rows[device] = f'not available: {_why_not(device, plugins)}'
        elif not answer['right']:
            problem = 'a convolution gives wrong numbers'
            rows[device] = problem
        else:
            report.cards[device] = answer['count']
            cards = '' if device == 'CPU' else f'{answer["count"]} cards, '
            rows[device] = f'works: {cards}a convolution in {answer["seconds"]:.2f} s'
        if problem:
            report.problems.append(f'{device}: {problem}')
    if all(problem and answer is None for answer, problem in found.values()):
        report.problems[-len(_DEVICES) :] = [f'MindSpore cannot be used: {found["CPU"][1]}']
        rows = {'MindSpore': f'cannot be used: {found["CPU"][1]}'}
    report.devices |= rows
    for command in (['nvidia-smi', '-L'], ['npu-smi', 'info', '-l']):
        rows[command[0]] = _first_lines(command)
    report.add('devices', rows)


def _examine(device: str) -> tuple[dict | None, str]:
    """Return what the probe found of a device, or None and why it found nothing."""
    with tempfile.TemporaryDirectory() as folder:  # MindSpore may write reports where it runs
        try:
            run = subprocess.run(
                [sys.executable, '-c', _PROBE, device],
                capture_output=True,
                text=True,
                errors='replace',
                timeout=_PATIENCE_S,
                cwd=folder,
                env={**os.environ, 'GLOG_v': '3'},
            )
        except subprocess.TimeoutExpired:
            return None, f'no answer within {_PATIENCE_S} s'
    for line in run.stdout.splitlines():
        if line.startswith('FOUND'):
            return json.loads(line.removeprefix('FOUND')), ''
    lines = [line.strip() for line in run.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.partition(':')[0].endswith(('Error', 'Exception'))]
    last = (errors or lines or [f'the process ended with status {run.returncode}'])[-1]
    return None, shorten(last, 300)


def _plugin_folder() -> Path | None:
    found = importlib.util.find_spec('mindspore')
    places = (found and found.submodule_search_locations) or ()
    return next((Path(place) / 'lib' / 'plugin' for place in places), None)


def _why_not(device: str, folder: Path | None) -> str:
    """Return which libraries the plugin of a device lacks, by the dynamic linker."""
    plugins = sorted((folder or Path('.')).glob(f'libmindspore_{device.lower()}.so*'))
    if folder is None or not plugins:
        return 'this MindSpore has no plugin for it'
    if shutil.which('ldd') is None:
        return f'its plugin {plugins[-1].name} does not load (ldd, which says why, is not here)'
    plugin = plugins[-1]
    run = subprocess.run(['ldd', str(plugin)], capture_output=True, text=True, errors='replace')
    lines = [line.split() for line in run.stdout.splitlines() if 'not found' in line]
    # its neighbours are found once it loads
    own = {path.name for path in folder.parent.rglob('lib*.so*')}
    missing = sorted({words[0] for words in lines} - own)
    if not missing:
        return f'{plugin.name} has its libraries, but finds no card'
    owners: dict[str, list[str]] = {}
    for name in missing:
        owner = next((o for start, o in _OWNERS.items() if name.startswith(start)), None)
        owners.setdefault(owner or _OWNER_OF_OTHERS[device], []).append(name)
    parts = (f'{owner}: {_some(names)}' for owner, names in owners.items())
    return f'{plugin.name} lacks {"; ".join(parts)}'


def _some(names: list[str]) -> str:
    return ', '.join(names[:2]) + (f' and {len(names) - 2} more' if names[2:] else '')


def _first_lines(command: list[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors='replace', timeout=30)
    except FileNotFoundError:
        return 'not on this machine'
    except (OSError, subprocess.TimeoutExpired) as error:
        return f'fails: {error}'
    text = (run.stdout or run.stderr).strip()
    return ' | '.join(line.strip() for line in text.splitlines()[:8]) or 'says nothing'


# ---------------------------------------------------- memory, disks and caches


def _add_resources(report: Report, folder: Path) -> None:
    places = {
        'working folder': folder.resolve(),
        'MSSEG_HOME': home(),
        'temporary files': Path(tempfile.gettempdir()),
    }
    threads = os.environ.get('OMP_NUM_THREADS')
    usable = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()
    rows = {
        'processors': f'{usable}' + (f', OMP_NUM_THREADS={threads}' if threads else ''),
        'memory': _memory(report),
    }
    for name, place in places.items():
        existing = next(p for p in (place, *place.parents) if p.exists())
        free = shutil.disk_usage(existing).free / _GIB
        notes = [] if os.access(existing, os.W_OK) else ['cannot be written to']
        notes += [] if place.exists() else ['does not exist yet']
        rows[name] = f'{free:.1f} GiB free in {place}' + ''.join(f', {note}' for note in notes)
        if free < _LEAST_FREE_GIB:
            report.problems.append(f'{name} {place} has only {free:.1f} GiB left')
        if not os.access(existing, os.W_OK):
            report.problems.append(f'{name} {place} cannot be written to')
    report.add('resources', rows)


def _memory(report: Report) -> str:
    try:
        import psutil
    except ImportError as error:
        return f'not known: {error}'
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    free = memory.available / _GIB
    if free < _LEAST_FREE_GIB:
        report.problems.append(f'only {free:.1f} GiB of memory are free')
    return f'{free:.1f} GiB free of {memory.total / _GIB:.1f} GiB, swap {swap.total / _GIB:.1f} GiB'


def home() -> Path:
    """Return the folder of downloaded weights."""
    return Path(os.environ.get('MSSEG_HOME') or Path.home() / '.cache' / 'msseg')


def _add_caches(report: Report) -> None:
    is_on = os.environ.get('MS_COMPILER_CACHE_ENABLE') == '1'
    folder = Path(os.environ.get('MS_COMPILER_CACHE_PATH') or '.').resolve()
    own = list(folder.glob('msseg-*')) if is_on else []
    size = sum(file.stat().st_size for each in own for file in _files(each))
    if is_on:
        state = f'on, {len(own)} graphs of msseg, {size / _GIB:.2f} GiB in {folder}'
    else:
        state = 'off; MS_COMPILER_CACHE_ENABLE=1 and MS_COMPILER_CACHE_PATH=FOLDER switch it on'
    weights = [file for file in _files(home()) if file.suffix in ('.pth', '.ckpt', '.safetensors')]
    size = sum(file.stat().st_size for file in weights)
    kept = f'{len(weights)} files, {size / _GIB:.2f} GiB'
    report.add('caches', {'compiled graphs': state, 'weights': kept})


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob('*') if path.is_file()) if folder.is_dir() else iter(())

"""The device: choose it, seed it, describe it, and keep its compile cache apart."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing.util
import os
import platform
import random
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import mindspore as ms
import numpy as np
from mindspore import context

from msseg.utils.arguments import Seed, checked
from msseg.utils.device_name import parse_device
from msseg.utils.device_settings import apply_device_settings
from msseg.utils.launchers import find_place
from msseg.utils.logging import get_logger
from msseg.utils.user_code import REPORT_FOLDER
from msseg.version import __version__

_CACHE_PATH = 'MS_COMPILER_CACHE_PATH'
_CACHE_SWITCH = 'MS_COMPILER_CACHE_ENABLE'


def setup_device(
    device: str = 'auto',
    device_id: int | None = None,
    launcher: str = 'none',
    settings: Mapping[str, Any] | None = None,
    deterministic: bool = False,
) -> str:
    """Choose the device that everything after this call runs on, in graph mode.

    Args:
        device: See `parse_device`; ``auto`` takes Ascend, else GPU, else CPU, and logs why not a
            card whose plugin MindSpore has.
        device_id: Number of the card, unless `device` has it; the framework's choice by default.
        launcher: What started this process, see `init_dist`; several take a card each.
        settings: A config's ``device``, see `apply_device_settings`.
        deterministic: Ask for kernels whose results repeat exactly. Sums over devices do so too if
            this precedes `init_dist`.

    Returns:
        The device's name.
    """
    place = find_place(launcher)
    name, number = parse_device(device)
    if number is not None and device_id not in (None, number):
        raise ValueError(f'device is {device!r}, but the number of the card is {device_id}')
    device, device_id = name, number if device_id is None else device_id
    if launcher != 'none' and device_id is not None:
        raise ValueError(
            f'the number of the card is {device_id}, but with --launcher {launcher} each process '
            'takes its own card: leave it out; ASCEND_RT_VISIBLE_DEVICES or '
            'CUDA_VISIBLE_DEVICES in the environment chooses among the cards'
        )
    _choose_cpu_kernels()
    # Otherwise the graph compiler writes its failure reports to rank_0/ in the current folder; this
    # folder is removed when the process ends.
    os.environ.setdefault(REPORT_FOLDER, multiprocessing.util.get_temp_dir())
    if place.is_scheduler:
        device = 'CPU'  # it computes nothing and must not occupy a card
    elif device == 'auto':
        device = _choose_device()
    elif device != 'CPU' and (reason := _why_absent(device)):
        raise ValueError(
            f'device {device!r} is not available to this MindSpore ({ms.__version__}): {reason}; '
            f'see docs/{device.lower()}.md, or use --device CPU'
        )
    if launcher != 'none' and device != 'CPU':
        device_id = place.device_id
        _check_number(device, device_id or 0)
    ms.set_context(mode=ms.GRAPH_MODE)
    _set_device(device, None if device == 'CPU' else device_id)
    # HRNet's graphs nest deeper than the framework's default of 1000 calls.
    ms.set_recursion_limit(10000)
    if isinstance(settings, Mapping):  # PyTorch's configs have a name
        apply_device_settings(**settings)
    else:
        apply_device_settings()
    if deterministic:
        _repeat_exactly()
    return device


@checked
def set_seed(seed: Seed, deterministic: bool = False) -> None:
    """Seed Python, numpy and the framework.

    Args:
        seed: The seed.
        deterministic: Also ask the framework for kernels whose results repeat exactly.
    """
    random.seed(seed)
    np.random.seed(seed)
    ms.set_seed(seed)
    if deterministic:
        _repeat_exactly()


def _repeat_exactly() -> None:
    if ms.get_context('deterministic') != 'ON':  # MindSpore refuses it a second time
        ms.set_deterministic(True)


def _set_device(device: str, device_id: int | None) -> None:
    before = ms.get_context('device_target')
    try:
        ms.set_device(device) if device_id is None else ms.set_device(device, device_id)
    except RuntimeError as error:
        # Refused once anything has run; that is fine if it ran on this device.
        if device_id is not None or device != before:
            raise ValueError(
                f'device {device!r} cannot be chosen any more, this process has computed on '
                f'{before} already: choose it first'
            ) from error


def _choose_device() -> str:
    for name in ('Ascend', 'GPU'):
        reason = _why_absent(name)
        if not reason:
            return name
        if _has_hardware(name):
            get_logger().warning(
                '--device auto takes no %s: %s; see docs/%s.md', name, reason, name.lower()
            )
    return 'CPU'


def _why_absent(device: str) -> str:
    """Return why MindSpore cannot use a kind of card; empty if it can."""
    # Asking for an absent device logs a warning and the plugin's loading error.
    logging.disable(logging.WARNING)
    try:
        cards = getattr(ms.device_context, device.lower())
        if cards.is_available():
            return '' if cards.device_count() > 0 else 'no card is visible, the driver sees none'
    except RuntimeError as error:  # of the driver, while it counts
        return f'the cards cannot be counted ({str(error).splitlines()[0]})'
    finally:
        logging.disable(logging.NOTSET)
    plugins = Path(ms.__file__).parent.glob(f'lib/plugin/libmindspore_{device.lower()}.so*')
    lacks = {path.name: _missing_libraries(path) for path in sorted(plugins)}
    if not lacks:
        return f'this build has no plugin for {device}'
    nearest = min(lacks, key=lambda name: len(lacks[name]))
    return f'its {nearest} does not find {", ".join(lacks[nearest]) or "its device"}'


def _missing_libraries(library: Path) -> list[str]:
    """Return the names of libraries that a library needs and the loader does not find."""
    if shutil.which('ldd') is None:
        return ['libraries that it needs']
    run = subprocess.run(['ldd', str(library)], capture_output=True, text=True, check=False)
    lines = [line.split() for line in run.stdout.splitlines() if line.endswith('=> not found')]
    return list(dict.fromkeys(words[0] for words in lines))


def _has_hardware(device: str) -> bool:
    """Whether the system has the driver's device files of a kind of card."""
    patterns = {'Ascend': ['davinci[0-9]*'], 'GPU': ['nvidia[0-9]*', 'dxg']}[device]
    return any(True for pattern in patterns for _ in Path('/dev').glob(pattern))


def _check_number(device: str, device_id: int) -> None:
    count = getattr(ms.device_context, device.lower()).device_count()
    if device_id >= count:
        raise ValueError(
            f'this process is to use {device} number {device_id}, but there are {count} here '
            f'(counted from 0): start at most {count} processes on this machine'
        )


def _choose_cpu_kernels() -> None:
    # MindSpore 2.9 and 2.10 on a CPU with AVX-512 run 3x3 convolutions through a reference kernel,
    # a hundred times slower than with AVX2. Read when the first operator runs.
    if ms.__version__.startswith(('2.9.', '2.10.')) and 'ONEDNN_MAX_CPU_ISA' not in os.environ:
        os.environ['ONEDNN_MAX_CPU_ISA'] = 'AVX2'
        get_logger().info('ONEDNN_MAX_CPU_ISA=AVX2 set: MindSpore %s needs it', ms.__version__)


def collect_versions() -> dict[str, str]:
    """Return the versions that a result depends on, by name."""
    return {
        'msseg': __version__,
        'mindspore': ms.__version__,
        'numpy': np.__version__,
        'opencv': cv2.__version__,
        'python': platform.python_version(),
    }


def describe_environment(device: str) -> str:
    """Return a line on versions, system and device for the log."""
    versions = ', '.join(f'{name} {version}' for name, version in collect_versions().items())
    return f'{versions}; {platform.platform()}, {os.cpu_count()} processors, device {device}'


def separate_compile_cache(*parts: object) -> Path | None:
    """Give this process its own folder in the compile cache, if that is switched on.

    MindSpore 2.8 numbers cached graphs in the order in which a process compiles them and loads them
    by number, regardless of network, optimizer and settings: with another momentum, the old one
    would silently be used. Call this before the first graph.

    Args:
        parts: All that the graphs and their order depend on, such as the command and the config.
            Versions, this package's source and the device are added.

    Returns:
        The folder, None if the cache is off.
    """
    if not _has_compile_cache():
        return None
    base = Path(os.environ.get(_CACHE_PATH) or ms.get_context('compile_cache_path') or '.')
    if base.name.startswith('msseg-'):
        base = base.parent
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parents[1].rglob('*.py')):
        digest.update(source.read_bytes())
    own = (ms.get_context('device_target'), ms.get_context('mode'), context.get_jit_config())
    for part in (ms.__version__, *own, *parts):
        digest.update(f'{part}\0'.encode())
    folder = base / f'msseg-{digest.hexdigest()[:16]}'
    os.environ[_CACHE_PATH] = str(folder)
    get_logger().info('compiled graphs are kept in %s', folder)
    return folder


def switch_off_compile_cache() -> None:
    """Switch the compile cache off for this process.

    For programs that compile graphs in an order that depends on their input: see
    `separate_compile_cache`.
    """
    if _has_compile_cache():
        os.environ[_CACHE_SWITCH] = '0'
        get_logger().info('the compile cache is off: which graphs are needed depends on the images')


def _has_compile_cache() -> bool:
    enabled = os.environ.get(_CACHE_SWITCH)
    return enabled == '1' or (enabled is None and ms.get_context('enable_compile_cache'))

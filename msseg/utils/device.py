"""The device: choose it, seed it, describe it, and keep its compile cache apart."""

from __future__ import annotations

import hashlib
import logging
import multiprocessing.util
import os
import platform
import random
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np

from msseg.utils.arguments import Seed, checked
from msseg.utils.device_name import parse_device
from msseg.utils.launchers import find_place
from msseg.utils.logging import get_logger
from msseg.utils.user_code import REPORT_FOLDER
from msseg.version import __version__

_CACHE_PATH = 'MS_COMPILER_CACHE_PATH'
_CACHE_SWITCH = 'MS_COMPILER_CACHE_ENABLE'


def setup_device(device: str = 'auto', device_id: int | None = None, launcher: str = 'none') -> str:
    """Choose the device that everything after this call runs on, in graph mode.

    Args:
        device: See `parse_device`; ``auto`` takes Ascend, else GPU, else CPU.
        device_id: Number of the card, unless `device` has it; the framework's choice by default.
        launcher: What started this process, see `init_dist`; several take a card each.

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
        device = next((name for name in ('Ascend', 'GPU') if _is_present(name)), 'CPU')
    elif device != 'CPU' and not _is_present(device):
        raise ValueError(
            f'device {device!r} is not available to this MindSpore ({ms.__version__}): check the '
            'driver and the CANN or CUDA installation, or use --device CPU'
        )
    if launcher != 'none' and device != 'CPU':
        device_id = place.device_id
        _check_number(device, device_id or 0)
    ms.set_context(mode=ms.GRAPH_MODE)
    _set_device(device, None if device == 'CPU' else device_id)
    # HRNet's graphs nest deeper than the framework's default of 1000 calls.
    ms.set_recursion_limit(10000)
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


def _is_present(device: str) -> bool:
    # Asking for an absent device logs a warning and the plugin's loading error.
    logging.disable(logging.WARNING)
    try:
        return getattr(ms.device_context, device.lower()).is_available()
    finally:
        logging.disable(logging.NOTSET)


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
    for part in (ms.__version__, ms.get_context('device_target'), ms.get_context('mode'), *parts):
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

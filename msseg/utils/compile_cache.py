"""Keeping MindSpore's compile cache from giving one network the graphs of another."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import mindspore as ms

import msseg
from msseg.utils.logging import get_logger

_PATH = 'MS_COMPILER_CACHE_PATH'


def separate_compile_cache(*parts: object) -> Path | None:
    """Give this process a folder of its own in the compile cache, if that is switched on.

    MindSpore 2.8 numbers cached graphs in the order in which a process compiles them and takes them
    by number, whatever network, optimizer or settings they were compiled for: with another
    momentum, the old one would be used without a word. To be called before the first graph.

    Args:
        parts: All that the graphs and their order depend on, such as the command and the config.
            Versions, this package's source and the device are added.

    Returns:
        The folder, None when the cache is off.
    """
    enabled = os.environ.get('MS_COMPILER_CACHE_ENABLE')
    if enabled != '1' and not (enabled is None and ms.get_context('enable_compile_cache')):
        return None
    base = Path(os.environ.get(_PATH) or ms.get_context('compile_cache_path') or '.')
    if base.name.startswith('msseg-'):
        base = base.parent
    digest = hashlib.sha256(_source_digest())
    for part in (ms.__version__, ms.get_context('device_target'), ms.get_context('mode'), *parts):
        digest.update(f'{part}\0'.encode())
    folder = base / f'msseg-{digest.hexdigest()[:16]}'
    os.environ[_PATH] = str(folder)
    get_logger().info('compiled graphs are kept in %s', folder)
    return folder


def _source_digest() -> bytes:
    digest = hashlib.sha256()
    for path in sorted(Path(msseg.__file__).parent.rglob('*.py')):
        digest.update(path.read_bytes())
    return digest.digest()


def switch_off_compile_cache() -> None:
    """Compile every graph of this process anew.

    For what compiles graphs in an order that depends on its input: see `separate_compile_cache`.
    """
    enabled = os.environ.get('MS_COMPILER_CACHE_ENABLE')
    if enabled == '1' or (enabled is None and ms.get_context('enable_compile_cache')):
        os.environ['MS_COMPILER_CACHE_ENABLE'] = '0'
        get_logger().info('the compile cache is off: which graphs are needed depends on the images')

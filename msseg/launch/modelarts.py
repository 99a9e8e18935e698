"""Runs on ModelArts, whose data and results are in object storage: copies there and back."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from msseg.launch.once_per_machine import once_per_machine
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.launchers import find_place
from msseg.utils.logging import get_logger

CACHE_VARIABLE = 'MSSEG_CACHE'
_CACHE = Path('/cache')  # the local disk of ModelArts' machines
_SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Urls:
    """Places in object storage, ``obs://bucket/folder`` or another form that moxing accepts.

    Attributes:
        data: The data set's folder; None when it is on this machine.
        checkpoint: A checkpoint, or a folder of them; None when they are on this machine.
        train: The folder for results, whose content is fetched first; None keeps them here.
    """

    data: str | None = None
    checkpoint: str | None = None
    train: str | None = None


@dataclass(frozen=True)
class LocalFolders:
    """Places of the copies on this machine.

    Attributes:
        work_dir: Results, those of earlier runs included; None leaves it to the config.
        root: The folder of the other copies; None when nothing is copied.
    """

    work_dir: Path | None = None
    root: Path | None = None

    @property
    def data(self) -> Path:
        """The data set."""
        return self.root / 'data'

    @property
    def checkpoints(self) -> Path:
        """Checkpoints to start from, or to test."""
        return self.root / 'checkpoints'

    def output(self, path: str | None) -> str | None:
        """Return the path for an output, below `work_dir` so that it is copied with it."""
        if path is None or self.root is None:
            return path
        if os.path.isabs(path) or '..' in Path(path).parts:
            raise ValueError(
                f'{path!r}: with --modelarts results lie below the work dir, which is copied to '
                '--train-url; give a relative path without ..'
            )
        return str(self.work_dir / path)

    def find_checkpoint(self, name: str | None) -> str | None:
        """Return the local copy of a checkpoint; the name itself when there is no copy.

        Args:
            name: The user's name: a path on this machine, or one among the copies, or a file name.
        """
        if name is None or self.root is None or Path(name).exists():
            return name
        for folder in (self.checkpoints, self.work_dir):
            for path in (folder / name, folder / Path(name).name):
                if path.is_file():
                    return str(path)
        return name


@contextmanager
def local_copies(
    data: Mapping[str, Any],
    is_modelarts: bool,
    urls: Urls,
    work_dir: str | Path | None = None,
    launcher: str = 'none',
) -> Iterator[LocalFolders]:
    """Call `on_modelarts` there, and copy nothing elsewhere; see it for the arguments."""
    if is_modelarts:
        with on_modelarts(data, urls, work_dir, launcher) as folders:
            yield folders
    elif urls != Urls():
        raise ValueError(
            '--data-url, --checkpoint-url and --train-url are copied from and to with --modelarts; '
            'elsewhere give local paths: data_root, --load-from, --work-dir'
        )
    else:
        yield LocalFolders(Path(work_dir) if work_dir else None)


@contextmanager
def on_modelarts(
    data: Mapping[str, Any],
    urls: Urls,
    work_dir: str | Path | None = None,
    launcher: str = 'none',
) -> Iterator[LocalFolders]:
    """Copy the inputs of a run to this machine, and its results back when the block ends or fails.

    The first process of a machine copies, the others wait. Weights that a config names by an
    address are searched among the copies, too.

    Args:
        data: A config's ``data``. The ``data_root`` of its data sets, which must be the same,
            becomes the copy's folder.
        urls: What to copy.
        work_dir: Local folder for results; by default next to the other copies, in ``/cache`` or
            the folder of the environment variable ``MSSEG_CACHE``.
        launcher: See `find_place`.

    Yields:
        The local folders.
    """
    moxing = import_moxing()
    root = cache_folder()
    folders = LocalFolders(Path(work_dir) if work_dir else root / 'output', root)
    if find_place(launcher).is_scheduler:  # it neither reads nor writes
        yield folders
        return
    if urls.data is not None:
        set_data_root(data, folders.data)
    _make(root)
    has_copied = once_per_machine(root, lambda: _fetch(moxing, urls, folders))
    # where weights with an address are searched
    os.environ.setdefault('MSSEG_HOME', str(folders.checkpoints))
    try:
        yield folders
    finally:
        is_writer = get_rank() == 0 if get_world_size() > 1 else has_copied
        if is_writer and urls.train is not None:
            send_back(urls.train, folders.work_dir)


def import_moxing() -> ModuleType:
    """Import moxing; the ImportError says where it is available."""
    try:
        return importlib.import_module('moxing')
    except ImportError as error:
        raise ImportError(
            "--modelarts needs the package 'moxing', which the images of ModelArts bring along; "
            'elsewhere leave --modelarts away and give local paths'
        ) from error


def cache_folder() -> Path:
    """Return the local folder for copies."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    is_there = _CACHE.is_dir() and os.access(_CACHE, os.W_OK)
    return (_CACHE if is_there else Path(tempfile.gettempdir())) / 'msseg'


def set_data_root(data: Mapping[str, Any], folder: Path) -> None:
    """Set the ``data_root`` of every data set in a config's ``data``."""
    datasets = [node for name in _SPLITS for node in _with_data_root(data.get(name))]
    roots = sorted({str(node['data_root']) for node in datasets})
    if len(roots) != 1:
        raise ValueError(
            f'--data-url is copied to one folder, but data_root of the data sets is {roots}: give '
            'all of them the same (--cfg-options data.train.data_root=…), with img_dir and '
            'ann_dir below it'
        )
    for node in datasets:
        node['data_root'] = str(folder)


def send_back(url: str, work_dir: Path) -> None:
    """Copy results to object storage; a failure after another error is only logged."""
    moxing = import_moxing()
    failed_before = sys.exc_info()[1] is not None
    get_logger().info('copying %s to %s', work_dir, url)
    try:
        moxing.file.copy_parallel(str(work_dir), url)
    except OSError as error:
        message = f'results in {str(work_dir)!r} were not copied to --train-url {url!r}: {error}'
        if not failed_before:
            raise OSError(message) from error
        get_logger().error('%s', message)


def _make(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f'the folder for copies, {str(root)!r}, cannot be made ({error.strerror}): name '
            f'another in the environment variable {CACHE_VARIABLE}'
        ) from error


def _fetch(moxing: ModuleType, urls: Urls, folders: LocalFolders) -> None:
    wanted = (
        ('--data-url', urls.data, folders.data),
        ('--checkpoint-url', urls.checkpoint, folders.checkpoints),
    )
    for option, url, _ in wanted:
        if url is not None and not moxing.file.exists(url):
            raise FileNotFoundError(f'{option} is {url!r}, where there is nothing')
    for _, url, folder in wanted:
        if url is not None:
            _copy(moxing, url, folder)
    if urls.train is not None and moxing.file.exists(urls.train):
        _copy(moxing, urls.train, folders.work_dir)
    folders.work_dir.mkdir(parents=True, exist_ok=True)


def _copy(moxing: ModuleType, url: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    get_logger().info('copying %s to %s', url, folder)
    if moxing.file.is_directory(url):
        moxing.file.copy_parallel(url, str(folder))
    else:
        moxing.file.copy(url, str(folder / Path(url).name))


def _with_data_root(node: Any) -> Iterator[dict]:
    if isinstance(node, Mapping):
        if node.get('data_root') is not None:
            yield node
        for value in node.values():
            yield from _with_data_root(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _with_data_root(value)

"""Running on ModelArts, whose data and results are in object storage: copies there and back."""

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

from msseg.config import Config
from msseg.launch.once_per_machine import once_per_machine
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.launchers import find_place
from msseg.utils.logging import get_logger

CACHE_VARIABLE = 'MSSEG_CACHE'
_CACHE = Path('/cache')  # the local disk of ModelArts' machines
_SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Urls:
    """Where things are, ``obs://bucket/folder`` or whatever moxing takes.

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
    """Where the copies are on this machine.

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
        """Return where to write something, which is below `work_dir` to be copied with it."""
        if path is None or self.root is None:
            return path
        if os.path.isabs(path) or '..' in Path(path).parts:
            raise ValueError(
                f'{path!r}: with --modelarts results lie below the work dir, which is copied to '
                '--train-url; give a relative path without ..'
            )
        return str(self.work_dir / path)

    def find_checkpoint(self, name: str | None) -> str | None:
        """Return the local copy of a checkpoint; the name itself when there is none.

        Args:
            name: As the user names it: a path here, or one in what was copied, or a file's name.
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
    cfg: Config,
    is_modelarts: bool,
    urls: Urls,
    work_dir: str | Path | None = None,
    launcher: str = 'none',
) -> Iterator[LocalFolders]:
    """Do what `on_modelarts` does there, and elsewhere nothing; see it for the arguments.

    Raises:
        ValueError: There are URLs elsewhere.
    """
    if is_modelarts:
        with on_modelarts(cfg, urls, work_dir, launcher) as folders:
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
    cfg: Config, urls: Urls, work_dir: str | Path | None = None, launcher: str = 'none'
) -> Iterator[LocalFolders]:
    """Copy what a run needs to this machine, and its results back when the block ends or fails.

    The first process of a machine copies, its others wait. In the config, ``data_root`` of every
    data set becomes the copy's folder, and weights to start from are looked for among the copies
    (those that the config names by an address, too).

    Args:
        cfg: The config, which is changed.
        urls: What to copy.
        work_dir: Local folder for results; by default beside the other copies, in ``/cache`` or
            where the environment variable ``MSSEG_CACHE`` says.
        launcher: See `find_place`.

    Yields:
        The local folders.

    Raises:
        ImportError: moxing is not there.
        FileNotFoundError: There is nothing at a URL.
        OSError: The folder for copies cannot be made.
        ValueError: The config's data sets do not share one ``data_root``.
    """
    moxing = import_moxing()
    root = cache_folder()
    folders = LocalFolders(Path(work_dir) if work_dir else root / 'output', root)
    if find_place(launcher).is_scheduler:  # it neither reads nor writes
        yield folders
        return
    if urls.data is not None:
        set_data_root(cfg, folders.data)
    _make(root)
    has_copied = once_per_machine(root, lambda: _fetch(moxing, urls, folders))
    _find_weights(cfg, folders)
    try:
        yield folders
    finally:
        is_writer = get_rank() == 0 if get_world_size() > 1 else has_copied
        if is_writer and urls.train is not None:
            send_back(urls.train, folders.work_dir)


def import_moxing() -> ModuleType:
    """Import moxing.

    Raises:
        ImportError: It is not installed.
    """
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


def set_data_root(cfg: Config, folder: Path) -> None:
    """Make a folder the ``data_root`` of every data set of a config.

    Raises:
        ValueError: They have none, or not one and the same.
    """
    splits = [cfg.data[name] for name in _SPLITS if cfg.get('data', {}).get(name) is not None]
    datasets = [node for split in splits for node in _with_data_root(split)]
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
    """Copy results to where they are to stay.

    When that fails after an error, it is logged, for the error says more.

    Raises:
        OSError: They could not be copied.
    """
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


def _find_weights(cfg: Config, folders: LocalFolders) -> None:
    # where weights with an address are looked for
    os.environ.setdefault('MSSEG_HOME', str(folders.checkpoints))
    for key in ('load_from', 'resume_from'):
        if cfg.get(key) is not None:
            cfg[key] = folders.find_checkpoint(cfg[key])
    model = cfg.get('model') or {}
    for node in (model, model.get('backbone') or {}):
        if node.get('pretrained') is not None:
            node['pretrained'] = folders.find_checkpoint(node['pretrained'])

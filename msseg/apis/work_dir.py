"""The folder of a run: making and holding it, its config and its manifest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import mindspore as ms

from msseg.apis.train_settings import work_dir_of
from msseg.config import Config
from msseg.datasets.result_files import input_files
from msseg.utils.atomic import atomic_write_text
from msseg.utils.device import collect_versions
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.folder_lock import FolderInUseError, hold_folder
from msseg.utils.logging import get_logger
from msseg.utils.regular_file import file_kind

_HEAD = '# Resolved config of a run, written by msseg. SHA-256 of what follows: '
_MANIFEST = 'manifest.json'
_PACKAGE = Path(__file__).parents[1]
_GIT_TIMEOUT_S = 20
# A network file system answers many requests at once as fast as one.
_STAT_THREADS = 16
_SAVED_BY_RUNS = re.compile(r'(iter|epoch)_\d+\.ckpt|best_.+\.ckpt')


@contextmanager
def held_work_dir(cfg: Config, work_dir: str | Path | None) -> Iterator[Path]:
    """Yield the work dir, made and, by rank 0, locked against a second training in it.

    A separate folder for checkpoints is locked, too.

    Args:
        cfg: The config, whose ``work_dir`` is set.
        work_dir: The folder; by default the config's, or ``work_dirs/{config's name}``.

    Raises:
        OSError: The folder cannot be written, or another training holds it.
        ValueError: The run would replace a file in it that no run has written.
    """
    folder = Path(work_dir or work_dir_of(cfg) or Path('work_dirs') / _name(cfg).stem)
    cfg.work_dir = str(folder)
    if get_rank() != 0:  # rank 0 acts for the job
        yield folder
        return
    _make(folder, 'work dir', '--work-dir')
    out_dir = (cfg.get('checkpoint_config') or {}).get('out_dir')
    try:
        with ExitStack() as stack:
            stack.enter_context(hold_folder(folder))
            if out_dir and Path(out_dir).resolve() != folder.resolve():
                _make(Path(out_dir), 'folder', 'checkpoint_config.out_dir')
                stack.enter_context(hold_folder(out_dir))
            _check_manifest(folder)
            yield folder
    except FolderInUseError as error:
        raise FolderInUseError(
            f'work dir {error}: wait until it ends, or choose another with --work-dir'
        ) from None


def write_resolved_config(cfg: Config, folder: Path, timestamp: str) -> Path:
    """Write the resolved config to the work dir, under the name of its source; return the file.

    An existing file is kept when no run has written it (the source config, say) or when it was
    edited since; the resolved config then has the run's time in its name.
    """
    name = _name(cfg)
    path = folder / name
    text = cfg.dump() if cfg.filename else cfg.pretty_text
    if path.suffix != '.json':  # which has no comments
        text = f'{_HEAD}{_digest(text)}\n{text}'
    if not _is_replaceable(path, text, cfg.filename):
        path = folder / f'{name.stem}_{timestamp}{name.suffix}'
        get_logger().info('%s is kept as it is; the resolved config is %s', folder / name, path)
    atomic_write_text(path, text)
    return path


def check_start(cfg: Config, folder: Path) -> None:
    """Warn of an earlier run's checkpoints that a new run in a folder may replace.

    A run that would replace the checkpoint that it starts from is a ValueError.
    """
    source = cfg.get('load_from')
    out_dir = (cfg.get('checkpoint_config') or {}).get('out_dir') or folder
    if get_rank() == 0 and Path(out_dir).is_dir():
        _warn_of_earlier_run(Path(out_dir))
    if not isinstance(source, (str, Path)) or not _SAVED_BY_RUNS.fullmatch(Path(source).name):
        return
    if Path(source).is_file() and Path(source).resolve().parent in (
        Path(out_dir).resolve(),
        folder.resolve(),
    ):
        raise ValueError(
            f'load_from is {str(source)!r}, which this run would replace with a checkpoint of its '
            'own: choose another --work-dir, or go on with that run by --resume-from'
        )


def _warn_of_earlier_run(folder: Path) -> None:
    earlier = [path for path in folder.iterdir() if _SAVED_BY_RUNS.fullmatch(path.name)]
    if earlier:
        get_logger().warning(
            '%s holds checkpoints of an earlier run (%s%s), and those of the same name will be '
            'replaced: to keep them stop now and choose another --work-dir, or go on with that '
            'run by --auto-resume',
            folder,
            min(path.name for path in earlier),
            f' and {len(earlier) - 1} more' if earlier[1:] else '',
        )


def _name(cfg: Config) -> Path:
    return Path(Path(cfg.filename or 'config.py').name)


def _make(folder: Path, what: str, option: str) -> None:
    kind = file_kind(folder)
    if kind not in (None, 'a folder'):
        raise NotADirectoryError(
            f'{what} {str(folder)!r} is {kind}, expected a folder: choose another with {option}'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise OSError(
            f'{what} {str(folder)!r} cannot be written ({error.strerror}): choose another with '
            f'{option}'
        ) from error


def _check_manifest(folder: Path) -> None:
    path = folder / _MANIFEST
    if not path.exists():
        return
    try:
        is_own = {'config', 'versions'} <= set(json.loads(path.read_bytes()))
    except (ValueError, TypeError):
        is_own = False
    if not is_own:
        raise ValueError(
            f'{str(path)!r} was not written by a training, which would replace it: choose another '
            '--work-dir, or move it away'
        )


def _is_replaceable(path: Path, text: str, source: str | None) -> bool:
    """Whether nothing is lost when `text` is written to `path`; the source config is kept."""
    try:
        found = path.read_text(encoding='utf-8')
    except FileNotFoundError:
        return not path.is_symlink()
    except (OSError, ValueError):
        return False
    head, _, rest = found.partition('\n')
    is_own = head == f'{_HEAD}{_digest(rest)}' and not path.is_symlink()
    is_source = source is not None and Path(source).exists() and path.samefile(source)
    return found == text or (is_own and not is_source)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def collect_manifest(config: str, seed: int | None, datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the run that is starting, in plain JSON values.

    Args:
        config: Its config as text.
        seed: Its seed.
        datasets: Its data sets by split, of which the manifest has the `fingerprint`.
    """
    return {
        'config': config,
        'versions': collect_versions(),
        'seed': seed,
        'deterministic': ms.get_context('deterministic') == 'ON',
        'device': ms.get_context('device_target'),
        'world_size': get_world_size(),
        'git': read_git_state(_PACKAGE),
        'command': shlex.join(sys.argv),
        'started': time.strftime('%Y-%m-%dT%H:%M:%S%z'),
        'data': {split: fingerprint(dataset) for split, dataset in datasets.items()},
    }


def write_manifest(folder: str | Path, manifest: Mapping[str, Any]) -> Path:
    """Write a manifest to a work dir and return the file."""
    path = Path(folder) / _MANIFEST
    atomic_write_text(path, json.dumps(manifest, indent=1, ensure_ascii=False) + '\n')
    return path


def fingerprint(dataset: Any) -> dict[str, Any]:
    """Return ``samples`` and ``sha256`` of a data set, which change when the data set does.

    The digest covers names and sizes of image and label files, not their folders; it is None for a
    data set that does not list its files.
    """
    infos = getattr(dataset, 'img_infos', [])
    names = [name for info in infos if 'filename' in info for name in _names(info)]
    if len(names) < max(len(infos), 1):
        return {'samples': len(dataset), 'sha256': None}
    with ThreadPoolExecutor(_STAT_THREADS) as pool:
        sizes = list(pool.map(_size, input_files(dataset)))
    digest = hashlib.sha256()
    for name, size in zip(names, sizes, strict=True):
        digest.update(f'{name}\0{size}\n'.encode(errors='surrogateescape'))
    return {'samples': len(dataset), 'sha256': digest.hexdigest()}


def read_git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit and whether tracked files differ from it, None outside of a repository."""
    # an installed package may be in a folder of another repository
    if _git(folder, 'ls-files', '--error-unmatch', '__init__.py') is None:
        return None
    commit = _git(folder, 'rev-parse', 'HEAD')
    changes = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    return None if commit is None else {'commit': commit, 'dirty': bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ['git', '--no-optional-locks', '-C', str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _names(info: dict) -> list[str]:
    label = info.get('ann', {}).get('seg_map')
    return [info['filename'], *([label] if label else [])]


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:  # loading it reports more
        return -1

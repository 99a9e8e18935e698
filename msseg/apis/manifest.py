"""What a run was made of: in its work dir, and in its checkpoints."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mindspore as ms

from msseg.config import Config
from msseg.datasets.result_files import input_files
from msseg.utils.atomic import atomic_write_text
from msseg.utils.device import collect_versions
from msseg.utils.dist import get_world_size

FILE_NAME = 'manifest.json'
_PACKAGE = Path(__file__).parents[1]
_GIT_PATIENCE_S = 20
# A file system of the network answers many questions at once as fast as one.
_STAT_THREADS = 16


def collect_manifest(cfg: Config, datasets: Mapping[str, Any]) -> dict[str, Any]:
    """Describe the run that is starting.

    Args:
        cfg: Its config.
        datasets: Its data sets by split.

    Returns:
        Plain JSON values: ``config`` as text, ``versions``, ``seed``, ``deterministic``,
        ``device``, ``world_size``, ``git`` (commit, and whether files differ from it; None outside
        of a repository), ``command``, ``started``, and ``data``, for each split the `fingerprint`.
    """
    return {
        'config': cfg.pretty_text,
        'versions': collect_versions(),
        'seed': cfg.get('seed'),
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
    path = Path(folder) / FILE_NAME
    atomic_write_text(path, json.dumps(manifest, indent=1, ensure_ascii=False) + '\n')
    return path


def fingerprint(dataset: Any) -> dict[str, Any]:
    """Return what tells whether a data set is the same as another day.

    Args:
        dataset: A data set; of one that does not list its files, the number of samples counts.

    Returns:
        ``samples`` and ``sha256``, of the names and sizes of image and label files, without the
        folders that they lie in; None without such a list.
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
    """Return commit and whether tracked files differ from it, None outside of a repository."""
    # an installed package may lie in a folder of somebody else's repository
    if _git(folder, 'ls-files', '--error-unmatch', '__init__.py') is None:
        return None
    commit = _git(folder, 'rev-parse', 'HEAD')
    changes = _git(folder, 'status', '--porcelain', '--untracked-files=no')
    return None if commit is None else {'commit': commit, 'dirty': bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    command = ['git', '--no-optional-locks', '-C', str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GIT_PATIENCE_S, check=True
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
    except OSError:  # reading it will say more
        return -1

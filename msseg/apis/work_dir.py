"""The folder that a run writes to: made, held, and never over what is the user's."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from msseg.apis.manifest import FILE_NAME as MANIFEST
from msseg.apis.model_source import work_dir_of
from msseg.config import Config
from msseg.utils.atomic import atomic_write_text
from msseg.utils.dist import get_rank
from msseg.utils.folder_lock import FolderInUseError, hold_folder
from msseg.utils.logging import get_logger
from msseg.utils.regular_file import file_kind

_HEAD = '# Resolved config of a run, written by msseg. SHA-256 of what follows: '
_SAVED_BY_RUNS = re.compile(r'(iter|epoch)_\d+\.ckpt|best_.+\.ckpt')


@contextmanager
def held_work_dir(cfg: Config, work_dir: str | Path | None) -> Iterator[Path]:
    """Yield the work dir, made and, on rank 0, held against a second training in it.

    The folder of the checkpoints is held too, where that is another.

    Args:
        cfg: The config; its ``work_dir`` is set.
        work_dir: The folder; by default the config's, or ``work_dirs/{config's name}``.

    Raises:
        OSError: It cannot be written, or another training holds it.
        ValueError: A run would replace a file in it that no run has written.
    """
    folder = Path(work_dir or work_dir_of(cfg) or Path('work_dirs') / _name(cfg).stem)
    cfg.work_dir = str(folder)
    if get_rank() != 0:  # rank 0 speaks for the job
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
    """Write the resolved config to the work dir, under the name of the file it was read from.

    A file of this name stays when no run has written it (the source config, say) or when it was
    changed since; the resolved config then has the run's time in its name, and a line says so.

    Returns:
        The file.
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
    """Look at what a run from the beginning would replace; warn of checkpoints of another run.

    Raises:
        ValueError: It would replace the checkpoint that it starts from.
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
    path = folder / MANIFEST
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

"""Search for the checkpoint that a user names: a file, a work dir, its latest or its best."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msseg.runner.checkpoint import check_readable
from msseg.runner.checkpoint_file import read_meta
from msseg.utils.atomic import atomic_write_text
from msseg.utils.logging import get_logger
from msseg.utils.suggest import nearest

_LAST = 'last_checkpoint'
_NUMBERED = re.compile(r'(?P<prefix>iter|epoch)_(?P<number>\d+)\.ckpt')
_BEST = re.compile(r'(?P<best>best_(?P<key>.+))_(iter|epoch)_\d+\.ckpt')
_SUFFIXES = ('', '.ckpt', '.pth')
_WEIGHTS = ('.ckpt', '.pth', '.pt', '.bin', '.safetensors', '.npz')

_WHAT = {'latest': 'checkpoint of a run (iter_N.ckpt, epoch_N.ckpt)', 'best': 'best checkpoint'}


def name_last(path: Path) -> None:
    """Name a checkpoint as its folder's newest one, in the file ``last_checkpoint``."""
    atomic_write_text(path.with_name(_LAST), path.name + '\n')


def numbered_checkpoints(folder: str | Path, prefix: str, last: int | None = None) -> list[Path]:
    """Return a folder's ``{prefix}_{number}.ckpt`` by ascending number, none above `last`."""
    matches = [(_NUMBERED.fullmatch(path.name), path) for path in Path(folder).iterdir()]
    numbered = sorted((int(m['number']), p) for m, p in matches if m and m['prefix'] == prefix)
    return [path for number, path in numbered if last is None or number <= last]


def find_last_checkpoint(folder: str | Path, but: Path | None = None) -> Path | None:
    """Return the newest readable checkpoint of a folder, None when it holds none at all.

    It is the one that the file ``last_checkpoint`` names, unless the process was killed between
    writing a newer one and naming it. A damaged one is logged, and the one before it taken.

    Args:
        folder: A work dir.
        but: A file not to consider.

    Raises:
        ValueError: All checkpoints are damaged.
    """
    tried = []
    for path in _newest_first(Path(folder)):
        if but is not None and path.name == but.name:
            continue
        problem = _find_problem(path)
        if problem is None:
            return path
        get_logger().error('%s', problem)
        tried.append(path.name)
    if tried:
        raise ValueError(
            f'none of the checkpoints in {str(folder)!r} can be read ({", ".join(tried)}): to '
            'train from the beginning, move them away or choose another --work-dir'
        )
    return None


def resolve_checkpoint(name: str | Path, work_dirs: Sequence[str | Path] = ()) -> Path:
    """Return the checkpoint file that a name stands for, and log a choice.

    Args:
        name: A file; a folder, for its newest readable checkpoint; ``FOLDER/latest`` or
            ``FOLDER/last_checkpoint``, for the same; ``FOLDER/best``, or ``FOLDER/best_mIoU`` for
            one of several scores. The endings ``.ckpt`` and ``.pth`` are allowed.
        work_dirs: Where to look for ``latest`` and ``best`` without a folder, by default the
            current folder.

    Raises:
        FileNotFoundError: There is no such checkpoint; the message lists those that exist.
        ValueError: All checkpoints are damaged, or the best ones are of several scores.
    """
    path = Path(name).expanduser()
    if path.is_file() and path.name != _LAST:
        return path
    alias = _alias(path)
    if path.is_dir():
        folders, alias = [path], 'latest'
    elif alias is None:
        raise FileNotFoundError(_describe_missing(path, work_dirs))
    elif path.parent == Path() and not path.is_file():
        folders = [Path(folder) for folder in dict.fromkeys(work_dirs)] or [Path()]
    else:
        folders = [path.parent]
    find = find_last_checkpoint if alias == 'latest' else functools.partial(_find_best, alias)
    found = next(filter(None, map(find, folders)), None)
    if found is None:
        places = ' and '.join(repr(str(folder)) for folder in folders)
        hint = f'; write WORK_DIR/{path.name}' if folders == [Path()] else ''
        raise FileNotFoundError(
            f'checkpoint {str(name)!r}: there is no {_WHAT.get(alias, alias)} in {places}'
            f'{_list_checkpoints(folders)}{hint}'
        )
    get_logger().info('checkpoint %s: %s', name, found)
    return found


def _alias(path: Path) -> str | None:
    """Return ``latest``, ``best`` or ``best_KEY`` when a path's name is one of these."""
    if path.name == _LAST:
        return 'latest'
    stem = path.stem if path.suffix in _SUFFIXES else path.name
    if stem in ('latest', 'last'):
        return 'latest'
    is_best = stem == 'best' or stem.startswith('best_') and not _BEST.fullmatch(f'{stem}.ckpt')
    return stem if is_best else None


def _find_best(alias: str, folder: Path) -> Path | None:
    if not folder.is_dir():
        return None
    matches = [(_BEST.fullmatch(path.name), path) for path in folder.iterdir()]
    found = [(m['key'], path) for m, path in matches if m and alias in ('best', m['best'])]
    keys = sorted({key for key, _ in found})
    if len(keys) > 1:
        names = ', '.join(f'best_{key}' for key in keys)
        raise ValueError(f'{str(folder)!r} holds best checkpoints by several scores: name {names}')
    # two of one score: a run was killed before it removed the older one
    return max((path for _, path in found), key=_iteration, default=None)


def _describe_missing(path: Path, work_dirs: Sequence[str | Path]) -> str:
    text = f'checkpoint {str(path)!r} is not a file'
    for folder in work_dirs:
        if (Path(folder) / path).is_file():
            return f'{text}. Did you mean {str(Path(folder) / path)!r}?'
    if not path.parent.is_dir():
        return f'{text}: the folder {str(path.parent)!r} does not exist'
    names = [
        each.name for each in path.parent.iterdir() if each.suffix in _WEIGHTS and each != path
    ]
    if near := nearest(path.name, [*names, *(_WHAT if names else ())], 3):
        return f'{text}. Did you mean {" or ".join(map(repr, near))}?'
    return f'{text}{_list_checkpoints([path.parent])}'


def _list_checkpoints(folders: Sequence[Path]) -> str:
    paths = [path for folder in folders if folder.is_dir() for path in folder.iterdir()]
    names = sorted(path.name for path in paths if path.suffix in _WEIGHTS)
    if not names:
        runs = sorted(path.name for path in paths if path.is_dir() and any(path.glob('*.ckpt')))
        return f'; folders there with checkpoints: {", ".join(runs[:5])}' if runs else ''
    return f'; there are: {", ".join(names[-5:])}'


def _find_problem(path: Path) -> Exception | None:
    try:
        check_readable(path)
    except (ValueError, OSError) as error:
        return error
    return None


def _newest_first(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    note = folder / _LAST
    named = _named(note)
    paths = [path for prefix in ('iter', 'epoch') for path in numbered_checkpoints(folder, prefix)]
    # by the iterations in them: not every copy of a folder keeps the files' times
    paths.sort(key=_iteration, reverse=True)
    if named is None:
        yield from paths
        return
    limit = _iteration(named)
    above = [path for path in paths if _iteration(path) > limit]
    later = [path for path in above if path.stat().st_mtime > note.stat().st_mtime]
    rest = [path for path in paths if _iteration(path) <= limit and path != named]
    # those of a higher iteration that are older than the note are from an earlier run
    yield from (*later, named, *rest, *(path for path in above if path not in later))


def _named(note: Path) -> Path | None:
    try:
        path = note.with_name(note.read_text(encoding='utf-8').strip())
    except (OSError, ValueError):  # not there, unreadable, or no name in it
        return None
    return path if path.is_file() and path != note else None


def _iteration(path: Path) -> int:
    match = _NUMBERED.fullmatch(path.name)
    if match and match['prefix'] == 'iter':
        return int(match['number'])
    return read_meta(path).get('iter', 0)

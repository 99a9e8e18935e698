"""Which checkpoint of a folder to go on from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.checkpoint_file import has_valid_checksum, read_meta
from msseg.utils.atomic import atomic_write_text
from msseg.utils.logging import get_logger

_LAST = 'last_checkpoint'
_NUMBERED = re.compile(r'(?P<prefix>iter|epoch)_(?P<number>\d+)\.ckpt')


def name_last(path: Path) -> None:
    """Note a checkpoint as its folder's newest good one."""
    atomic_write_text(path.with_name(_LAST), path.name + '\n')


def numbered_checkpoints(folder: str | Path, prefix: str, last: int | None = None) -> list[Path]:
    """Return a folder's ``{prefix}_{number}.ckpt`` by ascending number, none above `last`."""
    matches = [(_NUMBERED.fullmatch(path.name), path) for path in Path(folder).iterdir()]
    numbered = sorted((int(m['number']), p) for m, p in matches if m and m['prefix'] == prefix)
    return [path for number, path in numbered if last is None or number <= last]


def find_last_checkpoint(folder: str | Path, but: Path | None = None) -> Path | None:
    """Return the newest good checkpoint of a folder, None when there is none at all.

    It is the one that the file ``last_checkpoint`` names, unless the process was killed between
    writing a newer one and naming it. One that is damaged is reported, and the one before it taken.

    Args:
        folder: A work dir.
        but: A file not to consider.

    Raises:
        ValueError: All that there are are damaged.
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


def _find_problem(path: Path) -> Exception | None:
    try:
        if not has_valid_checksum(path):
            load_checkpoint(path)
    except (ValueError, OSError) as error:
        return error
    return None


def _newest_first(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    note = folder / _LAST
    named = _named(note)
    paths = [path for prefix in ('iter', 'epoch') for path in numbered_checkpoints(folder, prefix)]
    # by what they say: not every copy of a folder keeps the files' times
    paths.sort(key=_iteration, reverse=True)
    if named is None:
        yield from paths
        return
    limit = _iteration(named)
    above = [path for path in paths if _iteration(path) > limit]
    later = [path for path in above if path.stat().st_mtime > note.stat().st_mtime]
    rest = [path for path in paths if _iteration(path) <= limit and path != named]
    # what lies above the named one and is not later is of a run that the folder held before
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

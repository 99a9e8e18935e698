"""The folder of downloaded weights, and the file in it that a name or an address stands for."""

from __future__ import annotations

import os
from pathlib import Path

from msseg.utils.cli import DOWNLOAD_VARIABLE
from msseg.utils.errors import UserFileNotFoundError, UserValueError
from msseg.utils.logging import get_logger
from msseg.weights.catalogue import Entry, parse_source
from msseg.weights.transfer import download

_HOW_TO_FETCH = f'--download or {DOWNLOAD_VARIABLE}=1'


def msseg_home() -> Path:
    """Return the folder of downloaded weights: ``$MSSEG_HOME``, or ``~/.cache/msseg``."""
    return Path(os.environ.get('MSSEG_HOME') or Path.home() / '.cache' / 'msseg')


def downloads_allowed() -> bool:
    """Return whether the user lets missing files be fetched: ``MSSEG_DOWNLOAD=1``.

    Raises:
        ValueError: The variable is neither 0 nor 1.
    """
    value = os.environ.get(DOWNLOAD_VARIABLE, '').strip()
    if value not in ('', '0', '1'):
        raise UserValueError(key=DOWNLOAD_VARIABLE, got=value, expected='1 or 0')
    return value == '1'


def place_of(entry: Entry) -> Path:
    """Return the path of an entry's file on this machine, whether it is there or not."""
    return msseg_home() / entry.file


def local_file(entry: Entry) -> Path | None:
    """Return an entry's file on this machine, also as the ``.ckpt`` that it was converted to.

    The file of an address that is not in the catalogue may also lie in the folder itself, under the
    last part of the address, which is logged.
    """
    path = place_of(entry)
    places = [path] if entry.kind or entry.companions else [path, msseg_home() / path.name]
    for place in places:
        for candidate in (place, place.with_suffix('.ckpt')):
            if candidate.is_file():
                if candidate.parent != path.parent:
                    text = '%s is taken for %s by its name alone; the place for that file is %s'
                    get_logger().warning(text, candidate, entry.name, path)
                return candidate
    return None


def find_file(source: str, key: str, may_fetch: bool | None = None, instead: str = '') -> Path:
    """Return the file on this machine for an address or a name, fetched if the user says so.

    Args:
        source: See `parse_source`.
        key: The setting, for messages.
        may_fetch: Fetch a missing file; None asks `downloads_allowed`.
        instead: What else the user can do, for messages.

    Raises:
        FileNotFoundError: The file is not there, and may not be fetched; the message has the
            address, the size, the place, and how to have it fetched.
        DownloadError: It could not be fetched.
        ValueError: An unknown name.
    """
    entry = parse_source(source, key)
    path = local_file(entry)
    if path is not None:
        return path
    if downloads_allowed() if may_fetch is None else may_fetch:
        return fetch(entry)
    raise UserFileNotFoundError(describe_missing(entry, source, key, instead))


def describe_missing(entry: Entry, source: str, key: str, instead: str = '') -> str:
    """Return a sentence on a missing file: address, place, size, and what to do."""
    others = ''.join(f' and {_beside(entry, name)} next to it' for name in entry.companions)
    instead = f', or {instead}' if instead else ''
    return (
        f'{key} is {source!r}, whose file is not on this machine: get it from {entry.address} and '
        f'put it to {str(place_of(entry))!r}{others} ({entry.size}), or have it fetched with '
        f'{_HOW_TO_FETCH}{instead}'
    )


def fetch(entry: Entry) -> Path:
    """Fetch an entry's file unless it is there, and return its path; see `download`."""
    path = place_of(entry)
    for name in entry.companions:  # first: the file itself then means that all are there
        download(_beside(entry, name), path.with_name(name))
    download(entry.address, path, entry.digits, entry.megabytes)
    return path


def _beside(entry: Entry, name: str) -> str:
    return f'{entry.address.rpartition("/")[0]}/{name}'

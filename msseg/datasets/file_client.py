"""The interface of MMCV's file client, for data sets and transforms written for it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def open_disk(who: str, file_client_args: Mapping[str, Any] | None) -> FileClient:
    """Return the client of a data set or transform; ValueError for other storages than disk."""
    try:
        return FileClient(**(file_client_args or {}))
    except ValueError as error:
        raise ValueError(f'{who}: {error}') from None


class FileClient:
    """Reads files on disk; another `backend` is a ValueError.

    Source: MMCV 1.7 ``mmcv.FileClient``, its disk backend.
    """

    def __init__(self, backend: str = 'disk', **options: Any) -> None:
        if backend != 'disk' or options:
            args = {'backend': backend, **options}
            raise ValueError(
                f'file_client_args={args!r} is not supported; files are read from the local disk: '
                "leave the argument out, or give dict(backend='disk')"
            )

    @classmethod
    def infer_client(
        cls, file_client_args: Mapping[str, Any] | None = None, uri: str | Path | None = None
    ) -> FileClient:
        """Return a client for `file_client_args`; `uri` must name a file on disk."""
        if uri is not None and '://' in str(uri):
            raise ValueError(f'{uri}: files are on disk; download it first')
        return cls(**(file_client_args or {}))

    def get(self, filepath: str | Path) -> bytes:
        """Return a file's bytes."""
        return Path(filepath).read_bytes()

    def get_text(self, filepath: str | Path, encoding: str = 'utf-8') -> str:
        """Return a file's text."""
        return Path(filepath).read_text(encoding=encoding)

    def exists(self, filepath: str | Path) -> bool:
        """Whether there is such a file or folder."""
        return os.path.exists(filepath)

    def isdir(self, filepath: str | Path) -> bool:
        """Whether there is such a folder."""
        return os.path.isdir(filepath)

    def isfile(self, filepath: str | Path) -> bool:
        """Whether there is such a file."""
        return os.path.isfile(filepath)

    def join_path(self, filepath: str | Path, *filepaths: str | Path) -> str:
        """Return a path below a folder."""
        return os.path.join(filepath, *filepaths)

    @contextmanager
    def get_local_path(self, filepath: str | Path) -> Iterator[str | Path]:
        """Give the path of a file on disk: its own."""
        yield filepath

    def list_dir_or_file(
        self,
        dir_path: str | Path,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Yield the names in a folder, relative to it and sorted, without hidden files.

        Args:
            dir_path: The folder.
            list_dir: Yield folders.
            list_file: Yield files.
            suffix: Only files whose names end so.
            recursive: Search folders in it, too.
        """
        if list_dir and suffix is not None:
            raise TypeError('list_dir_or_file: suffix is for files: set list_dir=False')
        for path in sorted(Path(dir_path).iterdir()):
            if path.is_dir():
                if list_dir:
                    yield path.name
                if recursive:
                    below = self.list_dir_or_file(path, list_dir, list_file, suffix, recursive)
                    yield from (os.path.join(path.name, name) for name in below)
            elif list_file and not path.name.startswith('.') and path.name.endswith(suffix or ''):
                yield path.name

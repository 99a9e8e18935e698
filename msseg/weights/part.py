"""The part of a file that has arrived."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from msseg.utils.atomic import publish, temporary_path

_CHUNK = 1 << 20


class Part:
    """The part of a file that has arrived, and a note on the file that it is of."""

    def __init__(self, path: Path, address: str) -> None:
        self.final, self.address = path, address
        self.path = temporary_path(path, f'{path.suffix}.part')
        self._note = temporary_path(path, f'{path.suffix}.part.json')
        note = self._read_note()
        # what the server calls this version of the file; without, nothing can be resumed
        self.version: str = note.get('version', '')
        self.total: int | None = note.get('total')
        if not self.version:
            self.clear()

    def _read_note(self) -> dict[str, Any]:
        try:
            note = json.loads(self._note.read_text(encoding='utf-8'))
        except (OSError, ValueError):  # not there, or cut
            return {}
        return note if isinstance(note, dict) and note.get('address') == self.address else {}

    @property
    def size(self) -> int:
        """Number of bytes that have arrived."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def clear(self) -> None:
        """Forget what has arrived."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.version, self.total = '', None

    def begin(self, version: str, total: int | None) -> None:
        """Note of which file the bytes are that come now."""
        self.version, self.total = version, total
        note = {'address': self.address, 'version': version, 'total': total}
        self._note.write_text(json.dumps(note), encoding='utf-8')

    def put_into_place(self) -> None:
        """Give the file its name."""
        publish(self.path, self.final)
        self._note.unlink(missing_ok=True)

    def sha256(self) -> str:
        """Return the hash of what has arrived."""
        return file_sha256(self.path)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()

"""The metadata beside files that cannot hold them."""

from __future__ import annotations

from pathlib import Path

from msseg.deploy.metadata import Metadata
from msseg.utils.text_file import read_user_text


def sidecar(path: str | Path) -> Path:
    """Return the name of the metadata beside an exported file: ``FILE.json``."""
    return Path(f'{path}.json')


def read_sidecar(path: str | Path) -> Metadata:
    """Read the metadata beside a file, and see that the file is whole.

    Args:
        path: The exported file.

    Raises:
        FileNotFoundError: There is nothing beside it.
        ValueError: The metadata are not of an exported file, or the file is not of the length
            that they say.
    """
    path, beside = Path(path), sidecar(path)
    try:
        text = read_user_text(beside, str(beside))
    except FileNotFoundError:
        raise FileNotFoundError(
            f'{path}: its metadata {beside.name} are not beside it; keep the two files that '
            'tools/export.py writes together'
        ) from None
    metadata = Metadata.from_json(text, str(beside))
    length = path.stat().st_size
    if metadata.file_bytes is not None and length != metadata.file_bytes:
        raise ValueError(
            f'{path}: has {length} bytes, but {beside.name} says {metadata.file_bytes}: it was cut '
            'short or belongs to another export; copy both files again'
        )
    return metadata

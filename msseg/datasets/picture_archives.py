"""Pictures in downloaded archives, and their conversion to images and labels of two classes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from msseg.datasets.result_files import write_label_file
from msseg.utils.atomic import atomic_path
from msseg.utils.image_file import check_pixels
from msseg.utils.outputs import Outputs, mark_png
from msseg.utils.progress_bar import progress_bar

_SUFFIXES = ('.png', '.jpg', '.jpeg', '.tif', '.tiff', '.gif', '.ppm')
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, ValueError,
            RuntimeError, Image.DecompressionBombError)  # fmt: skip


class PictureArchive:
    """A ZIP or tar archive, or a folder, whose pictures are read into memory one by one.

    Attributes:
        path: The file or folder.
        names: The names of the pictures in it, sorted without their folders; each may be compressed
            by gzip.

    Raises:
        FileNotFoundError: There is no such file or folder.
        ValueError: It is damaged, of another kind, or holds no picture.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            raise FileNotFoundError(f'{path}: there is no such file or folder')
        try:
            names = self._list()
        except _DAMAGED as error:
            raise ValueError(f'{path}: cannot be read ({error}); download it again') from error
        suffixes = (*_SUFFIXES, *(f'{suffix}.gz' for suffix in _SUFFIXES))
        pictures = [
            name
            for name in names
            if name.lower().endswith(suffixes)
            and not PurePosixPath(name).name.startswith('.')  # of macOS
        ]
        self.names = sorted(pictures, key=lambda name: PurePosixPath(name).name)
        if not self.names:
            raise ValueError(f'{path}: it holds no pictures ({", ".join(_SUFFIXES)})')

    def _list(self) -> list[str]:
        if self.path.is_dir():
            files = (file for file in self.path.rglob('*') if file.is_file())
            return [file.relative_to(self.path).as_posix() for file in files]
        if zipfile.is_zipfile(self.path):
            with zipfile.ZipFile(self.path) as archive:
                return [info.filename for info in archive.infolist() if not info.is_dir()]
        if tarfile.is_tarfile(self.path):
            with tarfile.open(self.path) as archive:
                return [member.name for member in archive.getmembers() if member.isfile()]
        raise ValueError('neither a ZIP nor a tar archive')

    def read(self, name: str) -> Image.Image:
        """Decode a picture.

        Raises:
            ValueError: It is damaged or too large.
        """
        where = f'{self.path}: {name}'
        try:
            content = self._read_bytes(name)
            if name.endswith('.gz'):
                content = gzip.decompress(content)
            picture = Image.open(io.BytesIO(content))
            check_pixels(picture.size[::-1], where)
            picture.load()
        except _DAMAGED as error:
            raise ValueError(f'{where} cannot be read ({error}); download it again') from error
        return picture

    def _read_bytes(self, name: str) -> bytes:
        if self.path.is_dir():
            return (self.path / name).read_bytes()
        if zipfile.is_zipfile(self.path):
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(name)
        with tarfile.open(self.path) as archive:
            return archive.extractfile(name).read()

    def check_count(self, expected: int) -> None:
        """Raise ValueError unless there are as many pictures as the data set has."""
        if len(self.names) != expected:
            raise ValueError(
                f'{self.path}: it holds {len(self.names)} pictures, expected {expected}; give the '
                'archive as downloaded'
            )


class PictureTask(NamedTuple):
    """A picture to convert.

    Attributes:
        archive: Where it is.
        name: Its name there.
        split: ``training`` or ``validation``.
        stem: The name of the result, without suffix.
        is_label: Whether it is a label: what is at least half white becomes class 1.
    """

    archive: PictureArchive
    name: str
    split: str
    stem: str
    is_label: bool


def stem_of(name: str) -> str:
    """Return a picture's name without folder, ``.gz`` and the suffix of its format.

    Examples:
        >>> stem_of('labels/im0001.ah.ppm.gz')
        'im0001.ah'
    """
    return PurePosixPath(name.removesuffix('.gz')).stem


def convert_pictures(tasks: Sequence[PictureTask], out: Path) -> dict[str, int]:
    """Write ``images/SPLIT/STEM.png`` and ``annotations/SPLIT/STEM.png``.

    Args:
        tasks: The pictures.
        out: Folder to write to.

    Returns:
        Number of files in each folder.

    Raises:
        ValueError: A picture cannot be read.
        FileExistsError: A file to write is there that msseg has not written.
    """
    folders = [f'{"annotations" if task.is_label else "images"}/{task.split}' for task in tasks]
    names = [f'{folder}/{task.stem}.png' for folder, task in zip(folders, tasks, strict=True)]
    archives = {task.archive.path for task in tasks}
    inputs = [path for path in archives if path.is_file()]
    inputs += [task.archive.path / task.name for task in tasks if task.archive.path.is_dir()]
    paths = Outputs(inputs).files(out, names, '--out')
    for task, path in progress_bar(list(zip(tasks, paths, strict=True))):
        pixels = np.asarray(task.archive.read(task.name).convert('RGB'))
        if task.is_label:
            write_label_file(path, pixels[:, :, 2] >= 128)
        else:
            _write_image(path, pixels)
    return dict(Counter(folders))


def _write_image(path: Path, pixels: np.ndarray) -> None:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, 'png')
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(mark_png(content.getvalue()))

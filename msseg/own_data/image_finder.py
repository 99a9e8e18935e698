"""Find the image that annotations name, wherever they were made."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from msseg.datasets.data_yaml import IMAGE_SUFFIXES
from msseg.datasets.file_lists import files_below
from msseg.own_data.shapes import Notes, Sample
from msseg.utils.errors import UserError, UserFileNotFoundError, UserValueError
from msseg.utils.regular_file import file_kind
from msseg.utils.suggest import nearest

RECORD = 'import.json'  # a folder that has one holds the results of an import
_MOST_NAMED = 3
_NO_NAME = re.compile('[\0\ud800-\udc7f\udd00-\udfff]')  # others stand for bytes of names


def list_images(folder: Path) -> list[Path]:
    """Return the images below a folder, sorted, without hidden ones and results of imports."""
    names = files_below(str(folder))
    results = tuple(name.removesuffix(RECORD) for name in names if Path(name).name == RECORD)
    names = [name for name in names if not name.startswith(results)] if results else names
    return [folder / name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]


class ImageFinder:
    """Images below folders, found by the names that annotations give them.

    Args:
        folders: They are searched to any depth.
        notes: Takes what had to be guessed.
    """

    def __init__(self, folders: Iterable[Path], notes: Notes) -> None:
        self._folders, self._notes = list(folders), notes
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in dict.fromkeys(path for folder in self._folders for path in list_images(folder)):
            self._by_name[_plain(path.name)].append(path)

    def others(self, used: Iterable[Path]) -> list[Path]:
        """Return the images that are none of those used."""
        known = {os.path.realpath(path) for path in used}
        paths = (path for paths in self._by_name.values() for path in paths)
        return [path for path in paths if os.path.realpath(path) not in known]

    def find(self, sample: Sample) -> Path:
        """Return the image of a sample.

        Its name is taken relative to the folders near the annotations and to those of images, as
        it stands or with percent codes decoded. Otherwise the image of that file name is taken
        whose folders agree with most of the path.

        Raises:
            FileNotFoundError: There is no such image.
            ValueError: Several fit equally well.
        """
        written = [sample.image, *sample.other_names]
        names = list(dict.fromkeys(n for name in written for n in (name, unquote(name))))
        if any(_NO_NAME.search(name) for name in names):
            raise UserValueError(f'{sample.file}: {sample.image!r} can be no name of a file')
        for name in names:
            for folder in (*sample.near, *self._folders):
                path = folder / name.replace('\\', '/') if name else folder
                if file_kind(path) == 'a file':
                    return Path(os.path.normpath(path))
        found = [self._by_file_name(name, sample) for name in names]
        for is_whole in (True, False):
            for path, agrees in found:
                if path is not None and agrees == is_whole:
                    if not is_whole:
                        text = 'an image is not where its annotations say and is taken by its name'
                        self._notes.add(text, f'{sample.file}: {sample.image!r} is {path}')
                    return path
        raise self._not_found(sample)

    def _by_file_name(self, name: str, sample: Sample) -> tuple[Path | None, bool]:
        """Return the image of a file name, and whether all folders that the name has agree."""
        parts = [_plain(part) for part in PurePosixPath(name.replace('\\', '/')).parts]
        candidates = self._by_name.get(parts[-1], []) if parts else []
        agree = [_num_equal_at_end(parts, path) for path in candidates]
        best = [p for p, n in zip(candidates, agree, strict=True) if n == max(agree)]
        if len(best) > 1:
            named = ', '.join(map(str, best[:_MOST_NAMED]))
            raise UserValueError(
                f'{sample.who}: {sample.image!r} may be {len(best)} images: {named}',
                advice='correct the path in the file, or give --images the folder of its images',
            )
        return (best[0], max(agree) == len(parts)) if best else (None, False)

    def _not_found(self, sample: Sample) -> UserError:
        name = PurePosixPath(unquote(sample.image).replace('\\', '/')).name
        near = nearest(_plain(name), self._by_name, 1)
        searched = ' and '.join(map(str, self._folders))
        return UserFileNotFoundError(
            f'{sample.file}: the image {sample.image!r} is missing: nothing of that name in '
            f'{searched}',
            suggestions=[self._by_name[each][0].name for each in near],
            advice='give --images the folder of the images',
        )


def _num_equal_at_end(parts: Sequence[str], path: Path) -> int:
    count = 0
    for one, other in zip(reversed(parts), reversed(path.parts), strict=False):
        if one != _plain(other):
            break
        count += 1
    return count


def _plain(name: str) -> str:
    """Return a name as file systems see it that ignore case and Unicode forms."""
    return unicodedata.normalize('NFC', name).casefold()

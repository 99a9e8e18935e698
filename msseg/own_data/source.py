"""The folder or file of annotations that a user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from msseg.datasets.file_lists import files_below
from msseg.datasets.pipelines.label_map import parse_label_map
from msseg.utils.errors import UserFileNotFoundError, UserValueError

_SPLIT = re.compile(r'(?:^|[_.-])(train|training|val|valid|validation|test)[0-9]*(?:$|[_.-])')
_SPLITS = {'training': 'train', 'valid': 'val', 'validation': 'val'}


@dataclass(frozen=True)
class Source:
    """Where annotations are.

    Attributes:
        path: A file, or a folder that is searched to any depth.
        images: More folders with images.
        classes: Names that the user gave, in their order.
        label_map: What values or colours of masks mean, as the user gave it.
    """

    path: Path
    images: Sequence[Path] = ()
    classes: Sequence[str] | None = None
    label_map: dict | None = None

    @property
    def root(self) -> Path:
        """The folder."""
        return self.path if self.path.is_dir() else self.path.parent

    def check(self) -> None:
        """Raise FileNotFoundError unless all that it names is there."""
        if not self.path.exists():
            raise UserFileNotFoundError(f'{self.path}: there is no such file or folder')
        for folder in self.images:
            if not folder.is_dir():
                raise UserFileNotFoundError(f'--images {folder}: there is no such folder')

    def files(self, suffix: str) -> list[Path]:
        """Return the file itself, or the files below the folder that end so, in any case."""
        if not self.path.is_dir():
            return [self.path]
        names = files_below(str(self.path))
        return [self.path / name for name in names if name.lower().endswith(suffix)]

    def refuse_none(self, found: Sequence, what: str) -> None:
        """Raise ValueError if nothing was found."""
        if not found:
            raise UserValueError(f'{self.path}: there is no {what}')

    def folder(self, *names: str) -> Path | None:
        """Return the first of some folders that exists in the source."""
        return next((self.root / n for n in names if (self.root / n).is_dir()), None)

    def split_of(self, file: Path) -> str | None:
        """Return the split that a file or one of its folders is named after; None for none.

        Examples:
            >>> Source(Path('data')).split_of(Path('data/instances_val2017.json'))
            'val'
        """
        names = [*file.relative_to(self.root).parts[:-1], file.stem]
        found = [match[1] for name in names if (match := _SPLIT.search(name.lower()))]
        return _SPLITS.get(found[-1], found[-1]) if found else None


def parse_value_map(words: Sequence[str]) -> dict | None:
    """Return a label map from words such as ``255:1`` and ``1-254:1``; None from no words.

    Raises:
        ValueError: A word of another form, or ranges that overlap.

    Examples:
        >>> parse_value_map(['0:0', '1-9:1'])
        {0: 0, range(1, 10): 1}
    """
    pairs = [word.rpartition(':') for word in words]
    for word, (_, colon, value) in zip(words, pairs, strict=True):
        if not colon or not value.isdecimal() or int(value) > 255:
            expected = "VALUE:CLASS, such as 255:1 or '1-254:1'"
            raise UserValueError(key='--label-map', got=word, expected=expected)
    return parse_label_map({key: int(value) for key, _, value in pairs} or None, '--label-map')

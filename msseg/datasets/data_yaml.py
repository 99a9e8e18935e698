"""Data YAML files: a data set in a few lines, as Ultralytics writes them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msseg.datasets.classes import check_class_names
from msseg.datasets.file_lists import files_below
from msseg.utils.errors import UserFileNotFoundError, UserTypeError, UserValueError, unknown_name
from msseg.utils.plain_yaml import parse_yaml
from msseg.utils.regular_file import check_regular, file_kind
from msseg.utils.shown import shown
from msseg.utils.text_file import read_user_lines, read_user_text

IMAGE_SUFFIXES = (
    *('.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.bmp', '.dib', '.tif', '.tiff', '.webp', '.jp2'),
    *('.gif', '.ppm', '.pgm', '.pbm', '.pnm', '.npy', '.npz'),
)
SPLITS = ('train', 'val', 'test')
_MASK_SUFFIXES = ('.png', '.PNG', '.bmp', '.tif', '.tiff')
MASK_FOLDERS = ('masks', 'annotations')
_KEYS = ('path', *SPLITS, 'names', 'nc', 'masks_dir', 'palette', 'label_map')
_WITHOUT_EFFECT = {
    'download': 'nothing is fetched',
    'channels': 'the config says it',
    'roboflow': 'it says where the data come from',
}


@dataclass(frozen=True)
class DataYaml:
    """The content of a data YAML.

    Attributes:
        file: The file.
        root: What its paths start from.
        names: Class names.
        entries: Folders of images, or text files that list them, of each split.
        masks_dir: Name of the folder of labels, in place of ``images`` in the images' paths.
        palette: RGB colour of each class.
        label_map: What values or colours of labels mean.
        unused: What is in the file and has no effect, with the reason.
    """

    file: Path
    root: Path
    names: Sequence[str]
    entries: Mapping[str, Sequence[str]]
    masks_dir: str | None = None
    palette: Sequence | None = None
    label_map: Mapping | None = None
    unused: Sequence[str] = ()

    def images(self, split: str) -> list[Path]:
        """Return the images of a split, in the order of its entries.

        Raises:
            ValueError: The file has no such split, or it has no image.
            FileNotFoundError: A folder or a list is missing.
        """
        if split not in self.entries:
            raise UserValueError(
                f'{split!r} is missing', file=str(self.file), expected='the folder of its images'
            )
        found = [path for entry in self.entries[split] for path in self._images_of(split, entry)]
        if not found:
            names = list(self.entries[split])
            raise UserValueError(f'{split}: there is no image in {names}', file=str(self.file))
        return found

    def _images_of(self, split: str, entry: str) -> list[Path]:
        path = self.root / os.path.expanduser(entry)
        if file_kind(path) is None and entry.startswith(
            '../'
        ):  # Roboflow's: from the file's folder
            path = self.root / entry.removeprefix('../')
        kind = file_kind(path)
        if kind == 'a folder':
            names = files_below(str(path))
            return [path / name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]
        if kind == 'a file' and path.suffix.lower() == '.txt':
            lines = read_user_lines(path, str(path))
            return [self._listed(line, path, number) for number, line in lines]
        raise UserFileNotFoundError(
            f'{split}: {str(path)!r} is {kind or "missing"}',
            file=str(self.file),
            expected='a folder of images, or a text file with one image a line',
        )

    def _listed(self, line: str, file: Path, number: int) -> Path:
        for root in (self.root, file.parent):
            if (root / line).is_file():
                return root / line
        raise UserFileNotFoundError(
            f'there is no image {line!r} in {self.root}', file=str(file), line=number
        )

    def mask_of(self, image: Path) -> Path:
        """Return the label of an image; where there is none yet, the path that it should have.

        Raises:
            ValueError: No folder of the path is called ``images``.
        """
        parts = image.parts
        places = [i for i, part in enumerate(parts[:-1]) if part == 'images'][::-1]
        if not places:
            raise UserValueError(
                f'{str(image)!r} is in no folder called images, whose place masks_dir '
                f'({self.masks_dir or MASK_FOLDERS[0]!r}) takes',
                file=str(self.file),
                advice='put images into images/ and labels into masks/',
            )
        folders = [self.masks_dir] if self.masks_dir else MASK_FOLDERS
        candidates = [
            Path(*parts[:i], folder, *parts[i + 1 :]).with_suffix(suffix)
            for folder in folders
            for i in places
            for suffix in _MASK_SUFFIXES
        ]
        return next((path for path in candidates if path.is_file()), candidates[0])


def read_data_yaml(path: str | os.PathLike) -> DataYaml:
    """Read a data YAML.

    Its keys are ``path`` (by default the folder of the file, from which it starts, too),
    ``train``, ``val`` and ``test`` (a folder, a text file, or a list of these), ``names`` (a list,
    or a mapping from indices), ``nc`` (their number), ``masks_dir``, and of our own ``palette``
    and ``label_map``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError, TypeError, KeyError: It is no such file; the message names it and the key.

    Examples:
        >>> from pathlib import Path
        >>> _ = Path('data.yaml').write_text('{train: images, names: {0: road, 1: sky}}')
        >>> read_data_yaml('data.yaml').names
        ['road', 'sky']
    """
    path, file = Path(path), str(path)
    check_regular(path)
    try:
        values = parse_yaml(read_user_text(path, file), file)
    except RecursionError:
        raise UserValueError('its values are nested too deeply', file=file) from None
    if not isinstance(values, Mapping):
        raise UserTypeError(f'got {shown(values)}', file=file, expected='keys such as train, names')
    for key in values:
        if key not in _KEYS and key not in _WITHOUT_EFFECT:
            problem = f'the key {key!r} is not known'
            raise unknown_name(problem, str(key), _KEYS, file=None, who=file)
    entries = {split: _entries(values[split], split, file) for split in SPLITS if values.get(split)}
    root = _text(values.get('path') or '.', 'path', file)
    return DataYaml(
        file=path,
        root=Path(os.path.normpath(path.parent / os.path.expanduser(root))),
        names=_names(values, file),
        entries=entries,
        masks_dir=values.get('masks_dir') and _text(values['masks_dir'], 'masks_dir', file),
        palette=values.get('palette'),
        label_map=values.get('label_map'),
        unused=[f'{key}: {why}' for key, why in _WITHOUT_EFFECT.items() if key in values],
    )


def _text(value: Any, key: str, file: str) -> str:
    if not isinstance(value, str):
        raise UserTypeError(key=key, got=value, expected='a text', file=file)
    return value


def _entries(value: Any, key: str, file: str) -> list[str]:
    return [_text(each, key, file) for each in (value if isinstance(value, list) else [value])]


def _names(values: Mapping, file: str) -> list[str]:
    names, count = values.get('names'), values.get('nc')
    if isinstance(names, Mapping):
        indices = [int(key) if str(key).isdecimal() else key for key in names]
        if sorted(map(str, indices)) != sorted(map(str, range(len(names)))):
            raise UserValueError(
                key='names', got=names, expected=f'the indices 0 to {len(names) - 1}', file=file
            )
        names = [name for _, name in sorted(zip(indices, names.values(), strict=True))]
    if not isinstance(names, list) or not names:
        expected = 'a list of class names, or a mapping from indices to names'
        raise UserTypeError(key='names', got=names, expected=expected, file=file)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, (str, int, float)):
            expected = "a name; write it in quotes, such as 'yes'"
            raise UserTypeError(key='names', got=name, expected=expected, file=file)
    names = [str(name) for name in names]
    if count is not None and count != len(names):
        raise UserValueError(key='nc', got=count, expected=f'{len(names)}, as names', file=file)
    check_class_names(names, file)
    return names

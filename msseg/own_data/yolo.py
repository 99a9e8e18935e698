"""Polygons of Ultralytics' YOLO: a text file for each image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from msseg.datasets.data_yaml import SPLITS, DataYaml, read_data_yaml
from msseg.own_data.documents import number
from msseg.own_data.image_finder import list_images
from msseg.own_data.image_size import upright_size
from msseg.own_data.shapes import Annotations, Notes, Sample, Shape, read_points, read_ring
from msseg.own_data.source import Source
from msseg.utils.errors import UserFileNotFoundError, UserValueError
from msseg.utils.text_file import read_user_lines, read_user_text

_LISTS = ('classes.txt', 'obj.names')
_FEWEST_VALUES = 7  # a class and three corners
_BOX_VALUES = 5


def read_yolo(source: Source) -> Annotations:
    """Read polygons; of objects that overlap the smaller ones lie above, as in Ultralytics.

    The classes stand in the data YAML, in ``classes.txt`` or in ``obj.names``. The labels of
    ``…/images/…/NAME.jpg`` are ``…/labels/…/NAME.txt``, or ``NAME.txt`` beside the image.
    """
    notes = Notes()
    content = _data_yaml(source)
    if content is not None:
        names, where = list(content.names), f'names of {content.file}'
        pairs = [
            (image, split)
            for split in SPLITS
            if split in content.entries
            for image in _images(content, split, notes)
        ]
    else:
        names, where = _listed_names(source)
        pairs = [(image, None) for folder in (source.root, *source.images)
                 for image in list_images(folder)]  # fmt: skip
    samples = [_sample(image, split, names, notes) for image, split in pairs]
    source.refuse_none(samples, 'image of YOLO labels')
    if all(not sample.file.is_file() for sample in samples):
        raise UserValueError(
            f'{source.path}: no image has labels, such as {samples[0].file}',
            advice='put them into labels/, where images/ are',
        )
    return Annotations(samples, names, where, by_area=True, notes=notes)


def _images(content: DataYaml, split: str, notes: Notes) -> list[Path]:
    try:
        return content.images(split)
    except UserFileNotFoundError as error:
        if split != 'test':
            raise
        notes.add('test images that are not there are left out', error)  # Roboflow may name them
        return []


def _data_yaml(source: Source) -> DataYaml | None:
    files = [f for suffix in ('.yaml', '.yml') for f in source.root.glob(f'*{suffix}')]
    if source.path.is_file():
        files = [source.path]
    if len(files) > 1:
        names = ', '.join(sorted(file.name for file in files))
        raise UserValueError(f'{source.path}: several data YAMLs ({names})', advice='name one')
    return read_data_yaml(files[0]) if files else None


def _listed_names(source: Source) -> tuple[list[str], str]:
    for name in _LISTS:
        if (file := source.root / name).is_file():
            return [line for _, line in read_user_lines(file, str(file))], str(file)
    if source.classes:
        return list(source.classes), '--classes'
    raise UserValueError(
        f'{source.path}: the names of the classes are unknown: there is neither a data YAML nor '
        f'{" nor ".join(_LISTS)}',
        advice='give --classes',
    )


def _sample(image: Path, split: str | None, names: list[str], notes: Notes) -> Sample:
    file = _labels_of(image)
    sample = Sample(file, str(image.absolute()), split=split)
    if not file.is_file():
        notes.add('an image without a label file has no objects', image)
        return sample
    h, w = upright_size(image)
    lines = enumerate(read_user_text(file, str(file)).splitlines(), 1)
    sample.shapes = [
        _shape(line.split(), (w, h), names, i, f'{file}, line {i}')
        for i, line in lines
        if line.strip()
    ]
    return sample


def _labels_of(image: Path) -> Path:
    parts = image.parts
    places = [i for i, part in enumerate(parts[:-1]) if part == 'images'][::-1]
    paths = [Path(*parts[:i], 'labels', *parts[i + 1 :]).with_suffix('.txt') for i in places]
    paths.append(image.with_suffix('.txt'))
    return next((path for path in paths if path.is_file()), paths[0])


def _shape(words: list[str], wh: tuple[int, int], names: list[str], line: int, who: str) -> Shape:
    index = number(words[0], 'the class', who, int)
    if not 0 <= index < len(names):
        expected = f'0 to {len(names) - 1}, of the names {names}'
        raise UserValueError(key='the class', got=index, expected=expected, who=who)
    if len(words) == _BOX_VALUES:
        raise UserValueError(
            f'{who}: a box of detection', expected='a polygon: class x y x y x y …'
        )
    if len(words) < _FEWEST_VALUES or len(words) % 2 == 0:
        expected = 'a class and three pairs or more: class x y x y x y …'
        raise UserValueError(f'{who}: {len(words)} values', expected=expected)
    values = [number(word, 'a coordinate', who) for word in words[1:]]
    corners = read_points(list(zip(values[::2], values[1::2], strict=True)), who)
    return Shape(names[index], f'line {line}', [read_ring(corners * np.array(wh), who)])

"""Annotations of COCO: JSON files of many images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from msseg.own_data.documents import need, read_json
from msseg.own_data.run_lengths import coco_counts, decode_runs
from msseg.own_data.shapes import Annotations, Notes, Patch, Sample, Shape, read_ring
from msseg.own_data.source import Source
from msseg.utils.errors import UserValueError
from msseg.utils.image_file import check_pixels


def read_coco(source: Source) -> Annotations:
    """Read COCO's JSON files; of objects that overlap the smaller ones lie above.

    Categories have the order of the files. Crowds (``iscrowd`` or ``ignore`` is 1) do not count.
    """
    notes = Notes()
    samples: dict[tuple[str, Path], Sample] = {}
    classes: dict[str, None] = {}
    for file in source.files('.json'):
        document = read_json(file)
        if not isinstance(document, Mapping) or 'annotations' not in document:
            notes.add('a JSON file without annotations is no file of COCO and is left out', file)
            continue
        names = _categories(document, file)
        classes.update(dict.fromkeys(names.values()))
        for sample in _samples(file, document, names, notes):
            sample.split = source.split_of(file)
            same = samples.setdefault((sample.image, file.parent), sample)
            if same is not sample:
                notes.add('an image is in several files, whose objects are joined', sample.who)
                same.shapes = [*same.shapes, *sample.shapes]
    source.refuse_none(list(samples), 'JSON file of COCO')
    where = f'categories of {source.path}'
    return Annotations([*samples.values()], [*classes], where, by_area=True, notes=notes)


def _categories(document: Mapping, file: Path) -> dict[int, str]:
    names: dict[int, str] = {}
    for node in need(document, 'categories', list, str(file)):
        number = need(node, 'id', int, f'{file}, categories')
        name = need(node, 'name', str, f'{file}, category {number}')
        if names.setdefault(number, name) != name:
            raise UserValueError(f'{file}: two categories have the id {number}')
    return names


def _samples(file: Path, document: Mapping, names: Mapping[int, str], notes: Notes) -> list[Sample]:
    nodes = defaultdict(list)
    for i, node in enumerate(need(document, 'annotations', list, str(file)), 1):
        number = node.get('id', i) if isinstance(node, Mapping) else i
        who = f'{file}, annotation {number}'
        nodes[need(node, 'image_id', (int, str), who)].append((node, who))
    samples, seen = [], set()
    for image in need(document, 'images', list, str(file)):
        number = need(image, 'id', (int, str), f'{file}, images')
        if number in seen:
            raise UserValueError(f'{file}: two images have the id {number!r}')
        seen.add(number)
        who = f'{file}, image {number!r}'
        name = need(image, 'file_name', str, who)
        size = None
        if image.get('height') is not None or image.get('width') is not None:
            size = need(image, 'height', int, who), need(image, 'width', int, who)
        shapes = []
        for node, where in nodes.pop(number, []):
            shape = _shape(node, names, size, where, notes)
            shapes += [shape] if shape else []
        samples.append(Sample(file, name, shapes, size=size, near=[file.parent]))
    if nodes:
        number, ((_, who), *_) = next(iter(nodes.items()))
        raise UserValueError(f'{who}: image_id is {number!r}, and there is no such image')
    return samples


def _shape(
    node: Mapping, names: Mapping[int, str], size: tuple[int, int] | None, who: str, notes: Notes
) -> Shape | None:
    category = need(node, 'category_id', int, who)
    if category not in names:
        known = f'one of {[*names]}'
        raise UserValueError(key='category_id', got=category, expected=known, who=who)
    crowd = bool(node.get('iscrowd') or node.get('ignore'))
    if crowd:
        notes.add('a crowd or an object to ignore does not count (255)', who)
    where = f'annotation {node.get("id")}'
    outline = node.get('segmentation')
    if outline is None or outline == []:
        notes.add('an object without segmentation (a box alone) is left out', who)
        return None
    if isinstance(outline, Mapping):
        patch = Patch(0, 0, _decode(outline, size, who))
        return Shape(names[category], where, patch=patch, is_ignored=crowd)
    if not isinstance(outline, list):
        expected = 'a list of polygons, or an RLE'
        raise UserValueError(key='segmentation', got=outline, expected=expected, who=who)
    rings = [_ring(ring, who) for ring in outline]
    return Shape(names[category], where, rings, is_ignored=crowd)


def _ring(numbers: Any, who: str) -> np.ndarray:
    if not isinstance(numbers, list) or len(numbers) % 2:
        expected = 'an even number of coordinates [x, y, x, y, …]'
        raise UserValueError(key='segmentation', got=numbers, expected=expected, who=who)
    return read_ring(list(zip(numbers[::2], numbers[1::2], strict=True)), who)


def _decode(node: Mapping, size: tuple[int, int] | None, who: str) -> np.ndarray:
    declared = need(node, 'size', list, who)
    if size is None and len(declared) == 2 and all(type(side) is int for side in declared):
        size = declared[0], declared[1]
    if size is None:
        raise UserValueError(key='size', got=declared, expected='[height, width]', who=who)
    if declared != list(size):
        expected = f'[{size[0]}, {size[1]}], the height and width of the image'
        raise UserValueError(key='size', got=declared, expected=expected, who=who)
    check_pixels(size, who)
    counts = need(node, 'counts', (list, str), who)
    counts = coco_counts(counts, who) if isinstance(counts, str) else counts
    return decode_runs(counts, size[0] * size[1], who).reshape(size[::-1]).T  # column by column

"""Annotations of Label Studio: its JSON export."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from msseg.own_data.documents import need, read_json
from msseg.own_data.run_lengths import decode_brush
from msseg.own_data.shapes import (
    Annotations,
    Notes,
    Patch,
    Sample,
    Shape,
    ellipse,
    read_points,
    read_ring,
    turned,
)
from msseg.own_data.source import Source
from msseg.utils.errors import UserTypeError, UserValueError
from msseg.utils.image_file import check_pixels

_LABELS = ('polygonlabels', 'brushlabels', 'rectanglelabels', 'ellipselabels', 'labels')
_GEOMETRIES = ('polygon', 'brush', 'rectangle', 'ellipse')  # of regions whose label is a result
_WITHOUT_AREA = (
    *('keypointlabels', 'keypoint', 'choices', 'textarea', 'rating', 'taxonomy', 'number'),
    'relation',
)
# what it puts before the names of uploaded files
_UPLOAD = re.compile(r'^[0-9a-f]{8}-(?=.)')


def read_label_studio(source: Source) -> Annotations:
    """Read JSON exports; later regions lie above earlier ones."""
    notes = Notes()
    samples: list[Sample] = []
    for file in source.files('.json'):
        document = read_json(file)
        if not isinstance(document, list):
            raise UserTypeError(
                f'{file}: got {type(document).__name__}', expected='the list of tasks of an export'
            )
        for i, task in enumerate(document, 1):
            samples += _samples(file, task, f'{file}, task {i}', notes)
    source.refuse_none(samples, 'annotated task in a JSON export of Label Studio')
    return Annotations(samples, notes=notes)


def image_names(name: str) -> list[str]:
    """Return the names that an image may have by its address, the likeliest first.

    Examples:
        >>> image_names('/data/local-files/?d=cells/a%20b.png')
        ['cells/a%20b.png', 'a%20b.png']
        >>> image_names('/data/upload/3/0a1b2c3d-cell.png')
        ['0a1b2c3d-cell.png', 'cell.png']
    """
    url = urlsplit(name.replace('\\', '/'))
    local = re.search(r'(?:^|&)d=([^&]*)', url.query)
    path = local[1] if local else url.path
    last = PurePosixPath(path).name
    return list(dict.fromkeys([*([path] if local else []), last, _UPLOAD.sub('', last)]))


def _samples(file: Path, task: Any, who: str, notes: Notes) -> list[Sample]:
    if isinstance(task, Mapping) and 'annotations' not in task and 'data' not in task:
        raise UserTypeError(
            f"{who}: 'annotations' is missing", advice="export 'JSON', not JSON-MIN"
        )
    all_of_task = need(task, 'annotations', list, who)
    finished = [a for a in all_of_task if isinstance(a, Mapping) and not a.get('was_cancelled')]
    if not finished:
        notes.add('a task without a finished annotation is left out', who)
        return []
    if len(finished) > 1:
        notes.add('of several annotations of a task the last one is taken', who)
    results = need(finished[-1], 'result', list, who)
    address = _address(need(task, 'data', dict, who), results, who)
    shapes, sizes = [], set()
    for i, node in enumerate(results, 1):
        where = f'{who}, result {i}'
        shape, size = _shape(node, f'result {i}', where, notes)
        shapes += [shape] if shape else []
        sizes |= {size} if size else set()
    if len(sizes) > 1:
        raise UserValueError(f'{who}: its regions are of images of different sizes {sorted(sizes)}')
    size, names = next(iter(sizes), None), image_names(address)
    return [Sample(file, address, shapes, size=size, near=[file.parent], other_names=names)]


def _address(data: Mapping, results: list, who: str) -> str:
    key = next((n.get('to_name') for n in results if isinstance(n, Mapping)), None)
    texts = [value for value in data.values() if isinstance(value, str)]
    for value in (data.get('image'), data.get(key), *texts[:1]):
        if isinstance(value, str) and value:
            return value
    raise UserValueError(f'{who}: data names no image')


def _shape(
    node: Any, place: str, who: str, notes: Notes
) -> tuple[Shape | None, tuple[int, int] | None]:
    kind = need(node, 'type', str, who)
    if kind in _WITHOUT_AREA:
        notes.add(f'a result of type {kind!r} has no area and is left out', who)
        return None, None
    value = need(node, 'value', dict, who)
    key = next((key for key in _LABELS if key in value), None)
    if key is None and kind in _GEOMETRIES:
        notes.add('a region without a label is left out', who)
        return None, None
    if key is None:
        raise UserValueError(f'{who}: a result of type {kind!r} without a label')
    names = value[key]
    if not isinstance(names, list) or len(names) != 1 or not isinstance(names[0], str):
        raise UserValueError(key=key, got=names, expected='one label', who=who)
    size = need(node, 'original_height', int, who), need(node, 'original_width', int, who)
    check_pixels(size, who)
    outline = _outline(value, size, who)
    if isinstance(outline, Patch):
        return Shape(names[0], place, patch=outline), size
    return Shape(names[0], place, [outline]), size


def _outline(value: Mapping, size: tuple[int, int], who: str) -> np.ndarray | Patch:
    if 'rle' in value:
        return Patch(0, 0, decode_brush(need(value, 'rle', list, who), size, who))
    unit = np.array(size[::-1]) / 100  # coordinates are per cent
    if 'points' in value:
        if value.get('closed') is False:
            raise UserValueError(f'{who}: the polygon is open', advice='close it')
        return read_ring(read_points(value['points'], who) * unit, who)

    def numbers(*keys: str) -> np.ndarray:
        return read_points([[need(value, each, (int, float), who) for each in keys]], who)[0]

    corner = numbers('x', 'y') * unit
    rotation = need({'rotation': 0, **value}, 'rotation', (int, float), who)
    if 'radiusX' in value:
        return ellipse(corner, numbers('radiusX', 'radiusY') * unit, rotation)
    w, h = numbers('width', 'height') * unit
    box = np.array([[0, 0], [w, 0], [w, h], [0, h]])
    return turned(box, rotation) + corner  # around its first corner

"""Annotations of labelme: a JSON file for each image."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from msseg.own_data.documents import need, read_json
from msseg.own_data.shapes import (
    Annotations,
    Notes,
    Patch,
    Sample,
    Shape,
    ellipse,
    read_points,
    read_ring,
)
from msseg.own_data.source import Source
from msseg.utils.errors import UserValueError
from msseg.utils.image_file import check_pixels
from msseg.utils.image_header import PILLOW_ERRORS, opened_by_pillow
from msseg.utils.text_file import read_user_lines

_WITHOUT_AREA = ('line', 'linestrip', 'point', 'points')
# of labelme's own examples: their first line is -1 in its list of labels
_IGNORED, _LABELS = '__ignore__', 'labels.txt'


def read_labelme(source: Source) -> Annotations:
    """Read all JSON files below the source; later shapes lie above earlier ones."""
    notes = Notes()
    samples = []
    for file in source.files('.json'):
        document = read_json(file)
        if not isinstance(document, Mapping) or 'shapes' not in document:
            notes.add('a JSON file without shapes is no file of labelme and is left out', file)
            continue
        samples.append(_sample(file, document, source.split_of(file), notes))
    source.refuse_none(samples, 'JSON file of labelme')
    classes = None
    if (labels := source.root / _LABELS).is_file():
        lines = [line for _, line in read_user_lines(labels, str(labels))]
        classes = [line for line in lines if line != _IGNORED]
    return Annotations(samples, classes, str(labels), notes=notes)


def _sample(file: Path, document: Mapping, split: str | None, notes: Notes) -> Sample:
    image = need(document, 'imagePath', str, str(file))
    size = tuple(document.get(f'image{side}') for side in ('Height', 'Width'))
    shapes = []
    for i, node in enumerate(need(document, 'shapes', list, str(file)), 1):
        shape = _shape(node, f'shape {i}', f'{file}, shape {i}', notes)
        shapes += [shape] if shape else []
    is_sized = all(type(side) is int for side in size)
    size = size if is_sized else None
    return Sample(file, image, shapes, size=size, split=split, near=[file.parent])


def _shape(node: Any, where: str, who: str, notes: Notes) -> Shape | None:
    label = need(node, 'label', str, who)
    kind = node.get('shape_type') or 'polygon'
    points = need(node, 'points', list, who)
    if kind in _WITHOUT_AREA:
        notes.add(f'a {kind!r} has no area and is left out', who)
        return None
    if kind == 'mask':
        return Shape(label, where, patch=_mask(node, points, who))
    if kind in ('polygon', 'oriented_rectangle'):
        ring = read_ring(points, who)
    elif kind in ('rectangle', 'circle'):
        ring = _of_two(kind, points, who)
    else:
        known = ('polygon', 'rectangle', 'circle', 'mask', *_WITHOUT_AREA)
        raise UserValueError(key='shape_type', got=kind, expected=f'one of {known}', who=who)
    return Shape(label, where, [ring])


def _of_two(kind: str, points: Sequence, who: str) -> np.ndarray:
    if len(points) != 2:
        raise UserValueError(key='points', got=points, expected=f'two for a {kind}', who=who)
    first, second = read_points(points, who)
    if kind == 'circle':  # its centre and a point on it
        return ellipse(first, [float(np.hypot(*(second - first)))] * 2)
    (left, top), (right, bottom) = first, second
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def _mask(node: Mapping, points: Sequence, who: str) -> Patch:
    """Return a mask: a PNG of the box that two points span, both inside."""
    try:
        data = base64.b64decode(need(node, 'mask', str, who), validate=True)
        with opened_by_pillow(io.BytesIO(data)) as img:
            check_pixels(img.size[::-1], who)
            mask = np.array(img.convert('L')) > 0
    except (binascii.Error, *PILLOW_ERRORS) as error:
        raise UserValueError(f'{who}: the mask is no PNG in base64 ({error})') from None
    corners = np.round(read_points(points, who)).astype(int)
    left, top = corners.min(axis=0).tolist()
    size = tuple((corners.max(axis=0) - corners.min(axis=0) + 1).tolist()[::-1])
    if len(corners) != 2 or mask.shape != size:
        raise UserValueError(
            f'{who}: the mask is of {mask.shape[0]}x{mask.shape[1]} pixels',
            expected=f'{size[0]}x{size[1]}, as its points say',
        )
    return Patch(top, left, mask)

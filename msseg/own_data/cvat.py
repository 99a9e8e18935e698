"""Annotations of CVAT: the XML file of "CVAT for images 1.1"."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from msseg.own_data.documents import attribute, number, read_xml
from msseg.own_data.run_lengths import decode_runs
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
from msseg.utils.errors import UserValueError
from msseg.utils.image_file import check_pixels

_WITHOUT_AREA = ('polyline', 'points', 'cuboid', 'skeleton', 'tag')


def read_cvat(source: Source) -> Annotations:
    """Read CVAT's XML files; of objects that overlap the one of a higher z_order lies above."""
    notes = Notes()
    samples: list[Sample] = []
    classes: dict[str, None] = {}
    for file in source.files('.xml'):
        root = read_xml(file)
        if root.tag != 'annotations':
            notes.add('an XML file without <annotations> is none of CVAT and is left out', file)
            continue
        if root.find('track') is not None:
            raise UserValueError(
                f'{file}: it holds tracks of a video', advice="export 'CVAT for images 1.1'"
            )
        labels = root.findall('./meta//labels/label/name')
        classes.update(dict.fromkeys((node.text or '').strip() for node in labels))
        for node in root.findall('image'):
            samples.append(_sample(file, node, notes))
            subset = node.get('subset') or ''  # CVAT's own name of a split
            samples[-1].split = source.split_of(file.with_name(f'{subset}.xml'.lower()))
    source.refuse_none(samples, 'image in an XML file of CVAT')
    return Annotations(samples, [*classes] or None, f'labels of {source.path}', notes=notes)


def _sample(file: Path, node: Element, notes: Notes) -> Sample:
    name = attribute(node, 'name', f'{file}, an image')
    who = f'{file}, image {name!r}'
    size = tuple(number(attribute(node, k, who), k, who, int) for k in ('height', 'width'))
    shapes = []
    for i, child in enumerate(node, 1):
        where = f'<{child.tag}> {i}'
        if child.tag in _WITHOUT_AREA:
            notes.add(f'a <{child.tag}> has no area and is left out', f'{who}, {where}')
        elif child.tag not in _READERS:
            raise UserValueError(
                f'{who}: <{child.tag}> is not known', expected=f'one of {[*_READERS]}'
            )
        else:
            shapes.append(_shape(child, where, f'{who}, {where}'))
    shapes.sort(key=lambda shape: shape.z)
    return Sample(file, name, shapes, size=size, near=[file.parent, file.parent / 'images'])


def _shape(node: Element, where: str, who: str) -> Shape:
    outline = _READERS[node.tag](node, who)
    z = number(node.get('z_order', '0'), 'z_order', who, int)
    label = attribute(node, 'label', who)
    if isinstance(outline, Patch):
        return Shape(label, where, patch=outline, z=z)
    return Shape(label, where, [outline], z=z)


def _numbers(node: Element, who: str, *keys: str) -> list[float]:
    return [number(attribute(node, key, who), key, who) for key in keys]


def _polygon(node: Element, who: str) -> np.ndarray:
    pairs = [pair.split(',') for pair in attribute(node, 'points', who).split(';') if pair.strip()]
    return read_ring(pairs, who)


def _box(node: Element, who: str) -> np.ndarray:
    left, top, right, bottom = _numbers(node, who, 'xtl', 'ytl', 'xbr', 'ybr')
    corners = read_points([[left, top], [right, top], [right, bottom], [left, bottom]], who)
    centre = corners.mean(axis=0)
    return turned(corners - centre, _rotation(node, who)) + centre


def _ellipse(node: Element, who: str) -> np.ndarray:
    cx, cy, rx, ry = _numbers(node, who, 'cx', 'cy', 'rx', 'ry')
    return read_points(ellipse((cx, cy), (rx, ry), _rotation(node, who)), who)


def _rotation(node: Element, who: str) -> float:
    return number(node.get('rotation', '0'), 'rotation', who)


def _mask(node: Element, who: str) -> Patch:
    keys = ('top', 'left', 'height', 'width')
    top, left, h, w = (number(attribute(node, key, who), key, who, int) for key in keys)
    check_pixels((h, w), who)
    words = attribute(node, 'rle', who).split(',')
    counts = [number(word, 'rle', who, int) for word in words if word.strip()]
    return Patch(top, left, decode_runs(counts, h * w, who).reshape(h, w))


_READERS: dict[str, Callable[[Element, str], np.ndarray | Patch]] = {
    'polygon': _polygon,
    'box': _box,
    'ellipse': _ellipse,
    'mask': _mask,
}

"""Twelve images with their labels, written in the formats of labelling tools.

The labels are computed by matplotlib's test of points in polygons; the encoders of run lengths are
written from the formats' descriptions. Neither shares code with what reads them.
"""

from __future__ import annotations

import json
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
from matplotlib.path import Path as Outline
from PIL import Image

CLASSES = ('background', 'cell', 'nucleus', 'debris')
COLOURS = ((0, 0, 0), (200, 30, 30), (30, 200, 30), (30, 30, 200))
SIZE = (48, 64)
NUM_IMAGES = 12
NAMES = [f'{"ab"[i % 2]}/picture {i:02d}é.png' for i in range(NUM_IMAGES)]


def polygons(index: int) -> list[tuple[str, np.ndarray]]:
    """Return an image's objects, from the lowest: a cell, its nucleus, a hole in it, debris."""
    rng = np.random.default_rng(index)

    def blob(x, y, radius):
        angle = np.linspace(0, 2 * np.pi, 9)[:-1] + rng.uniform(0, 1)
        radii = radius * rng.uniform(0.8, 1.2, (8, 1))
        return np.round(np.stack([np.cos(angle), np.sin(angle)], 1) * radii + (x, y), 3)

    x, y = rng.uniform(20, 26, 2)
    shapes = [('cell', blob(x, y, 14)), ('nucleus', blob(x, y, 9)), ('background', blob(x, y, 4))]
    if index % 3 == 0:
        shapes.append(('debris', blob(52, 38, 3)))
    return shapes


def label_of(index: int) -> np.ndarray:
    """Return (h, w) uint8 of class indices."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    centres = np.stack([x.ravel(), y.ravel()], 1)
    label = np.zeros(SIZE, np.uint8)
    for name, corners in polygons(index):
        label[Outline(corners).contains_points(centres).reshape(SIZE)] = CLASSES.index(name)
    return label


def write_images(folder: Path) -> None:
    """Write the images: colours of the labels, with noise."""
    for i, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(i).integers(0, 50, (*SIZE, 3))
        Image.fromarray((np.array(COLOURS)[label_of(i)] + noise).clip(0, 255).astype('u1')).save(
            path
        )


def write_labelme(root: Path) -> None:
    write_images(root)
    for i, name in enumerate(NAMES):
        shapes = [
            dict(label=label, points=points.tolist(), shape_type='polygon', group_id=None, flags={})
            for label, points in polygons(i)
        ]
        document = dict(
            version='5.4.1', flags={}, shapes=shapes, imagePath=Path(name).name, imageData=None,
            imageHeight=SIZE[0], imageWidth=SIZE[1],
        )  # fmt: skip
        (root / name).with_suffix('.json').write_text(json.dumps(document))
    lines = ['__ignore__', *CLASSES]
    (root / 'labels.txt').write_text('\n'.join(lines))


def runs(mask: np.ndarray) -> list[int]:
    """Return lengths of runs of a flat mask, of False first."""
    counts, value = [0], False
    for pixel in mask.tolist():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    return counts


def compressed(counts: list[int]) -> str:
    """Return COCO's compressed form of lengths of runs."""
    text = ''
    for i, count in enumerate(counts):
        rest = count - (counts[i - 2] if i > 2 else 0)
        more = True
        while more:
            bits, rest = rest & 31, rest >> 5
            more = rest != (-1 if bits & 16 else 0)
            text += chr(48 + (bits | 32 if more else bits))
    return text


def write_coco(root: Path) -> None:
    """Polygons, and run lengths in both forms, in turn; the order of objects is reversed."""
    write_images(root / 'images')
    images, annotations = [], []
    for i, name in enumerate(NAMES):
        images.append(dict(id=100 + i, file_name=name, height=SIZE[0], width=SIZE[1]))
        label = label_of(i)
        for k, (kind, points) in enumerate(reversed(polygons(i))):
            outline: object = [points.ravel().tolist()]
            if kind == 'nucleus' and i % 3:
                # the hole is in the mask
                counts = runs((label == CLASSES.index(kind)).T.ravel())
                text = compressed(counts) if i % 3 == 1 else counts
                outline = dict(size=list(SIZE), counts=text)
            if kind != 'background' or i % 3 == 0:
                annotations.append(
                    dict(id=len(annotations) + 1, image_id=100 + i, iscrowd=0,
                         category_id=10 * CLASSES.index(kind) + 1, segmentation=outline)
                )  # fmt: skip
            elif k == 0:
                continue
    categories = [dict(id=10 * i + 1, name=name) for i, name in enumerate(CLASSES)]
    # the cell shows through the hole otherwise: its mask has the hole, too
    for annotation in annotations:
        i = annotation['image_id'] - 100
        if i % 3 and annotation['category_id'] == 11:
            counts = runs((label_of(i) == 1).T.ravel())
            annotation['segmentation'] = dict(size=list(SIZE), counts=counts)
    document = dict(images=images, annotations=annotations, categories=categories)
    (root / 'annotations').mkdir(parents=True)
    (root / 'annotations' / 'cells.json').write_text(json.dumps(document))


def write_cvat(root: Path) -> None:
    """Polygons by z_order, written in the reverse order; debris as masks."""
    write_images(root / 'images')
    labels = ''.join(f'<label><name>{name}</name></label>' for name in CLASSES)
    images = ''
    for i, name in enumerate(NAMES):
        inside = ''
        for z, (kind, points) in reversed(list(enumerate(polygons(i)))):
            if kind == 'debris':
                mask = label_of(i) == CLASSES.index(kind)
                (top, *_, bottom), (left, *_, right) = (
                    np.where(mask.any(axis))[0] for axis in (1, 0)
                )
                mask = mask[top : bottom + 1, left : right + 1]
                text = ', '.join(map(str, runs(mask.ravel())))
                inside += (
                    f'<mask label="{kind}" rle="{text}" left="{left}" top="{top}" '
                    f'width="{mask.shape[1]}" height="{mask.shape[0]}" z_order="{z}"/>'
                )
            else:
                text = ';'.join(f'{x},{y}' for x, y in points.tolist())
                inside += f'<polygon label="{kind}" points="{text}" z_order="{z}"/>'
        images += (
            f'<image id="{i}" name={quoteattr(name)} width="{SIZE[1]}" height="{SIZE[0]}">'
            f'{inside}</image>'
        )
    text = f'<annotations><meta><task><labels>{labels}</labels></task></meta>{images}</annotations>'
    (root / 'annotations.xml').write_text(f'<?xml version="1.0" encoding="utf-8"?>{text}')


def brush(mask: np.ndarray) -> list[int]:
    """Return a mask in Label Studio's form: runs of one value, and now and then values each."""
    values = np.repeat(mask.ravel() * 255, 4).tolist()
    bits = f'{len(values):032b}' + f'{7:05b}' + ''.join(f'{n - 1:04b}' for n in (3, 4, 8, 16))
    start = 0
    while start < len(values):
        end = start + 1
        while end < len(values) and values[end] == values[start] and end - start < 60_000:
            end += 1
        if end - start == 4:  # a pixel alone
            bits += '0' + '00' + f'{3:03b}' + ''.join(f'{v:08b}' for v in values[start:end])
        else:
            bits += '1' + '11' + f'{end - start - 1:016b}' + f'{values[start]:08b}'
        start = end
    bits += '0' * (-len(bits) % 8)
    return [int(bits[i : i + 8], 2) for i in range(0, len(bits), 8)]


def write_labelstudio(root: Path) -> None:
    write_images(root / 'images')
    tasks = []
    for i, name in enumerate(NAMES):
        result = []
        for kind, points in polygons(i):
            size = dict(original_height=SIZE[0], original_width=SIZE[1], image_rotation=0)
            if kind == 'debris':
                mask = label_of(i) == CLASSES.index(kind)
                value = dict(format='rle', rle=brush(mask), brushlabels=[kind])
                result.append(dict(type='brushlabels', value=value, **size))
            else:
                percent = points * 100 / np.array(SIZE[::-1])
                value = dict(points=percent.tolist(), closed=True, polygonlabels=[kind])
                result.append(dict(type='polygonlabels', value=value, **size))
        address = f'/data/local-files/?d={name.replace(" ", "%20")}'
        annotations = [dict(id=i, was_cancelled=False, result=result)]
        tasks.append(dict(id=i, data=dict(image=address), annotations=annotations))
    (root / 'export.json').write_text(json.dumps(tasks))


def write_yolo(root: Path) -> None:
    """Objects that hold the hole have an edge to it and back."""
    write_images(root / 'images')
    for i, name in enumerate(NAMES):
        shapes = dict(polygons(i))
        hole = shapes.pop('background')
        for kind in ('cell', 'nucleus'):
            ring = shapes[kind]
            shapes[kind] = np.concatenate([ring, ring[:1], hole, hole[:1]])
        lines = [
            ' '.join(
                [str(CLASSES.index(kind)), *(f'{v:.17g}' for v in (points / SIZE[::-1]).ravel())]
            )
            for kind, points in shapes.items()
        ]
        path = (root / 'labels' / name).with_suffix('.txt')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(lines))
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def write_voc(root: Path) -> None:
    write_images(root / 'JPEGImages')
    _write_colours(root / 'SegmentationClass')
    lines = ['# label:color_rgb:parts:actions']
    lines += [f'{n}:{r},{g},{b}::' for n, (r, g, b) in zip(CLASSES, COLOURS, strict=True)]
    (root / 'labelmap.txt').write_text('\n'.join(lines))


def write_rgb(root: Path) -> None:
    write_images(root / 'images')
    _write_colours(root / 'masks')
    lines = ['name,r,g,b']
    lines += [f'{n},{r},{g},{b}' for n, (r, g, b) in zip(CLASSES, COLOURS, strict=True)]
    (root / 'class_dict.csv').write_text('\n'.join(lines))


def write_folder(root: Path) -> None:
    write_images(root / 'images')
    for i, name in enumerate(NAMES):
        path = root / 'masks' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(label_of(i)).save(path)
    (root / 'classes.txt').write_text('\n'.join(CLASSES))


def _write_colours(folder: Path) -> None:
    for i, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array(COLOURS, 'u1')[label_of(i)]).save(path)


WRITERS = {
    'labelme': write_labelme,
    'coco': write_coco,
    'voc': write_voc,
    'cvat': write_cvat,
    'labelstudio': write_labelstudio,
    'yolo': write_yolo,
    'rgb': write_rgb,
    'folder': write_folder,
}

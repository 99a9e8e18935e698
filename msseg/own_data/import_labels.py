"""Make a data set from the annotations of a labelling tool."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from msseg.datasets.data_yaml import IMAGE_SUFFIXES, SPLITS
from msseg.datasets.result_files import write_label_file
from msseg.own_data.class_table import ClassTable, choose_classes
from msseg.own_data.coco import read_coco
from msseg.own_data.cvat import read_cvat
from msseg.own_data.image_finder import RECORD, ImageFinder
from msseg.own_data.image_size import image_header, turn_if_stored, upright_size
from msseg.own_data.label_studio import read_label_studio
from msseg.own_data.labelme import read_labelme
from msseg.own_data.masks import read_folder, read_mask, read_rgb, read_voc
from msseg.own_data.shapes import IGNORED, Annotations, Notes, Sample, paint
from msseg.own_data.source import Source
from msseg.own_data.split import stratified_split
from msseg.own_data.yolo import read_yolo
from msseg.utils.atomic import atomic_path, atomic_write_text
from msseg.utils.errors import UserOSError, UserValueError, check_one_of
from msseg.utils.outputs import Outputs, are_unique, unique_names
from msseg.utils.progress_bar import progress_bar

READERS: dict[str, Callable[[Source], Annotations]] = {
    'labelme': read_labelme,
    'coco': read_coco,
    'voc': read_voc,
    'cvat': read_cvat,
    'labelstudio': read_label_studio,
    'yolo': read_yolo,
    'rgb': read_rgb,
    'folder': read_folder,
}
DATA_YAML = 'data.yaml'
_DEFAULT_VAL = 0.2


@dataclass(frozen=True)
class ImportOptions:
    """How labels are imported.

    Attributes:
        val: Share of images for validation; None keeps the division of the source, or is 0.2.
        seed: Of that division.
        ignored: Labels whose pixels do not count.
        background: Name of the class of pixels without an object; see `choose_classes`.
        overlap: ``file`` or ``area``: which of overlapping objects lies above; None for what the
            format says.
        link: Make symbolic links to the images, not copies.
        force: Replace what an earlier import wrote to the folder.
    """

    val: float | None = None
    seed: int = 0
    ignored: Sequence[str] = ()
    background: str | None = None
    overlap: str | None = None
    link: bool = False
    force: bool = False


class Imported(NamedTuple):
    """What an import has written.

    Attributes:
        data: The data YAML.
        lines: Its report.
    """

    data: Path
    lines: list[str]


class _Item(NamedTuple):
    sample: Sample
    image: Path
    name: str  # of the results, without split and suffix


def import_labels(
    kind: str, source: Source, out: Path, options: ImportOptions | None = None
) -> Imported:
    """Write ``images/SPLIT``, ``annotations/SPLIT``, ``data.yaml`` and ``import.json``.

    All annotations are read and all labels painted before anything is written.

    Args:
        kind: A key of `READERS`.
        source: The annotations.
        out: The folder to write to.
        options: See `ImportOptions`.

    Raises:
        ValueError, TypeError, KeyError: An annotation is wrong; the message names its file.
        FileNotFoundError: An image is missing.
        FileExistsError: `out` holds files.
    """
    options = options or ImportOptions()
    check_one_of('the format', kind, READERS)
    source.check()
    _check_places(source, out)
    annotations = READERS[kind](source)
    notes = annotations.notes
    _refuse_unused(kind, annotations, source, options)
    if options.overlap is not None:
        annotations.by_area = options.overlap == 'area'
    table = choose_classes(annotations, source.classes, options.ignored, options.background)
    items = _find_images(annotations, source, options.val is None)
    painter = _Painter(annotations, table, Notes())
    present = [painter.classes_in(item) for item in progress_bar(items, desc='read')]
    splits, how = _divide(items, present, options)
    new = _result_names(items, splits)
    _make_room(out, options.force)
    files = Outputs([item.image for item in items]).files(
        out, [name for names in new for name in names], '--out'
    )
    record = {'format': kind, 'source': str(source.path), 'classes': table.names,
              'files': [f for names in new for f in names]}  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    # first, so that --force knows what an import that was stopped has written
    atomic_write_text(out / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + '\n')
    for i, item in enumerate(progress_bar(items, desc='written')):
        _place_image(item.image, files[2 * i], options.link)
        write_label_file(files[2 * i + 1], painter.label(item))
    used = [split for split in SPLITS if split in splits]
    atomic_write_text(out / DATA_YAML, _data_yaml(table, used))
    own = _report(table, splits, present, how)
    return Imported(out / DATA_YAML, [*own, *notes.lines(), *painter.notes.lines()])


class _Painter:
    """Makes labels, each as often as it is needed: they are not kept in memory."""

    def __init__(self, annotations: Annotations, table: ClassTable, notes: Notes) -> None:
        self._annotations, self._table, self.notes = annotations, table, notes

    def classes_in(self, item: _Item) -> frozenset[int]:
        """Return the classes of a label, and take note of what is left out."""
        return frozenset(np.unique(self._paint(item, self.notes)).tolist()) - {IGNORED}

    def label(self, item: _Item) -> np.ndarray:
        """Return (h, w) uint8."""
        return self._paint(item, Notes())

    def _paint(self, item: _Item, notes: Notes) -> np.ndarray:
        sample, table = item.sample, self._table
        if sample.mask is not None:
            label = read_mask(sample.mask, self._annotations.label_map, len(table.names))
        else:
            size = sample.size or upright_size(item.image)
            _check_size(size, item)
            by_area = self._annotations.by_area
            label = paint(
                sample.shapes, size, table.index_of, table.background, by_area, notes, sample.who
            )
        label, is_turned = turn_if_stored(label, item.image, str(sample.mask or sample.who))
        if is_turned:
            notes.add('labels of an image as stored are turned by its EXIF orientation', item.image)
        return label


def _check_size(size: tuple[int, int], item: _Item) -> None:
    """Raise ValueError before labels of a wrong size, which may be gigantic, are painted."""
    header, upright = image_header(item.image), upright_size(item.image)
    if tuple(size) not in (upright, header.size):
        raise UserValueError(
            f'{item.sample.who}: the labels are of {size[0]}x{size[1]} pixels',
            expected=f'{upright[0]}x{upright[1]}, as {item.image}',
        )


def _refuse_unused(
    kind: str, annotations: Annotations, source: Source, options: ImportOptions
) -> None:
    """Raise ValueError for an option that the format has no use for."""
    given = {'--label-map': source.label_map if kind != 'folder' else None}
    if annotations.indexed:
        own = {'ignore': options.ignored, 'background': options.background}
        given |= {f'--{key}': value for key, value in {**own, 'overlap': options.overlap}.items()}
    for name, value in given.items():
        if value:
            raise UserValueError(
                f'{name} has no effect on {kind}',
                advice=f'see the table of formats, or leave {name} out',
            )


def _check_places(source: Source, out: Path) -> None:
    here = os.path.realpath(out)
    for folder in (*([source.path] if source.path.is_dir() else []), *source.images):
        there = os.path.realpath(folder)
        if os.path.commonpath([here, there]) in (here, there):
            raise UserValueError(
                f'--out: {str(out)!r} and {str(folder)!r}, which is read, lie in one another',
                advice='name another place',
            )


def _find_images(annotations: Annotations, source: Source, keeps_split: bool) -> list[_Item]:
    finder = ImageFinder([source.root, *source.images], annotations.notes)
    samples = annotations.samples
    images = [finder.find(sample) for sample in samples]
    if not annotations.indexed:  # else it is in the notes, with other files that are masks
        for path in finder.others(images):
            annotations.notes.add('an image without annotations is left out', path)
    first: dict[str, Sample] = {}
    for sample, image in zip(samples, images, strict=True):
        image_header(image)
        if not image.name.lower().endswith(IMAGE_SUFFIXES):
            raise UserValueError(
                f'{image}: its name has no suffix of an image', expected=f'one of {IMAGE_SUFFIXES}'
            )
        other = first.setdefault(os.path.realpath(image), sample)
        if other is not sample:
            raise UserValueError(f'{sample.who}: {image} has labels in {other.who}, too')
    names = unique_names(images)
    short = [_without_split(name, s) for name, s in zip(names, samples, strict=True)]
    keys = [f'{sample.split}/{name}' for sample, name in zip(samples, short, strict=True)]
    if keeps_split and are_unique(keys) and all(sample.split for sample in samples):
        names = short
    return [_Item(*parts) for parts in zip(samples, images, names, strict=True)]


def _without_split(name: str, sample: Sample) -> str:
    first, _, rest = name.partition('/')
    return rest if rest and first == sample.split else name


def _divide(
    items: Sequence[_Item], present: Sequence[frozenset[int]], options: ImportOptions
) -> tuple[list[str], str]:
    """Return the split of each image, and how they were divided; test images stay these."""
    given = [item.sample.split for item in items]
    if options.val is None and None not in given and {'train', 'val'} <= {*given}:
        return given, 'as the source has them'
    fraction = _DEFAULT_VAL if options.val is None else options.val
    if not 0 < fraction < 1:
        raise UserValueError(key='--val', got=fraction, expected='a share between 0 and 1')
    divided = [i for i, split in enumerate(given) if split != 'test']
    if len(divided) < 2:
        raise UserValueError(
            f'{items[0].sample.who}: {len(divided)} images cannot be divided', expected='two'
        )
    names = [f'{given[i] or ""}/{items[i].name}' for i in divided]
    chosen = stratified_split(names, [present[i] for i in divided], fraction, options.seed)
    splits = ['test'] * len(items)
    for i, is_val in zip(divided, chosen, strict=True):
        splits[i] = 'val' if is_val else 'train'
    return splits, f'{fraction:g} for validation, by class, seed {options.seed}'


def _result_names(items: Sequence[_Item], splits: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (f'images/{s}/{item.name}{item.image.suffix}', f'annotations/{s}/{item.name}.png')
        for item, s in zip(items, splits, strict=True)
    ]


def _make_room(out: Path, force: bool) -> None:
    """Raise FileExistsError if a folder holds files; with `force` remove those of an import."""
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not force:
        raise FileExistsError(
            f'--out: {str(out)!r} holds files: name another folder, or give --force to replace an '
            'earlier import'
        )
    root = os.path.realpath(out)
    try:
        record = json.loads((out / RECORD).read_text(encoding='utf-8'))
        old = [out / name for name in record['files']]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserOSError(
            f'--force: {str(out)!r} holds files, and no {RECORD} of an earlier import says that '
            'they may go',
            advice='name another folder',
        ) from None
    for path in old:
        place = os.path.realpath(path.parent)
        if os.path.commonpath([place, root]) == root and place != root:
            path.unlink(missing_ok=True)
    for folder in ('images', 'annotations'):
        rest = [path for path in (out / folder).rglob('*') if not path.is_dir()]
        if rest:
            raise FileExistsError(
                f'--force: {rest[0]} is of no earlier import, and would be in the data set: move '
                'it away'
            )


def _place_image(image: Path, target: Path, link: bool) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if link:
        target.symlink_to(image.resolve())
        return
    with atomic_path(target) as temporary:
        shutil.copyfile(image, temporary)


def _data_yaml(table: ClassTable, splits: Sequence[str]) -> str:
    values: dict[str, Any] = {split: f'images/{split}' for split in splits}
    values |= {'masks_dir': 'annotations', 'names': dict(enumerate(table.names))}
    if table.palette is not None:
        values['palette'] = [list(colour) for colour in table.palette]
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None)


def _report(
    table: ClassTable, splits: Sequence[str], present: Sequence[Mapping | frozenset], how: str
) -> list[str]:
    count = Counter(splits)
    parts = ', '.join(f'{count[split]} {split}' for split in SPLITS if split in count)
    lines = [
        f'{len(splits)} images: {parts} ({how})',
        f'classes in the order of {table.order_from}',
    ]
    for i, name in enumerate(table.names):
        by_split = Counter(s for s, own in zip(splits, present, strict=True) if i in own)
        where = ', '.join(f'{by_split[split]} {split}' for split in SPLITS if split in count)
        is_background = ', also of pixels without an object' if i == table.background else ''
        lines.append(f'  {i} {name}: in {where} images{is_background}')
    if table.background == IGNORED and table.index_of:
        lines.append('  pixels without an object do not count (255)')
    return lines

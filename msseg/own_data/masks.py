"""Label masks: of colours (Pascal VOC, others), and of class indices."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from msseg.datasets.data_yaml import IMAGE_SUFFIXES
from msseg.datasets.file_lists import files_below
from msseg.datasets.pascal_voc import PascalVOCDataset
from msseg.datasets.pipelines.label_file import decode_label
from msseg.datasets.pipelines.label_map import map_values
from msseg.own_data.shapes import IGNORED, Annotations, Notes, Sample
from msseg.own_data.source import Source
from msseg.utils.errors import UserFileNotFoundError, UserValueError
from msseg.utils.image_bytes import read_bytes
from msseg.utils.image_header import read_header
from msseg.utils.suggest import did_you_mean
from msseg.utils.text_file import read_user_lines

Colour = tuple[int, int, int]
_VOC_BORDER = (224, 224, 192)
_IMAGE_FOLDERS = ('images', 'image', 'imgs', 'img', 'jpegimages', 'leftimg8bit')
_MASK_FOLDERS = (
    *('masks', 'mask', 'labels', 'label', 'annotations', 'annotation', 'ann', 'anns', 'gt'),
    *('segmentationclass', 'gtfine', 'segmentation', 'labels_colored'),
)
# what names of images and masks of one pair end with
_ENDINGS = re.compile(r'[_-](mask|masks|label|labels|gt|seg|segmentation|sat|image|img|L)$')
_COLOUR_FILES = ('labelmap.txt', 'class_dict.csv', 'classes.csv', 'colors.csv', 'colours.csv')
_MOST_SHOWN = 8


def read_voc(source: Source) -> Annotations:
    """Read Pascal VOC's folders: ``SegmentationClass``, ``JPEGImages``, ``ImageSets``.

    ``labelmap.txt`` has the classes and their colours; without it they are Pascal VOC's own, whose
    borders of objects do not count.
    """
    masks, images = source.folder('SegmentationClass'), source.folder('JPEGImages')
    if masks is None or images is None:
        raise UserFileNotFoundError(
            f'{source.path}: there is no {"SegmentationClass" if masks is None else "JPEGImages"}',
            expected="Pascal VOC's folders SegmentationClass and JPEGImages",
        )
    notes = Notes()
    splits = {
        name: split
        for split in ('train', 'val', 'test')
        if (file := source.root / 'ImageSets' / 'Segmentation' / f'{split}.txt').is_file()
        for _, name in read_user_lines(file, str(file))
    }
    samples = _pairs(_files(images), _files(masks), notes)
    if splits:
        notes_of = 'a mask that ImageSets/Segmentation does not list is left out'
        for sample in samples:
            sample.split = splits.get(sample.file.relative_to(masks).with_suffix('').as_posix())
            if sample.split is None:
                notes.add(notes_of, sample.file)
        samples = [sample for sample in samples if sample.split]
        _refuse_unlisted(source, splits, samples, masks)
    source.refuse_none(samples, 'mask with an image')
    table = _colour_table(source)
    if table is None:
        table = dict(zip(PascalVOCDataset.PALETTE, PascalVOCDataset.CLASSES, strict=True))
        notes.add("without labelmap.txt, classes and colours are Pascal VOC's own")
    return _coloured(samples, table, source, notes, borders=[_VOC_BORDER])


def read_rgb(source: Source) -> Annotations:
    """Read folders of images and of masks whose colours a table names."""
    notes = Notes()
    samples = _find_pairs(source, notes)
    table = _colour_table(source)
    if table is None:
        colours = _colours_of(samples[0].mask)
        raise UserValueError(
            f'{source.path}: the classes of the colours are unknown; {samples[0].mask} has '
            f'{colours}',
            advice=f'write them into {source.root / _COLOUR_FILES[1]}, as lines name,r,g,b',
        )
    return _coloured(samples, table, source, notes)


def read_folder(source: Source) -> Annotations:
    """Read folders of images and of masks of class indices."""
    notes = Notes()
    samples = _find_pairs(source, notes)
    names, where = source.classes, '--classes'
    for file in (source.root / 'classes.txt', source.root / 'labels.txt'):
        if names is None and file.is_file():
            names, where = [line for _, line in read_user_lines(file, str(file))], str(file)
    if names is None:
        raise UserValueError(
            f'{source.path}: the names of the classes are unknown',
            advice='give --classes, in the order of their values from 0, or write classes.txt',
        )
    return Annotations(
        samples, list(names), where, label_map=source.label_map, indexed=True, notes=notes
    )


def read_mask(path: Path, label_map: Mapping | None, num_classes: int) -> np.ndarray:
    """Read a mask as class indices and 255.

    Args:
        path: The file; palette files have their colours if `label_map` is from colours.
        label_map: See `parse_label_map`; None for class indices.
        num_classes: Number of classes.

    Returns:
        (h, w) uint8.

    Raises:
        ValueError: It cannot be decoded, or a value or colour is of no class.
    """
    by_colour = {key: value for key, value in (label_map or {}).items() if isinstance(key, tuple)}
    values = _decoded(path, bool(by_colour))
    if values.ndim == 3:
        return _classes_of(values, by_colour, path)
    if label_map and not by_colour:
        values = map_values(values, label_map)
    found = np.unique(values)
    wrong = [v for v in found.tolist() if not 0 <= v < num_classes and v != IGNORED]
    if wrong:
        raise UserValueError(
            f'the values {wrong[:_MOST_SHOWN]} are of no class',
            file=str(path),
            expected=f'0 to {num_classes - 1}, and {IGNORED} for pixels that do not count',
            advice="give more --classes, or say what they mean, such as --label-map '1-254:1'",
        )
    return values.astype(np.uint8)


def _decoded(path: Path, by_colour: bool) -> np.ndarray:
    data = read_bytes(path)
    values = decode_label(data, path)
    header = read_header(data)
    if by_colour and values.ndim == 2 and header is not None and header.palette:
        palette = np.zeros((256, 3), np.uint8)
        palette[: len(header.palette)] = header.palette
        return palette[values]
    return values


def _classes_of(pixels: np.ndarray, by_colour: Mapping, path: Path) -> np.ndarray:
    if not by_colour:
        raise UserValueError(
            'it has colours', file=str(path), expected='class indices', advice='import it as rgb'
        )
    packed = _packed(pixels)
    colours, inverse = np.unique(packed, return_inverse=True)
    named = [_unpacked(colour) for colour in colours.tolist()]
    unknown = [colour for colour in named if colour not in by_colour]
    if unknown:
        count = int((packed == colours[named.index(unknown[0])]).sum())
        raise UserValueError(
            f'the colour {unknown[0]} ({count} px) is of no class'
            + (f', nor are {len(unknown) - 1} more' if unknown[1:] else ''),
            file=str(path),
            expected=f'one of {[*by_colour]}',
            advice='add it to the table of colours; the name ignore stands for 255',
        )
    return np.array([by_colour[c] for c in named], np.uint8)[inverse.reshape(packed.shape)]


def _packed(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)


def _unpacked(colour: int) -> Colour:
    return colour >> 16, (colour >> 8) & 255, colour & 255


def _colours_of(path: Path) -> str:
    pixels = _decoded(path, True)
    if pixels.ndim == 2:
        return f'the values {np.unique(pixels).tolist()[:_MOST_SHOWN]}: import it as folder'
    colours = np.unique(_packed(pixels)).tolist()
    more = f' and {len(colours) - _MOST_SHOWN} more' if len(colours) > _MOST_SHOWN else ''
    return ', '.join(str(_unpacked(colour)) for colour in colours[:_MOST_SHOWN]) + more


def _colour_table(source: Source) -> dict[Colour, str] | None:
    """Return names by their colours, in the order of the table; None without a table."""
    file = next((f for n in _COLOUR_FILES if (f := source.root / n).is_file()), None)
    if file is None:
        return None
    table: dict[Colour, str] = {}
    for line, text in read_user_lines(file, str(file)):
        if text.startswith('#'):
            continue
        row = next(csv.reader([text])) if file.suffix == '.csv' else re.split('[:,]', text)
        name, *values = (word.strip() for word in row)
        if not table and [v.lower() for v in values[:3]] == ['r', 'g', 'b']:
            continue
        numbers = [int(v) if v.isdecimal() and int(v) < 256 else None for v in values[:3]]
        if len(numbers) < 3 or None in numbers or not name:
            form = 'name,r,g,b' if file.suffix == '.csv' else 'name:r,g,b'
            raise UserValueError(f'got {text!r}', file=str(file), line=line, expected=form)
        colour = tuple(numbers)
        if table.setdefault(colour, name) != name:
            raise UserValueError(
                f'{colour} is {table[colour]!r} and {name!r}', file=str(file), line=line
            )
    return table


def _coloured(
    samples: list[Sample],
    table: Mapping[Colour, str],
    source: Source,
    notes: Notes,
    borders: Sequence[Colour] = (),
) -> Annotations:
    ignored = ('ignore', 'void', '__ignore__', 'unlabeled', 'unlabelled')
    own = list(dict.fromkeys(name for name in table.values() if name.lower() not in ignored))
    names = list(source.classes or own)
    label_map: dict[Colour, int] = dict.fromkeys(borders, IGNORED)
    for colour, name in table.items():
        if name not in names and name.lower() not in ignored:
            hint = did_you_mean(name, names)
            raise UserValueError(f'--classes lacks {name!r} of the table of colours.{hint}')
        label_map[colour] = names.index(name) if name in names else IGNORED
        if name not in names:
            notes.add(f'{name!r} does not count (255)')
    first = {name: colour for colour, name in reversed(table.items())}
    palette = [first[name] for name in names] if all(name in first for name in names) else None
    return Annotations(
        samples,
        names,
        '--classes' if source.classes else 'the table of colours',
        label_map=label_map,
        palette=palette,
        indexed=True,
        notes=notes,
    )


def _files(folder: Path) -> dict[tuple[str, ...], list[Path]]:
    found = defaultdict(list)
    for name in files_below(str(folder)):
        if name.lower().endswith(IMAGE_SUFFIXES):
            found[_key(Path(name))].append(folder / name)
    return found


def _key(path: Path) -> tuple[str, ...]:
    """Return what an image's path has in common with its mask's."""
    return (*path.parts[:-1], _ENDINGS.sub('', path.stem))


def _find_pairs(source: Source, notes: Notes) -> list[Sample]:
    """Return the pairs below a source: folders such as images and masks at any place of a path."""
    images, masks = defaultdict(list), defaultdict(list)
    for name in files_below(str(source.root)):
        path = Path(name)
        is_mask = any(part.lower() in _MASK_FOLDERS for part in path.parts[:-1])
        roles = _MASK_FOLDERS if is_mask else _IMAGE_FOLDERS
        if name.lower().endswith(IMAGE_SUFFIXES):
            kept = [part for part in path.parts[:-1] if part.lower() not in roles]
            (masks if is_mask else images)[_key(Path(*kept, path.name))].append(source.root / name)
    for folder in source.images:
        for key, files in _files(folder).items():
            images[key] += files
    if not masks:
        raise UserFileNotFoundError(
            f'{source.path}: there is no folder of masks',
            expected=f'one called {", ".join(_MASK_FOLDERS[:8])} or the like',
        )
    samples = _pairs(images, masks, notes)
    source.refuse_none(samples, 'mask with an image')
    for sample in samples:
        sample.split = source.split_of(sample.file)
    return samples


def _pairs(images: Mapping, masks: Mapping, notes: Notes) -> list[Sample]:
    samples = []
    for key, files in sorted(masks.items()):
        found = images.get(key, [])
        if not found:
            raise UserFileNotFoundError(
                f'{files[0]}: its image {"/".join(key)} is missing',
                advice='name images and masks alike, or remove the mask',
            )
        if len(found) > 1 or len(files) > 1:
            several = ', '.join(map(str, [*found, *files][:4]))
            raise UserValueError(f'{files[0]}: which image and mask belong together is not clear: '
                                 f'{several}')  # fmt: skip
        samples.append(Sample(files[0], str(found[0].absolute()), mask=files[0]))
    for key in images.keys() - masks.keys():
        notes.add('an image without a mask is left out', images[key][0])
    return samples


def _refuse_unlisted(
    source: Source, splits: Mapping[str, str], samples: Sequence[Sample], masks: Path
) -> None:
    there = {sample.file.relative_to(masks).with_suffix('').as_posix() for sample in samples}
    missing = [name for name in splits if name not in there]
    if missing:
        raise UserFileNotFoundError(
            f'{masks / missing[0]}.png: there is no such mask, which {source.root}/ImageSets/'
            f'Segmentation/{splits[missing[0]]}.txt lists'
        )

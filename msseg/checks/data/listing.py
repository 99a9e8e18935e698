"""Listing a data set's files without refusing any: what does not fit becomes a note."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Sequence
from dataclasses import dataclass, field

from msseg.checks.data.source import Note
from msseg.datasets import file_lists

_IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


@dataclass
class Listing:
    """Images, the names of their labels, and notes.

    Attributes:
        img_infos: As `CustomDataset.load_annotations` returns them; only images that exist.
        notes: What does not fit.
    """

    img_infos: list[dict] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    _names: dict[str, dict[str, str]] = field(default_factory=dict)

    def note(self, kind: str, path: str, text: str = '') -> None:
        """Add a note."""
        self.notes.append(Note(kind, path, text))

    def case_variant(self, path: str) -> str | None:
        """Return the file whose name differs from a missing one's in upper and lower case only."""
        folder, name = osp.split(path)
        if folder not in self._names:
            names = os.listdir(folder or '.') if osp.isdir(folder or '.') else []
            self._names[folder] = {name.lower(): name for name in sorted(names)}
        actual = self._names[folder].get(name.lower())
        return None if actual in (None, name) else osp.join(folder, actual)


def list_folder(
    listing: Listing, img_dir: str, suffixes: Sequence[str], seg_map_suffix: str | None, who: str
) -> None:
    """List a folder of images; note files that the suffixes miss."""
    try:
        listing.img_infos += file_lists.list_folder(img_dir, suffixes, seg_map_suffix, who)
    except FileNotFoundError as error:
        listing.note('missing_folder', img_dir, str(error))
        return
    except ValueError as error:
        listing.note('no_images', img_dir, str(error))
    for name in file_lists.files_below(img_dir):
        if not name.endswith(tuple(suffixes)):
            _note_missed(listing, img_dir, name, suffixes, seg_map_suffix)


def _note_missed(
    listing: Listing, img_dir: str, name: str, suffixes: Sequence[str], seg_map_suffix: str | None
) -> None:
    suffix = next((s for s in suffixes if name.lower().endswith(s.lower())), None)
    if suffix is not None:
        text = f'ends with {name[-len(suffix) :]!r}, not with {suffix!r}'
        listing.note('upper_case_suffix', osp.join(img_dir, name), text)
        return
    # a longer suffix picks one kind of file of several on purpose
    picks_kind = not all(s.startswith('.') for s in suffixes)
    is_label = seg_map_suffix is not None and name.endswith(seg_map_suffix)
    if not picks_kind and not is_label and name.lower().endswith(_IMAGE_SUFFIXES):
        listing.note('other_suffix', osp.join(img_dir, name))


def list_split(
    listing: Listing,
    split: str,
    img_dir: str,
    suffixes: Sequence[str],
    seg_map_suffix: str | None,
    who: str,
) -> None:
    """List the images that a text file names; note those that are missing."""
    try:
        file_lists.check_folder(img_dir, 'img_dir', who)
    except FileNotFoundError as error:
        listing.note('missing_folder', img_dir, str(error))
        return
    for number, name in _read_lines(listing, split, who):
        files = [name + suffix for suffix in suffixes]
        found = next((f for f in files if osp.isfile(osp.join(img_dir, f))), None)
        if found is None:
            _note_missing_image(listing, [osp.join(img_dir, f) for f in files], split, number)
            continue
        label = None if seg_map_suffix is None else name + seg_map_suffix
        listing.img_infos.append(_info(found, label))


def list_pairs(listing: Listing, split: str, img_dir: str, who: str) -> None:
    """List the pairs that a ``.lst`` file names; note lines and images that are not right."""
    for number, line in _read_lines(listing, split, who):
        names = file_lists.split_pair(line)
        if len(names) > 2:
            text = f'line {number} is {line!r}; expected an image and a label'
            listing.note('bad_list', f'{split}, line {number}', text)
        elif not osp.isfile(osp.join(img_dir, names[0])):
            _note_missing_image(listing, [osp.join(img_dir, names[0])], split, number)
        else:
            listing.img_infos.append(_info(names[0], names[1] if len(names) == 2 else None))


def note_labels(
    listing: Listing,
    img_dir: str,
    ann_dir: str,
    suffixes: Sequence[str],
    seg_map_suffix: str,
    who: str,
    look_for_others: bool,
) -> None:
    """Note labels that are missing, and those whose image is.

    Args:
        listing: The images; gets the notes. Missing labels are taken out of it.
        img_dir: Folder of the images.
        ann_dir: Folder of the labels.
        suffixes: What image names end with.
        seg_map_suffix: What label names end with.
        who: The data set's name.
        look_for_others: Look through the folder for labels without image.
    """
    try:
        file_lists.check_folder(ann_dir, 'ann_dir', who)
    except FileNotFoundError as error:
        listing.note('missing_folder', ann_dir, str(error))
        for info in listing.img_infos:
            info.pop('ann', None)
        return
    expected = set()
    for info in listing.img_infos:
        expected.add(info.get('ann', {}).get('seg_map'))
        _note_missing_label(listing, info, img_dir, ann_dir)
    if look_for_others and osp.isdir(img_dir):
        _note_others(listing, img_dir, ann_dir, suffixes, seg_map_suffix, expected)


def _note_missing_label(listing: Listing, info: dict, img_dir: str, ann_dir: str) -> None:
    image = osp.join(img_dir, info['filename'])
    if 'ann' not in info:
        listing.note('image_without_label', image, 'no label is named')
        return
    label = osp.join(ann_dir, info['ann']['seg_map'])
    if osp.isfile(label):
        return
    del info['ann']
    variant = listing.case_variant(label)
    if variant is None:
        listing.note('image_without_label', image, f'there is no {label}')
    else:
        text = f'is the label of {image}, whose name must be {osp.basename(label)}'
        listing.note('upper_case_suffix', variant, text)


def _note_others(
    listing: Listing,
    img_dir: str,
    ann_dir: str,
    suffixes: Sequence[str],
    seg_map_suffix: str,
    expected: set[str | None],
) -> None:
    names = {name.lower() for name in file_lists.files_below(img_dir)}
    endings = [s.lower() for s in (*suffixes, *_IMAGE_SUFFIXES)]
    for label in file_lists.files_below(ann_dir):
        if label in expected or not label.endswith(seg_map_suffix):
            continue
        stem = label[: len(label) - len(seg_map_suffix)]
        # an image in capitals or of another suffix has its own note; one outside the split is there
        if not any(stem.lower() + ending in names for ending in endings):
            wanted = ' or '.join(osp.join(img_dir, stem + s) for s in suffixes)
            listing.note('label_without_image', osp.join(ann_dir, label), f'there is no {wanted}')


def _read_lines(listing: Listing, split: str, who: str) -> list[tuple[int, str]]:
    try:
        return file_lists.read_lines(split, 'split', who)
    except (OSError, ValueError) as error:
        listing.note('bad_list', split, str(error))
        return []


def _note_missing_image(listing: Listing, files: list[str], split: str, number: int) -> None:
    variant = next(filter(None, map(listing.case_variant, files)), None)
    if variant is None:
        text = f'named by {split}, line {number}'
        listing.note('listed_image_missing', ' or '.join(files), text)
    else:
        text = f'{split}, line {number} means {osp.basename(files[0])}'
        listing.note('upper_case_suffix', variant, text)


def _info(image: str, label: str | None) -> dict:
    return dict(filename=image) if label is None else dict(filename=image, ann=dict(seg_map=label))

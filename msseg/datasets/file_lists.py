"""Lists of the images and labels of a data set: folders, split files, lists of pairs.

Each function raises the first problem; inside `collect_problems` it notes all of them.
"""

from __future__ import annotations

import hashlib
import os
import os.path as osp
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import NamedTuple

from msseg.utils.regular_file import file_kind
from msseg.utils.suggest import did_you_mean
from msseg.utils.text_file import read_user_lines

_MOST_NAMED = 5


class Problem(NamedTuple):
    """A problem of a data set's files.

    Attributes:
        rule: ``missing_folder``, ``no_images``, ``bad_list``, ``listed_image_missing``,
            ``image_without_label`` or ``refused``.
        path: The file or folder.
        note: What is wrong with it.
        expected: Missing files, of which one would solve the problem.
    """

    rule: str
    path: str
    note: str
    expected: tuple[str, ...] = ()


_collected: ContextVar[list[Problem] | None] = ContextVar('collected', default=None)


@contextmanager
def collect_problems() -> Iterator[list[Problem]]:
    """Collect the problems of the data sets that are built inside, instead of raising the first.

    What a problem is about is left out of the lists.

    Examples:
        >>> with collect_problems() as problems:
        ...     infos = list_split('no.txt', '.', '.jpg', None, 'CustomDataset')
        >>> infos, problems[0].rule, problems[0].note
        ([], 'bad_list', "CustomDataset: split='no.txt': there is no such file")
    """
    token = _collected.set(problems := [])
    try:
        yield problems
    finally:
        _collected.reset(token)


def report(
    error: Exception, rule: str, path: str, note: str = '', expected: Sequence[str] = ()
) -> None:
    """Raise an error; inside `collect_problems`, note it as a `Problem` and return."""
    problems = _collected.get()
    if problems is None:
        raise error
    problems.append(Problem(rule, path, note or str(error), tuple(expected)))


def list_folder(
    img_dir: str, img_suffix: str | Sequence[str], seg_map_suffix: str | None, who: str
) -> list[dict]:
    """List the images below a folder, sorted by name, each with its label's name.

    Args:
        img_dir: The folder; searched to any depth, hidden files left out.
        img_suffix: What image names end with; one or several.
        seg_map_suffix: What stands in its place in label names; None for no labels.
        who: The data set's name, for errors.

    Returns:
        For each image ``dict(filename=…, ann=dict(seg_map=…))``, relative to the folders.

    Raises:
        FileNotFoundError: No such folder.
        ValueError: No image in it.
    """
    if not check_folder(img_dir, 'img_dir', who):
        return []
    suffixes = as_suffixes(img_suffix)
    names = files_below(img_dir)
    img_infos = []
    for name in names:
        suffix = next((s for s in suffixes if name.endswith(s)), None)
        if suffix is not None:
            stem = name[: len(name) - len(suffix)]
            img_infos.append(_info(name, None if seg_map_suffix is None else stem + seg_map_suffix))
    if not img_infos:
        found = Counter(osp.splitext(name)[1] for name in names).most_common(_MOST_NAMED)
        there = ', '.join(f'{n} of {suffix!r}' for suffix, n in found) or 'none at all'
        error = ValueError(
            f'{who}: img_dir={img_dir!r} has no file whose name ends with '
            f'{" or ".join(map(repr, suffixes))}; it has {there}. Correct img_dir or img_suffix'
        )
        report(error, 'no_images', img_dir)
    return img_infos


def files_below(folder: str) -> list[str]:
    """Return the names of all files in a folder, to any depth, sorted; hidden ones left out."""
    names = []
    folders: list[tuple[str, tuple]] = [('', ())]
    while folders:
        inside, above = folders.pop()
        path = osp.join(folder, inside)
        try:
            place = os.stat(path)
            entries = list(os.scandir(path))
        except OSError:
            continue  # not ours to read
        if (place.st_dev, place.st_ino) in above:
            continue  # a link to a folder that holds it
        for entry in entries:
            name = osp.join(inside, entry.name)
            if entry.is_dir():
                folders.append((name, (*above, (place.st_dev, place.st_ino))))
            elif entry.name[0] != '.':
                names.append(name)
    return sorted(names)


def list_split(
    split: str,
    img_dir: str,
    img_suffix: str | Sequence[str],
    seg_map_suffix: str | None,
    who: str,
) -> list[dict]:
    """List the images that a text file names, one a line, without suffix; see `list_folder`.

    Of several suffixes the first that exists in `img_dir` is taken.

    Raises:
        FileNotFoundError: No such file, or an image that it names is missing.
        ValueError: It names nothing.
    """
    if not check_folder(img_dir, 'img_dir', who):
        return []
    suffixes = as_suffixes(img_suffix)
    img_infos = []
    for number, name in read_lines(split, 'split', who):
        files = [name + s for s in suffixes]
        found = next((f for f in files if osp.isfile(osp.join(img_dir, f))), None)
        if found is None:
            hint = 'lines hold names relative to img_dir without img_suffix'
            tried = [osp.join(img_dir, f) for f in files]
            _report_missing_image(who, split, number, name, tried, hint)
            continue
        img_infos.append(_info(found, None if seg_map_suffix is None else name + seg_map_suffix))
    return img_infos


def list_pairs(split: str, img_dir: str, who: str) -> list[dict]:
    """List the pairs that a ``.lst`` file names: image and label, separated by white space.

    Names that hold spaces need a tab between them; a line may also hold an image alone.

    Raises:
        FileNotFoundError: No such file, or an image that it names is missing.
        ValueError: It names nothing, or a line holds more than two names.
    """
    hint = 'names in it are relative to data_root (or to img_dir and ann_dir, if given)'
    img_infos = []
    for number, line in read_lines(split, 'split', who):
        names = [name.strip() for name in line.split('\t') if name.strip()]
        names = names if len(names) > 1 else line.split()
        path = osp.join(img_dir, names[0])
        if len(names) > 2:
            note = (
                f'is {line!r}; expected an image and a label, separated by a tab, or by white '
                'space where their names hold none'
            )
            place = f'{split}, line {number}'
            report(ValueError(f'{who}: {place} {note}'), 'bad_list', place, note)
        elif not osp.isfile(path):
            _report_missing_image(who, split, number, names[0], [path], hint)
        else:
            img_infos.append(_info(names[0], names[1] if len(names) == 2 else None))
    return img_infos


def _report_missing_image(
    who: str, split: str, number: int, name: str, tried: Sequence[str], hint: str
) -> None:
    files = ' or '.join(tried)
    if not name.isascii():  # some files of GBK are UTF-8 by chance
        hint += (
            f'. If the name looks wrong here, {split} was not written as UTF-8: save it as UTF-8'
        )
    error = FileNotFoundError(
        f'{who}: {split}, line {number} names {name!r}, but there is no {files}; {hint}'
    )
    note = f'named by {split}, line {number}'
    report(error, 'listed_image_missing', files, note, tried)


def take_part(
    img_infos: Sequence[dict], part: str | None, val_fraction: float | None, seed: int, who: str
) -> list[dict]:
    """Return the images for training, or those for validation, of images that have no split.

    The names decide, not their order or number: images stay on their side when some are renamed
    or removed, apart from the few that keep the share. See `CustomDataset` for the arguments.
    """
    if part is None or val_fraction is None:
        raise ValueError(
            f'{who}: val_fraction={val_fraction!r}, split_seed={seed!r}, part={part!r}; expected '
            "a share, the same in train and val, and part='train' in one and 'val' in the other"
        )
    names = {info['filename'] for info in img_infos}
    if len(names) < 2:
        raise ValueError(f'{who}: val_fraction={val_fraction} of {len(names)} image: give a split')
    count = min(max(round(val_fraction * len(names)), 1), len(names) - 1)
    chosen = set(sorted(names, key=lambda name: _shuffled(name, seed))[:count])
    return [info for info in img_infos if (info['filename'] in chosen) == (part == 'val')]


def _shuffled(name: str, seed: int) -> bytes:
    # the same on every system: separators and composed letters differ between them
    name = unicodedata.normalize('NFC', name.replace(os.sep, '/'))
    return hashlib.sha256(f'{seed}/{name}'.encode(errors='surrogateescape')).digest()


def image_name(info: dict, who: str) -> str:
    """Return the name of a sample's image; ValueError where `load_annotations` gave none."""
    if isinstance(info, dict) and 'filename' in info:
        return info['filename']
    raise ValueError(
        f"{who}: load_annotations gave {info!r}; expected dict(filename='a.jpg', "
        "ann=dict(seg_map='a.png')), names relative to img_dir and ann_dir"
    )


def check_labels(
    img_infos: Sequence[dict], img_dir: str | None, ann_dir: str | None, who: str
) -> None:
    """Raise FileNotFoundError unless every image has its label file in `ann_dir`."""
    missing: list[tuple[str, str | None]] = []
    for info in img_infos:
        image, ann = image_name(info, who), info.get('ann') or {}
        if 'seg_map' not in ann and ann:
            raise ValueError(
                f'{who}: load_annotations gave ann={ann!r} for {image}; expected '
                "ann=dict(seg_map='a.png'), the name of the label relative to ann_dir"
            )
        label = ann.get('seg_map')
        path = None if label is None else osp.join(ann_dir or '', label)
        if path is None or not osp.isfile(path):
            missing.append((image, path))
    if missing and ann_dir and not check_folder(ann_dir, 'ann_dir', who):
        return
    for image, label in missing:
        error = FileNotFoundError(
            f'{who}: {len(missing)} of {len(img_infos)} images have no label, the first is '
            f'{image}: expected {label or "a label"}; add the files, or correct ann_dir and '
            'seg_map_suffix (its place in the name is that of img_suffix)'
        )
        note = f'there is no {label}' if label else 'no label is named'
        path = osp.join(img_dir or '', image)
        report(error, 'image_without_label', path, note, [label] if label else [])


def check_folder(folder: str, argument: str, who: str) -> bool:
    """Check that a folder exists; the error names the missing part of its path.

    The root of the file system, which takes hours to search, is refused, too.

    Returns:
        Whether it exists; False only inside `collect_problems`.
    """
    path = f'{argument}={folder!r}'
    if folder and osp.dirname(osp.abspath(folder)) == osp.abspath(folder):
        note = 'is the root of all files: name a folder'
    elif osp.isdir(folder):
        return True
    elif not folder:
        path, note = f'{argument} and data_root', 'are empty: name a folder'
    elif kind := file_kind(folder):
        note = f'is {kind}; expected a folder'
        if folder.endswith(('.json', '.xml')):
            note += ' (msseg import-labels makes label files of annotations)'
    else:
        there = Path(folder)
        while not there.exists() and there != there.parent:
            gone, there = there.name, there.parent
        inside = [p.name for p in there.iterdir() if p.is_dir()] if there.is_dir() else []
        hint = did_you_mean(gone, inside)
        note = f'there is no such folder; {there.resolve()} has no {gone!r}.{hint}'
        error = FileNotFoundError(f'{who}: {path}: {note} Correct data_root or {argument}')
        report(error, 'missing_folder', folder, note)
        return False
    report(FileNotFoundError(f'{who}: {path} {note}'), 'missing_folder', folder, note)
    return False


def read_lines(path: str, argument: str, who: str) -> list[tuple[int, str]]:
    """Read a text file's lines that are not blank, stripped, with their numbers from 1."""
    kind = file_kind(path)
    try:
        if kind not in (None, 'a file'):
            raise ValueError(f'{who}: {argument}={path!r} is {kind}; expected a text file')
        if kind is None:
            raise FileNotFoundError(f'{who}: {argument}={path!r}: there is no such file')
        return read_user_lines(path, f'{who}: {argument}={path!r}')
    except (OSError, ValueError) as error:
        report(error, 'bad_list', path)
    return []


def as_suffixes(img_suffix: str | Sequence[str]) -> tuple[str, ...]:
    """Return one or several suffixes as a tuple."""
    return (img_suffix,) if isinstance(img_suffix, str) else tuple(img_suffix)


def _info(image: str, label: str | None) -> dict:
    return dict(filename=image) if label is None else dict(filename=image, ann=dict(seg_map=label))

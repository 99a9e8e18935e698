"""Findings about images: one by one, with their labels, and among the others."""

from __future__ import annotations

import os.path as osp
from collections import defaultdict
from collections.abc import Mapping, Sequence

from msseg.checks.data.file_scan import ImageScan, PairScan, PairTask, turns_images
from msseg.checks.data.source import Source
from msseg.checks.findings import Findings

FILE_RULES = {
    'missing': 'unreadable_file',
    'empty': 'empty_file',
    'truncated': 'truncated_image',
    'unreadable': 'unreadable_file',
    'setting': 'needs_setting',
}
# At most one in ten is an exception; more are a second kind of image.
_EXCEPTION = 0.1
_FLAT_STD = 2.0
_TURNS = {
    2: 'mirrored',
    3: 'turned by 180 degrees',
    4: 'mirrored upside down',
    5: 'mirrored and turned by 90 degrees counter-clockwise',
    6: 'turned by 90 degrees clockwise',
    7: 'mirrored and turned by 90 degrees clockwise',
    8: 'turned by 90 degrees counter-clockwise',
}

Scans = Mapping[PairTask, PairScan]


def add_image_findings(findings: Findings, source: Source, scans: Scans) -> None:
    """Find images that cannot be loaded, do not fit their labels, are turned, flat or grey."""
    loaded: list[tuple[PairTask, ImageScan]] = []
    for task, scan in source.scanned(scans):
        image = scan.image
        if image is None:
            continue
        if image.problem is not None:
            rule = FILE_RULES[image.problem]
            findings.add(rule, task.image, image.detail, split=source.split)
            continue
        loaded.append((task, image))
        _add_geometry(findings, source.split, task, scan)
        for unused in image.unused:
            note = f'holds {unused.holds}, {unused.taken}'
            if unused.kind == 'bits' and image.largest:
                note += f'; {image.largest}'
            findings.add(f'unused_{unused.kind}', task.image, note, split=source.split)
    _add_flat(findings, source.split, loaded)
    _add_mixed_order(findings, source.split, loaded)
    _add_grey(findings, source.split, loaded)


def _add_geometry(findings: Findings, split: str, task: PairTask, scan: PairScan) -> None:
    image, label = scan.image, scan.label
    has_label = label is not None and label.problem is None
    fits = not has_label or image.size == label.size
    is_turned = image.orientation != 1 and turns_images(task.loading.color_type)
    turn = f'orientation {image.orientation} (shown {_TURNS.get(image.orientation, "upright")})'
    if is_turned and fits:
        findings.add('exif_orientation', task.image, turn, split=split)
    elif is_turned and image.stored_size == label.size:
        note = f'{turn}: loaded as {_text(image.size)}, its label is {_text(label.size)}'
        findings.add('exif_turns_image', task.image, f'{note} (height x width)', split=split)
    elif not fits:
        note = f'{_text(image.size)}, its label {task.label} is {_text(label.size)}'
        findings.add('size_mismatch', task.image, f'{note} (height x width)', split=split)


def _add_flat(findings: Findings, split: str, loaded: Sequence[tuple[PairTask, ImageScan]]) -> None:
    """Find images of nearly one value, where nearly all are; unchanged ones may have any scale."""
    decoded = [
        pair for pair in loaded if pair[1].variance and pair[0].loading.color_type != 'unchanged'
    ]
    flat = [pair for pair in decoded if max(pair[1].variance) < _FLAT_STD**2]
    if len(flat) >= (1 - _EXCEPTION) * len(decoded):
        for task, image in flat:
            mean, std = max(image.mean), max(image.variance) ** 0.5
            note = f'mean {mean:.1f}, standard deviation {std:.1f}, of 0 to 255'
            findings.add('flat_images', task.image, note, split=split)


def _add_mixed_order(
    findings: Findings, split: str, loaded: Sequence[tuple[PairTask, ImageScan]]
) -> None:
    """Find files of colours among files of bands, which are loaded in another order."""
    whole = [
        (task, image)
        for task, image in loaded
        if task.loading.color_type == 'unchanged' and not task.loading.bands and not image.is_grey
    ]
    colours = [(task, image) for task, image in whole if image.is_colour]
    if 0 < len(colours) < len(whole):
        for task, image in colours:
            note = f'{image.form}: blue, green, red; {len(whole) - len(colours)} others have bands'
            findings.add('mixed_order', task.image, note, split=split)


def _add_grey(findings: Findings, split: str, loaded: Sequence[tuple[PairTask, ImageScan]]) -> None:
    """Find the few grey images among all, and among those of one folder and size.

    Images of one origin mostly share their size: a set may well join grey and coloured origins.
    """
    groups: dict[object, list[tuple[str, ImageScan]]] = defaultdict(list)
    for task, image in loaded:
        if task.loading.color_type.startswith('color'):
            groups['all'].append((task.image, image))
            groups[osp.dirname(task.image), image.size].append((task.image, image))
    for group in groups.values():
        grey = [(path, image) for path, image in group if image.is_grey]
        if len(grey) <= _EXCEPTION * len(group):
            for path, image in grey:
                note = f'{image.form}; the other {len(group) - len(grey)} have colours'
                findings.add('grey_among_colour', path, note, split=split)


def add_pairing_findings(findings: Findings, source: Source) -> None:
    """Find images that are their own label, share a label, or have the label of another image."""
    pairs = dict.fromkeys((task.image, task.label) for task in source.tasks if task.label)
    images: dict[str, list[str]] = defaultdict(list)
    for image, label in pairs:
        images[label].append(image)
    stems = {_stem(image) for image, _ in pairs}
    for label, named in images.items():
        rule, note = '', ''
        if label in named:
            rule = 'image_as_label'
        elif len(named) > 1:
            rule, note = 'shared_label', f'of {", ".join(named)}'
        elif _stem(label) != _stem(named[0]) and _stem(label) in stems:
            rule, note = 'crossed_names', f'is the label of {named[0]}'
        if rule:
            findings.add(rule, label, note, split=source.split)


def _stem(path: str) -> str:
    return osp.splitext(osp.basename(path))[0]


class ResolvedPaths(dict):
    """Absolute paths by path, links to folders followed; each folder is resolved once."""

    def __missing__(self, path: str) -> str:
        folder, name = osp.split(path)
        if not name:
            return osp.realpath(path)
        if folder not in self:
            self[folder] = osp.realpath(folder)
        return osp.join(self[folder], name)


def add_repeated_images(findings: Findings, sources: Sequence[Source], scans: Scans) -> None:
    """Find files that several splits name, and images of equal pixels within and across splits."""
    resolved = ResolvedPaths()
    splits: dict[str, list[str]] = defaultdict(list)
    names: dict[str, str] = {}
    by_digest: dict[bytes, list[str]] = defaultdict(list)
    for source in sources:
        for task in source.tasks:
            file = resolved[task.image]
            names.setdefault(file, task.image)
            if source.split not in splits[file]:
                splits[file].append(source.split)
            image = scans[task].image if task in scans else None
            if image is not None and image.digest and file not in by_digest[image.digest]:
                by_digest[image.digest].append(file)
    for file, found in splits.items():
        if 'train' in found and len(found) > 1:
            for split in found:
                note = f'in {" and ".join(found)}'
                findings.add('shared_by_splits', names[file], note, split=split)
    for first, *others in by_digest.values():
        for other in others:
            # shared files have a finding already
            is_apart = set(splits[first]).isdisjoint(splits[other])
            rule = 'duplicate_across_splits' if is_apart else 'duplicate_in_split'
            note = f'has the pixels of {names[first]}'
            for split in dict.fromkeys([*splits[first], *splits[other]]):
                findings.add(rule, names[other], note, split=split)


def _text(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'

"""What is wrong with images, one by one and among the others."""

from __future__ import annotations

import os.path as osp
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msseg.checks.data.file_scan import ImageScan, PairScan, PairTask
from msseg.checks.data.file_scan.image_scan import turns_images
from msseg.checks.data.finding import Findings
from msseg.checks.data.source import Source

_FILE_KINDS = {
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


def add_image_findings(
    findings: Findings, source: Source, scans: Mapping[PairTask, PairScan]
) -> None:
    """Find images that cannot be loaded, do not fit their labels, are turned, or grey."""
    for task, scan in source.scanned(scans):
        if scan.image is None:
            continue
        if scan.image.problem is not None:
            kind = _FILE_KINDS[scan.image.problem]
            findings.add(kind, source.split, task.image, scan.image.detail)
        else:
            _add_geometry(findings, source.split, task, scan)
            for unused in scan.image.unused:
                note = f'holds {unused.holds}, {unused.taken}'
                if unused.kind == 'bits' and scan.image.largest:
                    note += f'; {scan.image.largest}'
                findings.add(f'unused_{unused.kind}', source.split, task.image, note)
    _add_flat(findings, source, scans)
    _add_grey(findings, source, scans)


def _add_geometry(findings: Findings, split: str, task: PairTask, scan: PairScan) -> None:
    image, label = scan.image, scan.label
    has_label = label is not None and label.problem is None
    fits = not has_label or image.size == label.size
    is_turned = image.orientation != 1 and turns_images(task.color_type)
    turn = f'orientation {image.orientation} (shown {_TURNS.get(image.orientation, "upright")})'
    if is_turned and fits:
        findings.add('exif_orientation', split, task.image, turn)
    elif is_turned and image.stored_size == label.size:
        sizes = f'loaded as {_text(image.size)}, its label is {_text(label.size)}'
        findings.add('exif_turns_image', split, task.image, f'{turn}: {sizes} (height x width)')
    elif not fits:
        sizes = f'{_text(image.size)}, its label {task.label} is {_text(label.size)}'
        findings.add('size_mismatch', split, task.image, f'{sizes} (height x width)')


def _add_flat(findings: Findings, source: Source, scans: Mapping[PairTask, PairScan]) -> None:
    """Find images of nearly one value, where nearly all are so.

    Unchanged images may be of any scale.
    """
    decoded = [
        (task.image, scan.image)
        for task, scan in source.scanned(scans)
        if scan.image is not None and scan.image.variance and task.color_type != 'unchanged'
    ]
    flat = [(path, image) for path, image in decoded if max(image.variance) < _FLAT_STD**2]
    if decoded and len(flat) >= (1 - _EXCEPTION) * len(decoded):
        for path, image in flat:
            mean, std = max(image.mean), max(image.variance) ** 0.5
            note = f'mean {mean:.1f}, standard deviation {std:.1f}, of 0 to 255'
            findings.add('flat_images', source.split, path, note)


def _add_grey(findings: Findings, source: Source, scans: Mapping[PairTask, PairScan]) -> None:
    """Find the few grey images among all, and among those of one folder and size.

    Images of one origin mostly share their size: a set may well join grey and coloured origins.
    """
    groups: dict[object, list[tuple[str, ImageScan]]] = defaultdict(list)
    for task, scan in source.scanned(scans):
        is_loaded = scan.image is not None and scan.image.problem is None
        if is_loaded and task.color_type.startswith('color'):
            groups['all'].append((task.image, scan.image))
            groups[osp.dirname(task.image), scan.image.size].append((task.image, scan.image))
    for group in groups.values():
        grey = [(path, image) for path, image in group if image.is_grey]
        if len(grey) <= _EXCEPTION * len(group):
            note = f'the other {len(group) - len(grey)} have colours'
            for path, image in grey:
                findings.add('grey_among_colour', source.split, path, f'{image.form}; {note}')


def add_shared(findings: Findings, sources: Sequence[Source]) -> None:
    """Find files that several splits name, whatever they call their folders."""
    resolved = ResolvedPaths()
    splits: dict[str, list[str]] = defaultdict(list)
    names: dict[str, str] = {}
    for source in sources:
        for task in source.tasks:
            file = resolved[task.image]
            names.setdefault(file, task.image)
            if source.split not in splits[file]:
                splits[file].append(source.split)
    for file, found in splits.items():
        if 'train' in found and len(found) > 1:
            _add(findings, 'shared_by_splits', found, names[file], f'in {" and ".join(found)}')


def add_pairing_findings(findings: Findings, source: Source) -> None:
    """Find images that are their own label, share a label, or have the label of another image."""
    pairs = [(task.image, task.label) for task in source.tasks if task.label is not None]
    images: dict[str, list[str]] = defaultdict(list)
    for image, label in dict.fromkeys(pairs):
        images[label].append(image)
    stems = {_stem(image) for image, _ in pairs}
    for label, named in images.items():
        if label in named:
            findings.add('image_as_label', source.split, label)
        elif len(named) > 1:
            findings.add('shared_label', source.split, label, f'of {", ".join(named)}')
        elif _stem(label) != _stem(named[0]) and _stem(label) in stems:
            findings.add('crossed_names', source.split, label, f'is the label of {named[0]}')


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


def add_duplicates(
    findings: Findings, sources: Sequence[Source], scans: Mapping[PairTask, PairScan]
) -> None:
    """Find images of equal pixels within and across splits."""
    resolved = ResolvedPaths()
    splits: dict[str, list[str]] = defaultdict(list)
    by_digest: dict[bytes, dict[str, str]] = defaultdict(dict)
    for source in sources:
        for task, scan in source.scanned(scans):
            file = resolved[task.image]
            if source.split not in splits[file]:
                splits[file].append(source.split)
            if scan.image is not None and scan.image.digest:
                by_digest[scan.image.digest].setdefault(file, task.image)
    for files in by_digest.values():
        _add_equal(findings, files, splits)


def _add_equal(
    findings: Findings, files: Mapping[str, str], splits: Mapping[str, list[str]]
) -> None:
    first, *others = files
    for other in others:
        # shared files have a finding of their own
        apart = set(splits[first]).isdisjoint(splits[other])
        kind = 'duplicate_across_splits' if apart else 'duplicate_in_split'
        names = [*splits[first], *(s for s in splits[other] if s not in splits[first])]
        _add(findings, kind, names, files[other], f'has the pixels of {files[first]}')


def _add(findings: Findings, kind: str, splits: Iterable[str], path: str, note: str) -> None:
    for split in splits:
        findings.add(kind, split, path, note)


def _text(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'

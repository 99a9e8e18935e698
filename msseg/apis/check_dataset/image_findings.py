"""What is wrong with images, one by one and among the others."""

from __future__ import annotations

import os.path as osp
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msseg.apis.check_dataset.finding import Findings
from msseg.apis.check_dataset.source import Source
from msseg.datasets.file_scan import ImageScan, PairScan, PairTask

_FILE_KINDS = {
    'missing': 'unreadable_file',
    'empty': 'empty_file',
    'truncated': 'truncated_image',
    'unreadable': 'unreadable_file',
}
# At most one in ten is an exception; more are a second kind of image.
_EXCEPTION = 0.1
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
        if scan.image.problem is not None:
            kind = _FILE_KINDS[scan.image.problem]
            findings.add(kind, source.split, task.image, scan.image.detail)
        else:
            _add_geometry(findings, source.split, task, scan)
    _add_grey(findings, source, scans)


def _add_geometry(findings: Findings, split: str, task: PairTask, scan: PairScan) -> None:
    image, label = scan.image, scan.label
    has_label = label is not None and label.problem is None
    fits = not has_label or image.size == label.size
    is_turned = image.orientation != 1 and 'ignore' not in task.color_type
    turn = f'orientation {image.orientation} (shown {_TURNS.get(image.orientation, "upright")})'
    if is_turned and fits:
        findings.add('exif_orientation', split, task.image, turn)
    elif is_turned and image.stored_size == label.size:
        sizes = f'loaded as {_text(image.size)}, its label is {_text(label.size)}'
        findings.add('exif_turns_image', split, task.image, f'{turn}: {sizes} (height x width)')
    elif not fits:
        sizes = f'{_text(image.size)}, its label {task.label} is {_text(label.size)}'
        findings.add('size_mismatch', split, task.image, f'{sizes} (height x width)')


def _add_grey(findings: Findings, source: Source, scans: Mapping[PairTask, PairScan]) -> None:
    """Find the few grey images among all, and among those of one folder and size.

    Images of one origin mostly share their size: a set may well join grey and coloured origins.
    """
    groups: dict[object, list[tuple[str, ImageScan]]] = defaultdict(list)
    for task, scan in source.scanned(scans):
        if scan.image.problem is None and task.color_type.startswith('color'):
            groups['all'].append((task.image, scan.image))
            groups[osp.dirname(task.image), scan.image.size].append((task.image, scan.image))
    for group in groups.values():
        grey = [(path, image) for path, image in group if image.is_grey]
        if len(grey) <= _EXCEPTION * len(group):
            note = f'the other {len(group) - len(grey)} have colours'
            for path, image in grey:
                findings.add('grey_among_colour', source.split, path, f'{image.form}; {note}')


def add_duplicates(
    findings: Findings, sources: Sequence[Source], scans: Mapping[PairTask, PairScan]
) -> None:
    """Find images of equal pixels within and across splits, and files that several splits name."""
    splits: dict[str, list[str]] = defaultdict(list)
    by_digest: dict[bytes, list[str]] = defaultdict(list)
    for source in sources:
        for task, scan in source.scanned(scans):
            if source.split not in splits[task.image]:
                splits[task.image].append(source.split)
            if scan.image.digest and task.image not in by_digest[scan.image.digest]:
                by_digest[scan.image.digest].append(task.image)
    for paths in by_digest.values():
        _add_equal(findings, paths, splits)
    for path, names in splits.items():
        if 'train' in names and len(names) > 1:
            _add(findings, 'shared_by_splits', names, path, f'in {" and ".join(names)}')


def _add_equal(findings: Findings, paths: Sequence[str], splits: Mapping[str, list[str]]) -> None:
    first, *others = paths
    for other in others:
        # shared files have a finding of their own
        apart = set(splits[first]).isdisjoint(splits[other])
        kind = 'duplicate_across_splits' if apart else 'duplicate_in_split'
        names = [*splits[first], *(s for s in splits[other] if s not in splits[first])]
        _add(findings, kind, names, other, f'has the pixels of {first}')


def _add(findings: Findings, kind: str, splits: Iterable[str], path: str, note: str) -> None:
    for split in splits:
        findings.add(kind, split, path, note)


def _text(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'

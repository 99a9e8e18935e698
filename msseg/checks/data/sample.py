"""Find what is wrong with a sample of the files of data sets, in a few seconds."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any, NamedTuple

import numpy as np

from msseg.checks.data.check import add_findings
from msseg.checks.data.file_scan import LARGE_BYTES, PairScan, PairTask, scan_pair
from msseg.checks.data.rules import RULES
from msseg.checks.data.source import Source, sources_of
from msseg.checks.findings import Finding, Findings, count
from msseg.utils.image_file import subject_of_unused
from msseg.utils.image_header import read_header
from msseg.utils.logging import is_first

_NAMES = {'train': 'training', 'val': 'validation', 'test': 'test'}
_MOST_SAMPLES = {'train': 128, 'val': 64, 'test': 64}
# No file is begun after this time, and labels that would take longer than a second are left out.
_BUDGET_S = 3.5
_MOST_PIXELS = 1 << 26
# Validation images of as many bytes as a training image are read to compare their content.
_MOST_COMPARED = 16
# Images whose pixels are decoded as well.
_MOST_DECODED = 4
_MOST_LINES = 8
# These need no action before training.
_NOT_SHOWN = ('wide_label', 'grey_among_colour', 'duplicate_in_split')


class Sample(NamedTuple):
    """The findings of a sample of files, and how many of each split it holds."""

    findings: list[Finding]
    sources: Mapping[str, Sequence[Source]] = {}
    scans: Mapping[PairTask, PairScan] = {}

    def __str__(self) -> str:
        return ' and '.join(
            f'{sum(task in self.scans for task in tasks)} of {len(tasks)} {_NAMES[split]}'
            for split, sources in self.sources.items()
            for tasks in [_tasks(sources)]
        )


def check_sample(
    datasets: Mapping[str, Any],
    budget_s: float = _BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> Sample:
    """Scan a sample of the files of data sets.

    The global random number generators are not used.

    Args:
        datasets: Data sets by split; None for a split that is not used.
        budget_s: No file is begun after this number of seconds.
        clock: Returns the time in seconds.
    """
    start = clock()
    splits = {split: sources_of(d, split) for split, d in datasets.items() if d is not None}
    tasks = {split: _tasks(sources) for split, sources in splits.items() if _tasks(sources)}
    if not tasks:
        return Sample([])
    splits = {split: splits[split] for split in tasks}
    scans = _scan_sample(tasks, lambda: clock() - start > budget_s)
    findings = Findings(RULES)
    add_findings(findings, splits, scans)
    shown = [finding for finding in findings.sorted() if finding.kind not in _NOT_SHOWN]
    return Sample(shown, splits, scans)


def check_at_start(
    datasets: Mapping[str, Any],
    logger: logging.Logger,
    budget_s: float = _BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> list[Finding]:
    """Log a warning for each finding of `check_sample`, and return the findings."""
    sample = check_sample(datasets, budget_s, clock)
    if not sample.sources:
        return []
    for finding in sample.findings[:_MOST_LINES]:
        logger.warning('%s', finding.line())
        _count_as_logged(finding, sample.sources, sample.scans)
    number = len(sample.findings)
    result = count(number, 'warning') if number else 'nothing found'
    logger.info('checked %s samples: %s (msseg check-data checks all)', sample, result)
    return sample.findings


def _tasks(sources: Sequence[Source]) -> list[PairTask]:
    return list(dict.fromkeys(task for source in sources for task in source.tasks))


def _count_as_logged(
    finding: Finding, splits: Mapping[str, Sequence[Source]], scans: Mapping[PairTask, PairScan]
) -> None:
    """Keep loading from logging again what image files hold and loading leaves out."""
    for source in chain.from_iterable(splits[split] for split in finding.splits):
        for task in source.tasks:
            image = scans[task].image if task in scans else None
            for unused in image.unused if image is not None else ():
                if finding.kind == f'unused_{unused.kind}':
                    color_type = task.loading.color_type
                    is_first(subject_of_unused(unused.kind, str(source.img_dir), color_type))


def _scan_sample(
    tasks: Mapping[str, Sequence[PairTask]], is_over: Callable[[], bool]
) -> dict[PairTask, PairScan]:
    """Scan files of all splits in turn, then validation images that may be those of training."""
    chosen = [choose(tasks[split], _MOST_SAMPLES[split]) for split in tasks]
    in_turn = [task for task in chain.from_iterable(zip_longest(*chosen)) if task is not None]
    scans: dict[PairTask, PairScan] = {}
    for task in chain(in_turn, _likely_copies(tasks, in_turn, is_over)):
        if is_over():
            break
        if task not in scans:
            scans[task] = _scan(task, len(scans) < _MOST_DECODED)
    return scans


def _scan(task: PairTask, decode: bool) -> PairScan:
    """Scan a label, and the header of an image; its pixels if asked to."""
    label = None if _is_too_large(task.label) else task.label
    scan = scan_pair(task._replace(label=label), decode_image=False)
    image = scan.image
    if not decode or image is None or image.problem or np.prod(image.size) > _MOST_PIXELS:
        return scan
    whole = scan_pair(task._replace(label=None)).image
    if whole.problem is None:  # the digest stays that of the content, as that of the others
        whole = replace(image, mean=whole.mean, variance=whole.variance)
    return scan._replace(image=whole)


def choose(tasks: Sequence[PairTask], most: int) -> list[PairTask]:
    """Return at most `most` tasks from all parts of the list, in an order without pattern."""
    rng = np.random.default_rng(0)
    number = min(most, len(tasks))
    edges = np.arange(number + 1) * len(tasks) // max(number, 1)
    return [tasks[index] for index in rng.permutation(rng.integers(edges[:-1], edges[1:]))]


def _likely_copies(
    tasks: Mapping[str, Sequence[PairTask]], chosen: Sequence[PairTask], is_over: Callable[[], bool]
) -> Iterator[PairTask]:
    """Yield validation images that have as many bytes as a chosen image of training."""
    of_train = set(tasks.get('train', ()))
    sizes = {_num_bytes(task.image) for task in chosen if task in of_train}
    found = 0
    for task in tasks.get('val', ()):
        if is_over() or found == _MOST_COMPARED:
            return
        if task not in of_train and _num_bytes(task.image) in sizes:
            found += 1
            yield task


def _num_bytes(path: str | None) -> int:
    try:
        return os.stat(path).st_size if path else 0
    except OSError:  # scanning it gives the reason
        return 0


def _is_too_large(label: str | None) -> bool:
    if _num_bytes(label) > LARGE_BYTES:
        return True
    header = read_header(label) if label and os.path.isfile(label) else None
    return header is not None and header.size[0] * header.size[1] > _MOST_PIXELS

"""Check all files of the data sets of a config."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

import numpy as np

from msseg.checks.data.file_scan import PairScan, PairTask, scan_pair
from msseg.checks.data.images import (
    Scans,
    add_image_findings,
    add_pairing_findings,
    add_repeated_images,
)
from msseg.checks.data.labels import add_absent_classes, add_label_findings, add_rule_differences
from msseg.checks.data.report import (
    DatasetReport,
    SplitReport,
    Statistics,
    balance_of,
    effective_number_weights,
    normalisation_of,
)
from msseg.checks.data.rules import RULES
from msseg.checks.data.source import LabelRules, Source, list_sources
from msseg.checks.findings import Findings
from msseg.config import Config, required
from msseg.datasets.worker_pool import WorkerPool, num_cores
from msseg.utils.progress_bar import progress_bar

SPLITS = ('train', 'val', 'test')
# A process takes half a second to start: fewer files than this each are not worth it.
_LEAST_EACH = 32
# With more classes, rare ones are usually missing in a sample.
_MANY_CLASSES = 20


def check_dataset(
    cfg: Config,
    splits: Sequence[str] | None = None,
    workers: int | None = None,
    beta: float | None = None,
) -> DatasetReport:
    """Read all files of a config's data sets, and report what is wrong.

    Memory holds one decoded image for each process, and about a kilobyte for each pair of files.

    Args:
        cfg: A config with ``data``.
        splits: Some of ``train``, ``val`` and ``test``; by default those that the config has.
        workers: Number of processes; None for one per core. A script that uses several needs the
            ``if __name__ == '__main__':`` of Python's multiprocessing.
        beta: Parameter of the effective number of samples; see `default_beta`.

    Returns:
        Findings, counts, weights of the classes, mean and standard deviation.

    Raises:
        KeyError: The config lacks a split.
        ValueError, TypeError, OSError: An argument of a data set or of this function does not fit.

    Examples:
        >>> from PIL import Image
        >>> Image.new('RGB', (8, 8)).save('a.jpg')
        >>> train = dict(type='CustomDataset', img_dir='.', ann_dir='.', classes=['a', 'b'])
        >>> cfg = Config({'data': {'train': {**train, 'pipeline': []}}})
        >>> print(check_dataset(cfg, workers=0).findings[0])
        error: image without label (1, in train)
            ./a.jpg: there is no ./a.png
          Neither training nor evaluation starts.
          Add the label, correct ann_dir and seg_map_suffix, or remove the image.
    """
    data = required(cfg, 'data')
    splits = splits or [s for s in SPLITS if data.get(s) is not None] or SPLITS[:1]
    if beta is not None:
        effective_number_weights(np.ones(1), beta)  # refuses a wrong one before the long part
    findings = Findings(RULES)
    sources = {split: list_sources(cfg, split, findings) for split in splits}
    every = [source for split in splits for source in sources[split]]
    scans = scan_all(list(dict.fromkeys(task for s in every for task in s.tasks)), workers)
    counts = add_findings(findings, sources, scans)
    reports = [_report(split, sources[split], scans, counts[split], beta) for split in splits]
    return DatasetReport(str(cfg.filename), findings.sorted(), reports, _same_files(sources))


def add_findings(
    findings: Findings, sources: Mapping[str, Sequence[Source]], scans: Scans
) -> dict[str, Statistics]:
    """Add what is wrong with the files of all splits, as far as they were scanned.

    Returns:
        The counts of each split.
    """
    every = [source for parts in sources.values() for source in parts]
    counts = {split: Statistics() for split in sources}
    for source in every:
        add_pairing_findings(findings, source)
        add_image_findings(findings, source, scans)
        add_label_findings(findings, source, scans)
        for _, scan in source.scanned(scans):
            counts[source.split].add(scan, source.rules)
    for split, parts in sources.items():
        tasks = [task for source in parts for task in source.tasks]
        is_whole = all(task in scans for task in tasks) and all(
            task.label is None or scans[task].label is not None for task in tasks
        )
        rules = parts[0].rules if parts else LabelRules(None)
        if is_whole or len(rules.classes or ()) <= _MANY_CLASSES:
            add_absent_classes(findings, split, rules, counts[split], not is_whole)
    add_repeated_images(findings, every, scans)
    add_rule_differences(findings, every)
    return counts


def scan_all(tasks: Sequence[PairTask], workers: int | None = None) -> dict[PairTask, PairScan]:
    """Scan images and labels; show a progress bar if stderr is a terminal.

    Args:
        tasks: The files, each pair once.
        workers: Number of processes; None for one per core, fewer for few files; 0 and 1 scan in
            this process.

    Raises:
        ValueError: `workers` is negative.
        ChildProcessError: A process was killed.
    """
    if workers is not None and workers < 0:
        raise ValueError(f'workers={workers}; expected the number of processes, 0 or more')
    if workers is None:
        workers = min(num_cores(), len(tasks) // _LEAST_EACH)
    with contextlib.ExitStack() as stack:
        results = map(scan_pair, tasks)
        if workers > 1:
            advice = 'give fewer --workers: each decodes one image at a time'
            pool = WorkerPool(scan_pair, workers, lambda task, _: task.image, advice=advice)
            stack.callback(pool.close)
            results = pool.imap(tasks)
        bar = progress_bar(results, len(tasks), desc='files', unit='pair')
        return dict(zip(tasks, bar, strict=True))


def _report(
    split: str, sources: Sequence[Source], scans: Scans, counts: Statistics, beta: float | None
) -> SplitReport:
    images = [scan.image for source in sources for _, scan in source.scanned(scans)]
    rules = sources[0].rules if sources else LabelRules(None)
    return SplitReport(
        name=split,
        datasets=[source.who for source in sources],
        num_images=sum(len(source.tasks) for source in sources),
        rules=rules,
        statistics=counts,
        balance=balance_of(counts, rules.classes, beta),
        normalisation=normalisation_of(images, sources[0].to_rgb) if sources else None,
    )


def _same_files(sources: Mapping[str, Sequence[Source]]) -> dict[str, str]:
    """Return the splits that have the files of an earlier one, as ``test`` often does."""
    seen: dict[tuple, str] = {}
    same = {}
    for split, parts in sources.items():
        tasks = tuple(task for source in parts for task in source.tasks)
        if seen.setdefault(tasks, split) != split:
            same[split] = seen[tasks]
    return same

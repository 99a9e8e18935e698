"""Checking the data sets of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from msseg.checks.data.channel_statistics import mean_and_std
from msseg.checks.data.class_weights import (
    default_beta,
    effective_number_weights,
    median_frequency_weights,
)
from msseg.checks.data.file_scan import PairScan, PairTask
from msseg.checks.data.finding import Findings
from msseg.checks.data.image_findings import (
    add_duplicates,
    add_image_findings,
    add_pairing_findings,
    add_shared,
)
from msseg.checks.data.label_findings import add_label_findings
from msseg.checks.data.report import Balance, DatasetReport, Normalisation, SplitReport
from msseg.checks.data.scan_all import scan_all
from msseg.checks.data.source import Source
from msseg.checks.data.sources import list_sources
from msseg.checks.data.statistics import Statistics
from msseg.checks.data.value_findings import add_absent_classes, add_rule_differences
from msseg.config import Config, required

SPLITS = ('train', 'val', 'test')


def check_dataset(
    cfg: Config,
    splits: Sequence[str] | None = None,
    workers: int | None = None,
    beta: float | None = None,
) -> DatasetReport:
    """Look at all files of a config's data sets.

    Memory holds one decoded image for each process, and about a kilobyte for each pair of files.

    Args:
        cfg: With ``data``.
        splits: Which of ``train``, ``val`` and ``test``; those that the config has by default.
        workers: Number of processes; None for as many as there are cores. A script of your own
            that uses several needs the ``if __name__ == '__main__':`` of Python's multiprocessing.
        beta: Parameter of the effective number of samples; see `default_beta`.

    Returns:
        Findings, counts, weights of the classes, mean and standard deviation.

    Raises:
        KeyError: The config does not say a split.
        ValueError, TypeError, OSError: An argument of a data set, or of this, does not fit.
    """
    data = required(cfg, 'data')
    splits = splits or [s for s in SPLITS if data.get(s) is not None] or SPLITS[:1]
    if beta is not None:
        effective_number_weights(np.ones(1), beta)  # refuses a wrong one before the long part
    sources = [source for split in splits for source in list_sources(cfg, split)]
    scans = scan_all(list(dict.fromkeys(task for s in sources for task in s.tasks)), workers)
    findings = Findings()
    reports = []
    for split in splits:
        own = [source for source in sources if source.split == split]
        _add_findings(findings, own, scans)
        reports.append(_report(split, own, scans, beta))
        add_absent_classes(findings, split, own[0].rules, reports[-1].statistics)
    add_duplicates(findings, sources, scans)
    add_shared(findings, sources)
    add_rule_differences(findings, sources)
    return DatasetReport(
        str(cfg.filename), findings.sorted(), reports, _same_files(splits, sources)
    )


def _add_findings(
    findings: Findings, sources: Sequence[Source], scans: Mapping[PairTask, PairScan]
) -> None:
    for source in sources:
        for note in source.notes:
            findings.add(note.kind, source.split, note.path, note.text)
        add_pairing_findings(findings, source)
        add_image_findings(findings, source, scans)
        add_label_findings(findings, source, scans)


def _report(
    split: str,
    sources: Sequence[Source],
    scans: Mapping[PairTask, PairScan],
    beta: float | None,
) -> SplitReport:
    statistics = Statistics()
    images = []
    for source in sources:
        for _, scan in source.scanned(scans):
            if scan.image is not None and scan.image.problem is None:
                statistics.add_image(scan.image)
                images.append(scan.image)
            if scan.label is not None:
                statistics.add_label(scan.label, source.rules)
    moments = mean_and_std(images)
    return SplitReport(
        name=split,
        datasets=[source.who for source in sources],
        num_images=sum(len(source.tasks) for source in sources),
        rules=sources[0].rules,
        statistics=statistics,
        balance=_balance(statistics, sources[0].rules.classes, beta),
        normalisation=moments and _normalisation(*moments, sources[0].to_rgb),
    )


def _balance(
    statistics: Statistics, classes: Sequence[str] | None, beta: float | None
) -> Balance | None:
    if classes is None or not statistics.label_forms:
        return None
    pixels = statistics.class_pixels(classes)
    beta = default_beta(pixels) if beta is None else beta
    return Balance(
        median_frequency_weights(pixels, statistics.class_pixels_of_images(classes)).tolist(),
        effective_number_weights(pixels, beta).tolist(),
        beta,
    )


def _normalisation(mean: np.ndarray, std: np.ndarray, to_rgb: bool) -> Normalisation:
    to_rgb = to_rgb and len(mean) == 3
    order = slice(None, None, -1 if to_rgb else 1)
    return Normalisation(mean[order].tolist(), std[order].tolist(), to_rgb)


def _same_files(splits: Sequence[str], sources: Sequence[Source]) -> dict[str, str]:
    """Return the splits that are an earlier one over again, as ``test`` often is ``val``."""
    seen: dict[tuple, str] = {}
    same = {}
    for split in splits:
        tasks = tuple(task for s in sources if s.split == split for task in s.tasks)
        if seen.setdefault(tasks, split) != split:
            same[split] = seen[tasks]
    return same

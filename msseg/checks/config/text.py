"""The report as text."""

from __future__ import annotations

from msseg.checks.config.finding import Finding, Place
from msseg.checks.config.report import ConfigReport
from msseg.checks.config.trial import Trial
from msseg.checks.findings import count, format_finding

_MOST_PLACES = 8


def format_report(report: ConfigReport) -> str:
    """Return findings, and what was built and computed."""
    parts = [_format_finding(finding) for finding in report.findings]
    facts = _format_facts(report)
    parts += ['\n'.join(facts)] if facts else []
    return '\n\n'.join([*parts, report.summary()])


def _format_finding(finding: Finding) -> str:
    lines = [format_place(place) for place in finding.places.values()]
    return format_finding(finding, str(len(lines)), lines, _MOST_PLACES)


def format_place(place: Place) -> str:
    """Return a place as a line."""
    origin = f' ({place.origin})' if place.origin else ''
    return f'{place.key}{origin}: {place.note}'


def _format_facts(report: ConfigReport) -> list[str]:
    lines = []
    if report.model is not None:
        model = report.model
        heads = ', '.join(f'{name} {kind}' for name, kind in model.heads.items())
        lines.append(
            f'model: {model.segmentor}, backbone {model.backbone}, {heads}; '
            f'{model.num_parameters / 1e6:.2f} million parameters'
        )
    for name, split in report.splits.items():
        counts = f'{count(split.num_images, "image")}, {split.num_classes} classes'
        lines.append(f'{name}: {split.dataset}, {counts}')
    if report.num_iters is not None:
        lines.append(f'run: {count(report.num_iters, "iteration")}')
    if report.trial is not None:
        lines.append(_format_trial(report.trial))
        lines.append(f'memory of a step with the whole batch: {report.trial.memory.text()}')
    return lines


def _format_trial(trial: Trial) -> str:
    (all_images, _, *size), (images, _, *part) = trial.batch, trial.computed
    num = str(images) if images == all_images else f'{images} of {all_images}'
    what = 'image' if num == '1' else 'images'
    height_width = 'x'.join(map(str, size))
    if part != size:
        height_width = f'{"x".join(map(str, part))} of {height_width}'
    return (
        f'one step, forward and backward, on {num} {what} ({height_width}): loss {trial.loss:.3g}, '
        f'norm of all gradients {trial.grad_norm:.3g}'
    )

"""Several runs beside each other: curves, and where their time went."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from terminaltables import AsciiTable

from msseg.apis.fonts import drawable_names, fonts_for
from msseg.apis.visualize import write_figure
from msseg.reports.curves import log_coverage, read_log, run_places
from msseg.utils.outputs import Outputs

_STYLES = ('-', '--', ':', '-.')


def find_logs(arguments: Sequence[str | Path]) -> dict[str, Path]:
    """Return logs by the names of their runs.

    Args:
        arguments: ``.log.json`` files, or work dirs, of which the newest log is taken.

    Returns:
        For each the shortest end of its path that tells it from the others.

    Raises:
        FileNotFoundError: There is no such file, or a folder without a log.
    """
    paths = []
    for argument in map(Path, arguments):
        if argument.is_dir():
            logs = sorted(argument.glob('*.log.json'), key=lambda path: path.stat().st_mtime)
            if not logs:
                raise FileNotFoundError(f'folder {str(argument)!r} has no log (*.log.json)')
            paths.append(logs[-1])
        else:
            paths.append(argument)
    return dict(zip(_short_names([path.resolve() for path in paths]), paths, strict=True))


def draw_runs(
    logs: dict[str, Path], out: str | Path, score: str = 'mIoU', keys: Sequence[str] = ('loss',)
) -> None:
    """Draw values of training on the left, and a score of evaluation on the right.

    Args:
        logs: By name of the run.
        out: The PNG to write.
        score: Which of the evaluated scores to draw; left away when no run was evaluated.
        keys: Which values of training to draw.

    Raises:
        KeyError: No run has such a value.
        ValueError, OSError: See `Outputs.file`.
    """
    Outputs(logs.values()).file(out, '--out', '.png')
    read = {name: read_log(path) for name, path in logs.items()}
    _check_keys(read, score, keys)
    names = drawable_names(list(logs), 'run')
    with fonts_for([*names, score, *keys]):
        figure = _figure(list(zip(names, read.values(), strict=True)), score, keys)
        write_figure(out, figure)


def _figure(
    read: Sequence[tuple[str, tuple[list[dict], list[dict]]]], score: str, keys: Sequence[str]
) -> Figure:
    is_evaluated = any(val for _, (_, val) in read)
    figure = Figure(figsize=(12 if is_evaluated else 7, 4.5), layout='constrained')
    axes = figure.subplots(1, 2 if is_evaluated else 1, squeeze=False)[0]
    for number, (name, (train, val)) in enumerate(read):
        places, unit = run_places(train + val)
        for key, style in zip(keys, _STYLES * len(keys), strict=False):
            label = name if len(keys) == 1 else f'{name}: {key}'
            axes[0].plot(places[: len(train)], _values(train, key), style, color=f'C{number % 10}',
                         label=label, linewidth=1.2)  # fmt: skip
        axes[0].set(xlabel=unit, ylabel=', '.join(keys))
        if val:
            values = _values(val, score)
            label = name
            if np.isfinite(values).any():
                label = f'{name}: best {np.nanmax(values):.4f}{log_coverage(val, score)}'
            axes[1].plot(places[len(train) :], values, 'o-', color=f'C{number % 10}', label=label,
                         markersize=4)  # fmt: skip
            axes[1].set(xlabel=unit, ylabel=f'validation {score}')
    for each in axes:
        each.grid(alpha=0.3, linewidth=0.6)
        each.legend(fontsize=8)
    return figure


def time_table(logs: dict[str, Path]) -> str:
    """Return a table of the time of iterations as they were logged, run by run.

    Args:
        logs: By name of the run.
    """
    rows = [['Run', 'Logged', 'Mean s', 'Median s', '95 % below s', 'Slowest s (at)',
             'Waiting for data', 'Memory MB', 'Last loss']]  # fmt: skip
    for name, path in logs.items():
        train, _ = read_log(path)
        rows.append([name, str(len(train)), *_times(train)])
    table = AsciiTable(rows, ' time of an iteration ')
    table.justify_columns = dict.fromkeys(range(1, len(rows[0])), 'right')
    return table.table


def _times(train: Sequence[dict]) -> list[str]:
    times, data = _values(train, 'time'), _values(train, 'data_time')
    # the first iteration compiles the network: its interval says little of the others
    rest = slice(1, None) if len(train) > 1 else slice(None)
    last_loss = next((f'{e["loss"]:.4f}' for e in reversed(train) if e.get('loss') is not None), '')
    memory = _values(train, 'memory')
    shown = f'{np.nanmax(memory):.0f}' if np.isfinite(memory).any() else 'n/a'
    known = times[rest]
    if not np.isfinite(known).any():
        return ['n/a'] * 5 + [shown, last_loss]
    slowest = int(np.nanargmax(known))
    waiting = np.nansum(data[rest]) / np.nansum(known)
    return [
        f'{np.nanmean(known):.3f}',
        f'{np.nanmedian(known):.3f}',
        f'{np.nanpercentile(known, 95):.3f}',
        f'{known[slowest]:.3f} ({train[rest][slowest]["iter"]})',
        f'{100 * waiting:.1f} %',
        shown,
        last_loss,
    ]


def _values(entries: Sequence[dict], key: str) -> np.ndarray:
    found = (entry.get(key) for entry in entries)
    return np.array([np.nan if value is None else value for value in found], float)


def _check_keys(
    read: dict[str, tuple[list[dict], list[dict]]], score: str, keys: Sequence[str]
) -> None:
    for part, wanted in ((0, keys), (1, [score])):
        entries = [entry for both in read.values() for entry in both[part]]
        known = sorted({
            key for entry in entries for key, value in entry.items()
            if not isinstance(value, str)
        } - {'epoch', 'iter', 'lr' if part else 'iter'})  # fmt: skip
        for key in wanted:
            if entries and key not in known:
                raise KeyError(f'no run reports {key!r}, expected some of {known}')


def _short_names(paths: Sequence[Path]) -> list[str]:
    names = [path.parent.name for path in paths]
    if len(set(names)) == len(names):
        return names
    names = [f'{path.parent.name}/{path.name.removesuffix(".log.json")}' for path in paths]
    return names if len(set(names)) == len(names) else [str(path) for path in paths]

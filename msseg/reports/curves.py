"""Curves of runs from their logs, and a table of where their time went."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from markupsafe import Markup, escape
from terminaltables import AsciiTable

from msseg.apis.visualize import write_figure
from msseg.utils.outputs import Outputs
from msseg.utils.text_file import read_user_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = ('-', '--', ':', '-.')
_BINS = 20
_MOST_DOTS = 60
# read on a white and on a dark page
_PAGE_INK = '#7a8496'


class Line(NamedTuple):
    """A line of a chart.

    Attributes:
        name: For the legend; empty for none.
        x: Places.
        y: Values; None and NaN leave a gap.
        style: As ``Axes.plot`` of matplotlib takes it.
        colour: As matplotlib takes it.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    style: str = '-'
    colour: str = 'C0'


def read_log(path: str | Path) -> tuple[list[dict], list[dict]]:
    """Read a ``.log.json`` file.

    Args:
        path: As the text logger writes it: one JSON object a line.

    Returns:
        The entries of training and those of evaluation, in order. MMCV logs the number of images as
        the iteration of an evaluation: it becomes the one that was logged before.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no JSON object, or nothing was logged.
    """
    entries: dict[str, list[dict]] = {'train': [], 'val': []}
    ordered: list[dict] = []
    text = read_user_text(path, str(path))
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            mode = entry.get('mode')
        except (ValueError, AttributeError, RecursionError) as error:
            if number == len(lines) and not text.endswith('\n'):
                break  # it was being written when the process was killed
            raise ValueError(
                f'{path}, line {number} is {line[:60]!r}, expected a JSON object as a run writes '
                'them: name a .log.json file'
            ) from error
        if mode in entries:
            entries[mode].append(entry)
            ordered.append(entry)
    _correct_places(ordered)
    if not entries['train']:
        raise ValueError(f'{path} holds no training entries: the run ended before its first log')
    return entries['train'], entries['val']


def _correct_places(entries: Sequence[dict]) -> None:
    """Move evaluations that are not between the iterations logged around them to the first one."""
    next_logged: list[int | None] = []
    for entry in reversed(entries):
        last = next_logged[-1] if next_logged else None
        next_logged.append(entry['iter'] if entry['mode'] == 'train' else last)
    before = None
    for entry, after in zip(entries, reversed(next_logged), strict=True):
        if entry['mode'] == 'train':
            before = entry['iter']
        elif before is not None:
            is_late = after is not None and before < after < entry['iter']
            if entry['iter'] < before or is_late:
                entry['iter'] = before


def log_coverage(val: Sequence[dict], score: str) -> str:
    """Return over how many classes a mean in a log is.

    Args:
        val: A log's entries of evaluation, which leave the same classes out.
        score: Key of the score.

    Returns:
        Such as `` over 1 of 2 classes``; empty when it is over all, or no mean over classes.
    """
    mean = re.fullmatch(r'(\d+_)?m([A-Z].*)', score)
    if mean is None or not val:
        return ''
    start = f'{mean[1] or ""}{mean[2]}.'
    of_classes = [value for key, value in val[-1].items() if key.startswith(start)]
    known = sum(value is not None for value in of_classes)
    return f' over {known} of {len(of_classes)} classes' if known < len(of_classes) else ''


def run_places(entries: list[dict]) -> tuple[list[float], str]:
    """Return each entry's place on the horizontal axis, and the unit of the axis.

    Runs that count epochs log the iteration within the epoch.
    """
    longest = max(entry['iter'] for entry in entries)
    restarts = any(
        later['iter'] <= entry['iter'] and later['epoch'] > entry['epoch']
        for entry, later in zip(entries, entries[1:], strict=False)
    )
    if restarts:
        return [entry['epoch'] - 1 + entry['iter'] / longest for entry in entries], 'epoch'
    return [entry['iter'] for entry in entries], 'iteration'


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


def draw_curve(log: str | Path, out: str | Path, score: str = 'mIoU') -> None:
    """Draw loss and score over a run, in one pair of axes.

    Args:
        log: The ``.log.json`` file of the run.
        out: The PNG to write.
        score: Which of the evaluated scores to draw.

    Raises:
        KeyError: The score was never reported.
        ValueError, OSError: See `Outputs.file`.
    """
    Outputs([log]).file(out, '--out', '.png')
    train, val = read_log(log)
    reported = sorted({key for entry in val for key in entry} - {'mode', 'epoch', 'iter', 'lr'})
    if val and score not in reported:
        raise KeyError(f'{log} reports no {score!r}, expected one of {reported}')
    with _drawing([score], 'score') as (name,):
        x, unit = run_places(train + val)
        figure = _figure(8, 4.5)
        axes = figure.add_subplot()
        plot_lines(axes, [Line('', x[: len(train)], _values(train, 'loss'))], unit, 'training loss')
        axes.set_ylim(bottom=0)
        axes.yaxis.label.set_color('C0')
        if val:
            values = _values(val, score)
            right = axes.twinx()
            line = Line('', x[len(train) :], values, 'o-', 'C1')
            plot_lines(right, [line], unit, f'validation {name}', grid=False)
            right.yaxis.label.set_color('C1')
            right.set_ylim(0, 1)
            known = values[np.isfinite(values)]
            last = f'{values[-1]:.4f}' if np.isfinite(values[-1]) else 'n/a'
            best = f'{known.max():.4f}' if len(known) else 'n/a'
            axes.set_title(f'{name} {last} at the end, best {best}{log_coverage(val, score)}')
        write_figure(out, figure)


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
    read = [read_log(path) for path in logs.values()]
    _check_keys(read, score, keys)
    with _drawing([*logs], 'run', [score, *keys]) as names:
        training, evaluation, unit = [], [], ''
        for number, (name, (train, val)) in enumerate(zip(names, read, strict=True)):
            x, unit = run_places(train + val)
            colour = f'C{number % 10}'
            for key, style in zip(keys, _STYLES * len(keys), strict=False):
                label = name if len(keys) == 1 else f'{name}: {key}'
                training.append(Line(label, x[: len(train)], _values(train, key), style, colour))
            if val:
                values = _values(val, score)
                best = f': best {np.nanmax(values):.4f}' if np.isfinite(values).any() else ''
                label = f'{name}{best}{log_coverage(val, score) if best else ""}'
                evaluation.append(Line(label, x[len(train) :], values, 'o-', colour))
        figure = _figure(12 if evaluation else 7, 4.5)
        axes = figure.subplots(1, 2 if evaluation else 1, squeeze=False)[0]
        plot_lines(axes[0], training, unit, ', '.join(keys))
        if evaluation:
            plot_lines(axes[1], evaluation, unit, f'validation {score}')
        write_figure(out, figure)


def line_chart(lines: Sequence[Line], x_label: str, y_label: str) -> str:
    """Return lines in one pair of axes as SVG for a page; the dots of short ones tell values."""
    with _drawing([], 'line', [x_label, y_label, *(line.name for line in lines)]):
        figure = _figure(5.6, 3, _PAGE_INK)
        axes = figure.add_subplot()
        plot_lines(axes, lines, x_label, y_label)
        if min(np.nanmin(_floats(line.y)) for line in lines) >= 0:
            axes.set_ylim(bottom=0)
        notes = {}
        for line in lines:
            y = _floats(line.y)
            if len(y) <= _MOST_DOTS:
                for place, value in zip(np.asarray(line.x)[np.isfinite(y)], y[np.isfinite(y)],
                                        strict=True):  # fmt: skip
                    (dot,) = axes.plot([place], [value], 'o', color=line.colour, markersize=4)
                    notes[dot] = f'{line.name} {value:.5g} at {place:.6g}'
        return _svg(figure, notes)


def histogram(shares: np.ndarray, x_label: str, y_label: str) -> str:
    """Return as SVG for a page how many values there are in each twentieth of [0, 1]."""
    with _drawing([], 'axis', [x_label, y_label]):
        figure = _figure(5.6, 1.9, _PAGE_INK)
        axes = figure.add_subplot()
        counts, edges = np.histogram(shares, _BINS, (0, 1))
        bars = axes.bar(100 * edges[:-1], counts, 100 / _BINS * 0.9, align='edge', color='C0')
        axes.set(xlabel=x_label, ylabel=y_label, xlim=(0, 100))
        axes.yaxis.get_major_locator().set_params(integer=True)
        notes = {
            bar: f'{100 * low:g} to {100 * high:g}: {count} {y_label}'
            for bar, low, high, count in zip(bars, edges[:-1], edges[1:], counts, strict=True)
        }
        return _svg(figure, notes)


def plot_lines(
    axes: Axes, lines: Sequence[Line], x_label: str, y_label: str, grid: bool = True
) -> None:
    """Draw lines into a pair of axes, with a legend when one of them has a name."""
    for line in lines:
        axes.plot(line.x, _floats(line.y), line.style, color=line.colour, label=line.name or None,
                  linewidth=1.2, markersize=4)  # fmt: skip
    axes.set(xlabel=x_label, ylabel=y_label)
    if grid:
        axes.grid(alpha=0.3, linewidth=0.6)
    if any(line.name for line in lines):
        axes.legend(fontsize=8, framealpha=0)


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
    # the first iteration compiles the network: its interval is not typical
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
    return _floats([entry.get(key) for entry in entries])


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


@contextmanager
def _drawing(names: Sequence[str], kind: str, texts: Sequence[str] = ()) -> Iterator[Sequence[str]]:
    """Have matplotlib draw texts in any script; give the names as they can be drawn."""
    # imports matplotlib, which takes half a second
    from msseg.apis.fonts import drawable_names, fonts_for

    shown = drawable_names(names, kind) if names else []
    with fonts_for([*shown, *texts]):
        yield shown


def _figure(width: float, height: float, ink: str = 'black') -> Figure:
    """Return a figure (inches) that needs no window, whatever matplotlib's backend is."""
    import matplotlib
    from matplotlib.figure import Figure

    colours = {f'{part}.color': ink for part in ('text', 'xtick', 'ytick')}
    colours |= {'axes.labelcolor': ink, 'axes.edgecolor': ink, 'axes.facecolor': 'none'}
    if ink != 'black':
        matplotlib.rcParams.update(colours)  # inside the context of `_drawing`
    return Figure(figsize=(width, height), layout='constrained')


def _svg(figure: Figure, notes: Mapping[Artist, str]) -> Markup:
    """Return a figure as an ``svg`` element; pointing at an artist shows its note."""
    import matplotlib

    for number, artist in enumerate(notes):
        artist.set_gid(f'note-{number}')
    content = io.StringIO()
    with matplotlib.rc_context({'svg.fonttype': 'none', 'font.size': 9}):
        figure.savefig(content, format='svg', transparent=True, metadata={'Date': None})
    text = content.getvalue()
    for number, note in enumerate(notes.values()):
        group = f'<g id="note-{number}">'
        text = text.replace(group, f'<g><title>{escape(note)}</title>')
    return Markup(text[text.index('<svg') :])


def _check_keys(
    read: Sequence[tuple[list[dict], list[dict]]], score: str, keys: Sequence[str]
) -> None:
    for part, wanted in ((0, keys), (1, [score])):
        entries = [entry for both in read for entry in both[part]]
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

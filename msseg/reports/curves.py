"""What to look at after a run: the curve of loss and scores, predictions beside the truth."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from msseg.apis.results import load_shown
from msseg.apis.visualize import OverlayStyle, side_by_side, write_figure, write_image
from msseg.datasets import CustomDataset
from msseg.datasets.loader import EvalSample
from msseg.datasets.result_files import outputs_of, sample_names
from msseg.utils.outputs import Outputs
from msseg.utils.text_file import read_user_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOSS_COLOUR, _SCORE_COLOUR = 'tab:blue', 'tab:orange'
_GRID = {'alpha': 0.3, 'linewidth': 0.6}


def read_log(path: str | Path) -> tuple[list[dict], list[dict]]:
    """Reads a ``.log.json`` file.

    Args:
        path: As the text logger writes it: one JSON object a line.

    Returns:
        The entries of training and those of evaluation, in order.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no JSON object, or nothing was logged.
    """
    entries: dict[str, list[dict]] = {'train': [], 'val': []}
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
    if not entries['train']:
        raise ValueError(f'{path} holds no training entries: the run ended before its first log')
    return entries['train'], entries['val']


def draw_curve(log: str | Path, out: str | Path, score: str = 'mIoU') -> None:
    """Draws loss and score over the run.

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
    # they load matplotlib, for which no other tool need wait
    from msseg.apis.fonts import drawable_names, fonts_for

    shown = drawable_names([score], 'score')[0]
    with fonts_for([shown]):
        scores = [entry.get(score) for entry in val]
        figure = _curve(train, val, scores, shown, log_coverage(val, score))
        write_figure(out, figure)


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


def _curve(
    train: list[dict],
    val: list[dict],
    scores: Sequence[float | None],
    name: str,
    coverage: str,
) -> Figure:
    place, unit = run_places(train + val)
    from matplotlib.figure import Figure

    # the Figure class draws into files without a window, whatever matplotlib's backend is
    figure = Figure(figsize=(8, 4.5), layout='constrained')
    axes = figure.add_subplot()
    axes.plot(place[: len(train)], [e['loss'] for e in train], color=_LOSS_COLOUR, label='loss')
    axes.set(xlabel=unit, ylabel='training loss')
    axes.set_ylim(bottom=0)
    axes.grid(**_GRID)
    axes.yaxis.label.set_color(_LOSS_COLOUR)
    if val:
        right = axes.twinx()
        values = np.array(scores, float)  # None becomes NaN
        right.plot(place[len(train) :], values, 'o-', color=_SCORE_COLOUR, markersize=4)
        right.set_ylabel(f'validation {name}', color=_SCORE_COLOUR)
        right.set_ylim(0, 1)
        known = values[np.isfinite(values)]
        last = f'{values[-1]:.4f}' if np.isfinite(values[-1]) else 'n/a'
        best = f'{known.max():.4f}' if len(known) else 'n/a'
        axes.set_title(f'{name} {last} in the end, best {best}{coverage}')
    return figure


def run_places(entries: list[dict]) -> tuple[list[float], str]:
    """Returns each entry's place on the horizontal axis, and the axis' unit.

    Runs that count epochs log the iteration within the epoch, so it alone does not say where.
    """
    longest = max(entry['iter'] for entry in entries)
    restarts = any(
        later['iter'] <= entry['iter'] and later['epoch'] > entry['epoch']
        for entry, later in zip(entries, entries[1:], strict=False)
    )
    if restarts:
        return [entry['epoch'] - 1 + entry['iter'] / longest for entry in entries], 'epoch'
    return [entry['iter'] for entry in entries], 'iteration'


class Comparisons:
    """Writes image, truth and prediction beside each other; a handler for `predict_all`.

    Args:
        folder: Where to; pictures are named after the images.
        dataset: For the palette.
        opacity: Of the labels.
        limit: Writes no more pictures than this, the first ones; None is all.
    """

    def __init__(
        self, folder: Path, dataset: CustomDataset, opacity: float = 0.5, limit: int | None = None
    ) -> None:
        self.dataset = dataset
        names = [f'{name}.png' for name in sample_names(dataset)]
        self.paths = outputs_of(dataset).files(folder, names, str(folder))
        self.style = OverlayStyle.of_dataset(dataset, opacity=opacity)
        self.limit = limit
        self.written: list[Path] = []

    def add(self, sample: EvalSample, labels: np.ndarray) -> None:
        """Write one picture."""
        if self.limit is not None and len(self.written) >= self.limit:
            return
        image = load_shown(self.dataset, sample.index)
        panels = [('image', image)]
        for title, seen in (('truth', sample.gt), ('prediction', labels)):
            panels.append((title, self.style.blend(image, seen)))
        path = self.paths[sample.index]
        write_image(path, side_by_side(panels))
        self.written.append(path)

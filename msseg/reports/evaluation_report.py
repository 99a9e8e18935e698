"""The HTML report of a test: scores, confusions, curves, the worst and the best images."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mindspore as ms
import numpy as np

from msseg.apis.results import load_shown
from msseg.apis.visualize import OverlayStyle
from msseg.config import Config
from msseg.datasets import CustomDataset, EvalLoader
from msseg.datasets.eval_loader import EvalSample
from msseg.datasets.palette import background_classes
from msseg.datasets.result_files import outputs_of
from msseg.evaluation import Scores, bootstrap_intervals, compute_scores
from msseg.evaluation.table import interval, percent
from msseg.inference.inferencer import Inferencer
from msseg.reports.curves import Line, histogram, line_chart, read_log, run_places
from msseg.reports.image_scores import ImageScores
from msseg.reports.page import (
    Cell,
    Page,
    largest_confusions,
    matrix_map,
    parts,
    picture,
    row_shares,
)
from msseg.utils.logging import get_logger
from msseg.utils.outputs import Outputs

PAGE, TABLE = 'report.html', 'images.csv'
_SHOWN_EACH = 3  # worst, median and best images
_LONGEST_SIDE = 520
_MOST_LISTED = 2000
_OPACITY = 0.6
# RGB in the pictures of errors
_MISSED, _FALSE, _CONFUSED = (0, 114, 178), (213, 94, 0), (204, 121, 167)
_RIGHT, _IGNORED = (222, 232, 222), (150, 150, 150)


class EvaluationReport:
    """Write ``report.html`` and ``images.csv`` on a test; a handler for `predict_all`.

    Args:
        folder: Output folder.
        dataset: A data set with labels.
        cfg: The config.
        checkpoint: The tested checkpoint; the curves come from the log in its folder.
        work_dir: Folder to search for a log when the checkpoint's has none.
        outputs: Checks the output files; by default against this test's inputs.
        tint_background: See `OverlayStyle`.

    Raises:
        FileNotFoundError: An image has no label file.
        ValueError, OSError: See `Outputs.files`; or the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        dataset: CustomDataset,
        cfg: Config,
        checkpoint: str | Path,
        work_dir: str | Path | None = None,
        outputs: Outputs | None = None,
        tint_background: bool = False,
    ) -> None:
        self.images = ImageScores(dataset)
        outputs = outputs or outputs_of(dataset, cfg.filename, checkpoint)
        self.page, self.table = outputs.files(folder, [PAGE, TABLE], '--report')
        self.page.parent.mkdir(parents=True, exist_ok=True)
        self.dataset, self.cfg, self.checkpoint = dataset, cfg, Path(checkpoint)
        self.style = OverlayStyle.of_dataset(
            dataset, opacity=_OPACITY, tint_background=tint_background
        )
        self.log = find_log([self.checkpoint.parent, *([Path(work_dir)] if work_dir else [])])
        self.start = time.time()

    def add(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Count one image."""
        self.images.add(sample, prediction)

    def gather(self) -> None:
        """Add up what all processes have counted; all of them must call it."""
        self.images.gather()

    def scores(self) -> Scores:
        """Return the scores of all images that were gathered."""
        images = self.images
        scores = compute_scores(images.matrix, self.dataset.CLASSES, 'mIoU')
        intervals = bootstrap_intervals(images.hits, images.labelled, images.predicted)
        return replace(scores, intervals=intervals)

    def write(self, inferencer: Inferencer) -> None:
        """Write the page and the table; once, after `gather`.

        Args:
            inferencer: Predicts again the images that are shown.
        """
        self.images.write_csv(self.table)
        scores = self.scores()
        method = self.cfg.get('model', {}).get('type', 'model')
        page = Page(
            f'{Path(self.cfg.filename or "config").stem}: mIoU {percent(scores.summary()["mIoU"])}',
            f'{method} on {type(self.dataset).__name__}, {len(self.dataset)} images',
        )
        page.add('Summary', self._summary(scores))
        page.add('Classes', _class_table(scores, self.style.colours), note='Percent of the pixels; '
                 'a click on a column’s head sorts. Intervals are of 1000 resamples of the '
                 'images.')  # fmt: skip
        page.add('Confusion', *self._confusion(), note='Of the pixels labelled as the row’s class, '
                 'the percentage predicted as the column’s; n/a where no pixel is labelled as it. '
                 'Shades are of the square root, so that small confusions show.')  # fmt: skip
        curves = self._curves()
        if curves:
            page.add('Training', curves, note=f'From {self.log.name}.')
        samples = self._samples(inferencer)
        page.add('Worst, median and best images', *samples, note='By the mean IoU '
                 'over the classes that an image has. A click enlarges.')  # fmt: skip
        page.add('All images', *self._all_images(), note=f'Everything is in {TABLE}.')
        page.write(self.page)

    def _summary(self, scores: Scores) -> str:
        summary = scores.summary()
        figures = [
            ('mIoU', percent(summary['mIoU'])),
            ('its 95 % interval', interval(scores.intervals.mean_iou)),
            ('mean accuracy', percent(summary['mAcc'])),
            ('pixel accuracy', percent(summary['aAcc'])),
            ('images', f'{len(self.dataset):,}'),
            ('labelled pixels', f'{int(scores.num_pixels.sum()):,}'),
        ]
        about = [
            ('config', str(self.cfg.filename)),
            ('checkpoint', str(self.checkpoint)),
            ('test_cfg', str(dict(self.cfg.get('model', {}).get('test_cfg') or {}))),
            ('device', f'{ms.get_context("device_target")}, MindSpore {ms.__version__}'),
            ('written', f'{time.strftime("%Y-%m-%d %H:%M")}, {time.time() - self.start:.0f} s '
             'after the test began'),
        ]  # fmt: skip
        coverage = scores.coverage()
        warning = parts().warning(f'The scores are {coverage}.') if coverage else ''
        return parts().cards(figures) + warning + parts().facts(about)

    def _confusion(self) -> list[str]:
        matrix, classes = self.images.matrix, self.dataset.CLASSES
        shares = row_shares(matrix)
        rows = [
            [Cell(classes[i]), Cell(classes[j]), Cell.count(int(matrix[i, j])),
             Cell.percent(float(shares[i, j]))]
            for i, j in largest_confusions(matrix)
        ]  # fmt: skip
        head = ['Labelled', 'Predicted', 'Pixels', 'Of the labelled class']
        table = parts().table(head, rows, 'pairs')
        return [matrix_map(matrix, classes), parts().heading('Most pixels'), table]

    def _curves(self) -> str:
        if self.log is None:
            return ''
        try:
            train, val = read_log(self.log)
        except ValueError as error:
            get_logger().warning('the report has no curves: %s', error)
            return ''
        places, unit = run_places(train + val)
        losses = [entry.get('loss') for entry in train]
        charts = [line_chart([Line('', places[: len(train)], losses)], unit, 'training loss')]
        for name in ('mIoU', 'loss'):
            if val and any(entry.get(name) is not None for entry in val):
                values = [entry.get(name) for entry in val]
                line = Line('', places[len(train) :], values)
                charts.append(line_chart([line], unit, f'validation {name}'))
        return parts().charts(charts)

    def _samples(self, inferencer: Inferencer) -> list[str]:
        ranking = self.images.ranking()
        loader = EvalLoader(self.dataset, 0)
        shown = [
            parts().legend(self.dataset.CLASSES, self.style.colours, 'Classes:'),
            _error_key(self.dataset.CLASSES),
        ]
        for title, indices in choose_shown(ranking):
            shown.append(parts().heading(title))
            shown += [self._sample(loader.load(index), inferencer) for index in indices]
        return shown

    def _sample(self, sample: EvalSample, inferencer: Inferencer) -> str:
        prediction = inferencer.labels(sample.imgs, sample.metas)
        background = error_background(self.dataset.CLASSES)
        path = self.images.path(sample.index)
        image = load_shown(self.dataset, sample.index)
        errors = error_map(prediction, sample.gt, self.dataset.ignore_index, background)
        panels = {
            'image': image,
            'ground truth': self.style.blend(image, sample.gt),
            'prediction': self.style.blend(image, prediction),
            'errors': errors,
        }
        pictures = [
            picture(panel, f'{title} of {path}', _LONGEST_SIDE, panel is errors, title)
            for title, panel in panels.items()
        ]
        mean = percent(self.images.mean_iou()[sample.index])
        accuracy = percent(self.images.accuracy()[sample.index])
        name = self.images.name(sample.index)
        return parts().sample(name, [f'mIoU {mean}', f'accuracy {accuracy}'], pictures)

    def _all_images(self) -> list[str]:
        means, accuracies, ious = (
            self.images.mean_iou(), self.images.accuracy(), self.images.iou()
        )  # fmt: skip
        classes = self.dataset.CLASSES
        rows = []
        listed = self.images.ranking()[:_MOST_LISTED]
        for index in listed:
            worst = int(np.nanargmin(ious[index]))
            rows.append([
                Cell(self.images.name(index)),
                Cell.percent(float(means[index])),
                Cell.percent(float(accuracies[index])),
                Cell.of_class(classes[worst], self.style.colours[worst]),
                Cell.count(int(self.images.labelled[index].sum())),
            ])  # fmt: skip
        more = len(self.dataset) - len(listed)
        note = parts().note(f'{more} more are in {TABLE}.') if more else ''
        head = ['Image', 'mIoU', 'Accuracy', 'Worst class', 'Labelled pixels']
        chart = histogram(means[~np.isnan(means)], 'mIoU of an image', 'images')
        return [parts().charts([chart]), parts().table(head, rows, 'images'), note]


def find_log(folders: Sequence[Path]) -> Path | None:
    """Return the newest log of training, ``*.log.json``, of the first folder that has one."""
    for folder in folders:
        logs = sorted(folder.glob('*.log.json'), key=lambda path: path.stat().st_mtime)
        if logs:
            return logs[-1]
    return None


def choose_shown(ranking: Sequence[int], each: int = _SHOWN_EACH) -> list[tuple[str, list[int]]]:
    """Return worst, median and best images, none twice.

    Args:
        ranking: All images, the worst first.
        each: Images of each kind, fewer when there are not enough.
    """
    each = min(each, max(len(ranking) // 3, 1))
    worst = list(ranking[:each])
    rest = list(ranking[each:])
    best = rest[::-1][:each]
    rest = rest[: len(rest) - len(best)]
    first = max((len(rest) - each + 1) // 2, 0)
    groups = [('Worst', worst), ('Median', rest[first : first + each]), ('Best', best)]
    return [(title, indices) for title, indices in groups if indices]


def error_background(classes: Sequence[str]) -> int | None:
    """Return the class next to which objects are missed or false: a background, or 0 of two."""
    return next(iter(background_classes(classes)), 0 if len(classes) == 2 else None)


def error_map(
    prediction: np.ndarray, label: np.ndarray, ignore_index: int, background: int | None = 0
) -> np.ndarray:
    """Return a picture of the errors.

    Args:
        prediction: Classes (h, w).
        label: Classes and `ignore_index` (h, w).
        ignore_index: The value of pixels that do not count.
        background: A pixel labelled otherwise and predicted as this class is missed, the reverse
            is false. Other errors confuse two classes; all do when this is None.

    Returns:
        BGR uint8 (h, w, 3): missed, false, confused, right and ignored pixels in a colour each.
    """
    result = np.empty((*label.shape, 3), np.uint8)
    result[:] = _RIGHT
    is_wrong = prediction != label
    result[is_wrong] = _CONFUSED
    if background is not None:
        result[is_wrong & (prediction == background)] = _MISSED
        result[is_wrong & (label == background)] = _FALSE
    result[label == ignore_index] = _IGNORED
    return result[..., ::-1]


def _error_key(classes: Sequence[str]) -> str:
    background = error_background(classes)
    if background is None:
        key = {'wrong': _CONFUSED}
    else:
        name = classes[background]
        key = {f'missed: {name} predicted': _MISSED, f'false: {name} labelled': _FALSE}
        if len(classes) > 2:
            key['another class predicted'] = _CONFUSED
    key |= {'right': _RIGHT, 'ignored': _IGNORED}
    return parts().legend(list(key), list(key.values()), 'Errors:')


def _class_table(scores: Scores, colours: Sequence[Sequence[int] | None]) -> str:
    total = max(int(scores.num_pixels.sum()), 1)
    rows = [
        [
            Cell.of_class(name, colours[i]),
            Cell.percent(float(scores.per_class['IoU'][i])),
            Cell(interval(scores.intervals.iou[i])),
            Cell.percent(float(scores.per_class['Acc'][i])),
            Cell.count(int(scores.num_pixels[i])),
            Cell.percent(float(scores.num_pixels[i] / total)),
        ]
        for i, name in enumerate(scores.classes)
    ]
    return parts().table(
        ['Class', 'IoU', 'IoU, 95 %', 'Acc', 'Pixels', 'Share of pixels'], rows, 'classes'
    )

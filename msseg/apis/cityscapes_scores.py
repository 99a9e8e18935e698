"""Cityscapes' own evaluation, by the package cityscapesScripts."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from terminaltables import AsciiTable

from msseg.datasets import CityscapesDataset, CustomDataset
from msseg.datasets.eval_loader import EvalSample
from msseg.evaluation.table import percent
from msseg.utils.extras import import_extra

_LABEL_SUFFIXES = ('_gtFine_labelTrainIds.png', '_gtFine_labelIds.png')
CITYSCAPES = 'cityscapes'  # the metric's name
_MODULE = 'cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling'


@dataclass(frozen=True)
class CityscapesScores:
    """Scores by cityscapesScripts.

    A class that is predicted but labelled nowhere has IoU 0 there; msseg's mIoU leaves it out.

    Attributes:
        results: ``classScores``, ``classInstScores``, ``categoryScores``, ``categoryInstScores`` by
            name, and the mean of each as ``averageScore…``.
    """

    results: Mapping[str, Any]

    def as_dict(self) -> dict[str, float]:
        """Return the means, and each score as ``classScores.road``, as fractions of 1."""
        means = {k: float(v) for k, v in self.results.items() if k.startswith('averageScore')}
        single = {
            f'{kind}.{name}': float(self.results[kind][name])
            for kind, _ in (*_COLUMNS['class'], *_COLUMNS['category'])
            for name in self._names(kind)
        }
        return {**means, **single}

    def table(self) -> str:
        """Return tables of classes and of categories, in percent."""
        return '\n\n'.join(
            ['Cityscapes, by cityscapesScripts:', self._table('class'), self._table('category')]
        )

    def _table(self, what: str) -> str:
        kinds = [kind for kind, _ in _COLUMNS[what]]
        rows = [[what, *(title for _, title in _COLUMNS[what])]]
        for name in self._names(kinds[0]):
            rows.append([name, *(percent(self.results[kind][name]) for kind in kinds)])
        rows.append(['mean', *(percent(self.results[_MEANS[kind]]) for kind in kinds)])
        table = AsciiTable(rows)
        table.inner_footing_row_border = True
        table.justify_columns = {1: 'right', 2: 'right'}
        return table.table

    def _names(self, kind: str) -> list[str]:
        """Return the classes or categories with scores: the benchmark ignores some."""
        scored = 'classScores' if kind.startswith('class') else 'categoryScores'
        return [name for name, value in self.results[scored].items() if not math.isnan(value)]


_COLUMNS = {
    'class': (('classScores', 'IoU'), ('classInstScores', 'nIoU')),
    'category': (('categoryScores', 'IoU'), ('categoryInstScores', 'nIoU')),
}
_MEANS = {
    'classScores': 'averageScoreClasses',
    'classInstScores': 'averageScoreInstClasses',
    'categoryScores': 'averageScoreCategories',
    'categoryInstScores': 'averageScoreInstCategories',
}


def cityscapes_keys() -> list[str]:
    """Return the keys of the means, which are always reported."""
    return list(_MEANS.values())


class CityscapesCounter:
    """Write predictions as labelIds files and score them; a handler for `predict_all`.

    Args:
        dataset: Cityscapes, with ``…_gtFine_labelIds.png`` files next to its labels. Scores by
            instance (nIoU) need ``…_gtFine_instanceIds.png`` too.
        folder: The folder for the predictions.
    """

    def __init__(self, dataset: CustomDataset, folder: str | Path) -> None:
        if not isinstance(dataset, CityscapesDataset):
            raise ValueError(
                f"metric 'cityscapes': the data set is a {type(dataset).__name__}, expected a "
                'CityscapesDataset; for others ask for mIoU'
            )
        self.tool = import_extra(_MODULE, 'cityscapes', "metric 'cityscapes'")
        self.dataset = dataset
        self.folder = Path(folder)
        self.labels = [_label_ids_file(dataset, index) for index in range(len(dataset))]
        self.pairs: list[tuple[str, str]] = []

    def add(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Write one prediction."""
        (file,) = self.dataset.format_results([prediction], str(self.folder), [sample.index])
        self.pairs.append((file, self.labels[sample.index]))

    def scores(self) -> CityscapesScores:
        """Return the scores of all images added so far."""
        args = copy.copy(self.tool.args)
        args.quiet, args.JSONOutput, args.evalPixelAccuracy = True, False, False
        args.evalInstLevelScore = all(
            Path(label.replace('labelIds', 'instanceIds')).is_file() for _, label in self.pairs
        )
        predictions, labels = [list(files) for files in zip(*self.pairs, strict=True)]
        results = dict(self.tool.evaluateImgLists(predictions, labels, args))
        if not args.evalInstLevelScore:
            for kind in ('classInstScores', 'categoryInstScores'):
                results[kind] = dict.fromkeys(results[kind], math.nan)
                results[_MEANS[kind]] = math.nan
        return CityscapesScores(results)


def _label_ids_file(dataset: CityscapesDataset, index: int) -> str:
    file = Path(dataset.ann_dir or '', dataset.get_ann_info(index)['seg_map'])
    for suffix in _LABEL_SUFFIXES:
        if file.name.endswith(suffix):
            file = file.with_name(file.name[: -len(suffix)] + _LABEL_SUFFIXES[1])
            break
    if not file.name.endswith(_LABEL_SUFFIXES[1]) or not file.is_file():
        raise FileNotFoundError(
            f"metric 'cityscapes': {dataset.get_filename(index)} has no label {str(file)!r}; it "
            f'needs the …{_LABEL_SUFFIXES[1]} files of the download, for mIoU the others suffice'
        )
    return str(file)

"""The data sets of a split: their files, and what the values of their labels mean."""

from __future__ import annotations

import os
import os.path as osp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msseg.checks.data.file_scan import LabelScan, PairScan, PairTask, unpack_colour
from msseg.checks.findings import Findings
from msseg.config import Config, required
from msseg.datasets import (
    ClassBalancedDataset,
    ConcatDataset,
    CustomDataset,
    MultiImageMixDataset,
    RepeatDataset,
    build_dataset,
)
from msseg.datasets.file_lists import Problem, as_suffixes, collect_problems, files_below
from msseg.utils.image_loading import ImageLoading

_IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True)
class LabelRules:
    """The way from a value in a label file to a class, in the steps of `LoadAnnotations`."""

    classes: Sequence[str] | None  # names of the classes in use, None if unknown
    ignore_index: int = 255  # the value of pixels that do not count
    # RGB colour of each class, None if neither class nor config gives one
    palette: Sequence[Sequence[int]] | None = None
    label_map: dict[Any, int] | None = None  # from file values or (r, g, b) colours
    class_map: dict[int, int] | None = None  # from the data set's own classes to those in use
    reduce_zero_label: bool = False  # files hold class i as i + 1

    def maps(self, kind: type) -> bool:
        """Return whether label_map has a key of a type: tuple for colours, range for ranges."""
        return any(isinstance(key, kind) for key in self.label_map or {})

    @property
    def maps_colours_only(self) -> bool:
        """Whether single-channel labels are refused."""
        return self.maps(tuple) and not self.maps(int) and not self.maps(range)

    def meaning(self, value: int, is_colour: bool = False) -> int | None:
        """Return the index that a file's value (or packed colour) stands for.

        Returns:
            A class, ignore_index, or a wrong value; None for a colour that label_map lacks.
        """
        label_map = self.label_map or {}
        mapped = label_map.get(unpack_colour(value)) if is_colour else label_map.get(value, value)
        if mapped is None:
            return None
        if self.reduce_zero_label:
            is_ignored = mapped in (0, self.ignore_index)
            mapped = self.ignore_index if is_ignored else mapped - 1
        return (self.class_map or {}).get(mapped, mapped)

    def is_right(self, index: int | None) -> bool:
        """Return whether an index is ignore_index or a class in use."""
        if index is None or index == self.ignore_index:
            return index is not None
        return self.classes is None or 0 <= index < len(self.classes)

    def count(self, label: LabelScan) -> Counter[int]:
        """Return the pixels of each index, without colours that label_map lacks."""
        pixels: Counter[int] = Counter()
        if label.is_colour or not self.maps_colours_only:
            for value, number in label.values.items():
                pixels[self.meaning(value, label.is_colour)] += number
        del pixels[None]
        return pixels


@dataclass(frozen=True)
class Source:
    """A data set without wrappers."""

    split: str  # ``train``, ``val`` or ``test``
    who: str  # the name of its class
    tasks: list[PairTask]  # its images and their labels
    rules: LabelRules  # the meaning of label values
    img_dir: str | None = None  # the folder of its images, None if it has none
    to_rgb: bool = True  # whether Normalize in its pipeline swaps BGR to RGB

    def scanned(self, scans: Mapping[PairTask, PairScan]) -> Iterator[tuple[PairTask, PairScan]]:
        """Yield the pairs that were scanned, with what was found in them."""
        return ((task, scans[task]) for task in self.tasks if task in scans)


def list_sources(cfg: Config, split: str, findings: Findings) -> list[Source]:
    """Build a split's data sets; add the problems of their files to the findings.

    Raises:
        KeyError, TypeError, ValueError, OSError: The config lacks the split, or an argument of a
            data set does not fit.
    """
    node, dataset = required(cfg, f'data.{split}'), None
    with collect_problems() as problems:
        try:
            dataset = build_dataset(node)
        except (OSError, ValueError) as error:
            if not problems:
                raise
            problems.append(Problem('refused', f'data.{split}', str(error)))
        parts = list(_parts(dataset)) if dataset is not None else []
        for part in parts:
            if not isinstance(part, CustomDataset):
                raise TypeError(
                    f'{type(part).__name__} is no CustomDataset, so its files are unknown; derive '
                    'it from CustomDataset to check them'
                )
            if part.ann_dir is not None and part.test_mode:
                part.check_labels()
    names: dict[str, dict[str, str]] = {}
    for problem in problems:
        _add_problem(findings, split, problem, names)
    for part in parts:
        _add_other_files(findings, split, part)
    missing = {path for problem in problems for path in problem.expected}
    return [_source(part, split, missing) for part in parts]


def sources_of(dataset: Any, split: str) -> list[Source]:
    """Return the parts of a built data set; those that are no `CustomDataset` are left out."""
    return [_source(part, split) for part in _parts(dataset) if isinstance(part, CustomDataset)]


def _parts(dataset: Any) -> Iterator[Any]:
    if isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from _parts(part)
    elif isinstance(dataset, (RepeatDataset, ClassBalancedDataset, MultiImageMixDataset)):
        yield from _parts(dataset.dataset)
    else:
        yield dataset


def _add_problem(
    findings: Findings, split: str, problem: Problem, names: dict[str, dict[str, str]]
) -> None:
    """Add a problem, as another rule if a file differs in upper and lower case only."""
    for path in problem.expected:
        folder, name = osp.split(path)
        if folder not in names:
            found = os.listdir(folder or '.') if osp.isdir(folder or '.') else []
            names[folder] = {other.lower(): other for other in sorted(found)}
        variant = names[folder].get(name.lower(), name)
        if variant != name:
            is_label = problem.rule == 'image_without_label'
            user = f'the label of {problem.path}' if is_label else problem.note
            path = osp.join(folder, variant)
            return findings.add('upper_case_suffix', path, f'must be {name}, {user}', split=split)
    return findings.add(problem.rule, problem.path, problem.note, split=split)


def _add_other_files(findings: Findings, split: str, dataset: CustomDataset) -> None:
    """Add files in the folders of a data set that belong to no pair; and missing classes."""
    img_dir, ann_dir = dataset.img_dir or '', dataset.ann_dir
    if dataset.CLASSES is None:
        where = dataset.split or str(dataset.img_dir)
        findings.add('unknown_classes', where, 'give classes=[…], their names', split=split)
    is_list = (dataset.split or '').endswith('.lst')
    names = files_below(img_dir) if img_dir and not is_list else []
    suffixes = as_suffixes(dataset.img_suffix)
    lists_itself = type(dataset).load_annotations is not CustomDataset.load_annotations
    for name in names if dataset.split is None and not lists_itself else ():
        if not name.endswith(suffixes):
            _add_missed(findings, split, dataset, name)
    if ann_dir is None or is_list or lists_itself or not osp.isdir(img_dir):
        return
    lower = {name.lower() for name in names}
    endings = [suffix.lower() for suffix in (*suffixes, *_IMAGE_SUFFIXES)]
    expected = {(info.get('ann') or {}).get('seg_map') for info in dataset.img_infos}
    for label in files_below(ann_dir):
        if label in expected or not label.endswith(dataset.seg_map_suffix):
            continue
        stem = label[: len(label) - len(dataset.seg_map_suffix)]
        # an image in capitals or of another suffix has its own finding
        if not any(stem.lower() + ending in lower for ending in endings):
            wanted = ' or '.join(osp.join(img_dir, stem + suffix) for suffix in suffixes)
            path, note = osp.join(ann_dir, label), f'there is no {wanted}'
            findings.add('label_without_image', path, note, split=split)


def _add_missed(findings: Findings, split: str, dataset: CustomDataset, name: str) -> None:
    suffixes = as_suffixes(dataset.img_suffix)
    path = osp.join(dataset.img_dir, name)
    suffix = next((s for s in suffixes if name.lower().endswith(s.lower())), None)
    if suffix is not None:
        note = f'ends with {name[-len(suffix) :]!r}, not with {suffix!r}'
        return findings.add('upper_case_suffix', path, note, split=split)
    # a longer suffix picks one kind of file of several on purpose
    picks_kind = not all(s.startswith('.') for s in suffixes)
    is_label = dataset.ann_dir is not None and name.endswith(dataset.seg_map_suffix)
    if not picks_kind and not is_label and name.lower().endswith(_IMAGE_SUFFIXES):
        findings.add('other_suffix', path, split=split)
    return None


def _source(dataset: Any, split: str, missing: set[str] = frozenset()) -> Source:
    load = _find(dataset.pipeline, 'LoadImageFromFile')
    normalize = _find(dataset.pipeline, 'Normalize')
    # a pipeline that loads in another way knows how to read the files
    is_other = bool(dataset.pipeline.transforms) and load is None
    loading = None if is_other else getattr(load, 'loading', ImageLoading())
    tasks = []
    for info in dataset.img_infos:
        if 'filename' in info:
            label = _label_path(dataset, info, split)
            task = PairTask(
                image=osp.join(dataset.img_dir or '', info['filename']),
                label=None if label in missing else label,
                loading=loading,
            )
            tasks.append(task)
    rules = LabelRules(
        classes=dataset.CLASSES,
        ignore_index=dataset.ignore_index,
        palette=dataset.PALETTE if dataset.palette_is_known else None,
        label_map=dataset.label_map,
        class_map=dataset.class_map,
        reduce_zero_label=dataset.reduce_zero_label,
    )
    color_type = 'color' if loading is None else loading.color_type
    to_rgb = getattr(normalize, 'to_rgb', True) and color_type.startswith('color')
    return Source(split, type(dataset).__name__, tasks, rules, dataset.img_dir, to_rgb)


def _label_path(dataset: Any, info: dict, split: str) -> str | None:
    label = (info.get('ann') or {}).get('seg_map')
    if split == 'train':
        steps = dataset.pipeline.transforms
        loads_otherwise = steps and _find(dataset.pipeline, 'LoadAnnotations') is None
    else:  # evaluation reads labels by itself
        loads_otherwise = type(dataset).get_gt_seg_map is not CustomDataset.get_gt_seg_map
    if dataset.ann_dir is None or label is None or loads_otherwise:
        return None
    return osp.join(dataset.ann_dir, label)


def _find(transform: Any, name: str) -> Any:
    """Return the first transform of a class's name, also inside others; None if it is missing."""
    if type(transform).__name__ == name:
        return transform
    inner = getattr(transform, 'transforms', None)
    parts = inner if isinstance(inner, (list, tuple)) else [] if inner is None else [inner]
    return next(filter(None, (_find(part, name) for part in parts)), None)

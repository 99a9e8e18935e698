"""From a config to its data sets, wrappers taken off."""

from __future__ import annotations

import os.path as osp
from collections.abc import Iterator
from typing import Any

from msseg.checks.data.file_scan import PairTask
from msseg.checks.data.label_rules import LabelRules
from msseg.checks.data.lenient import LenientMixin, make_lenient
from msseg.checks.data.source import Source
from msseg.config import Config, required
from msseg.datasets import ConcatDataset, CustomDataset, RepeatDataset, build_dataset


def list_sources(cfg: Config, split: str) -> list[Source]:
    """List the files of a split's data sets.

    Args:
        cfg: With ``data``.
        split: ``train``, ``val`` or ``test``.

    Raises:
        KeyError, TypeError, ValueError, OSError: The config does not say the split, or an argument
            of a data set does not fit; what is wrong with files becomes notes.
    """
    return sources_of(build_dataset(make_lenient(required(cfg, f'data.{split}'))), split)


def sources_of(dataset: Any, split: str) -> list[Source]:
    """Return what a built data set consists of, wrappers taken off.

    Args:
        dataset: A data set; parts that are not derived from `CustomDataset` are left out.
        split: ``train``, ``val`` or ``test``.
    """
    parts = [part for part in _parts(dataset) if isinstance(part, CustomDataset)]
    return [_source(part, split) for part in parts]


def _parts(dataset: Any) -> Iterator[Any]:
    if isinstance(dataset, ConcatDataset):
        for part in dataset.datasets:
            yield from _parts(part)
    elif isinstance(dataset, RepeatDataset):
        yield from _parts(dataset.dataset)
    else:
        yield dataset


def _source(dataset: Any, split: str) -> Source:
    load = _find(dataset.pipeline, 'LoadImageFromFile')
    normalize = _find(dataset.pipeline, 'Normalize')
    # a pipeline that loads in another way knows how to read the files
    color_type = load.color_type if load else None if dataset.pipeline.transforms else 'color'
    return Source(
        split=split,
        who=type(dataset).__name__,
        img_dir=dataset.img_dir,
        tasks=[
            PairTask(
                image=osp.join(dataset.img_dir or '', info['filename']),
                label=_label_path(dataset, info, split),
                color_type=color_type,
                backend=getattr(load, 'imdecode_backend', 'cv2'),
                max_value=getattr(load, 'max_value', None),
                percentiles=tuple(getattr(load, 'percentiles', None) or ()) or None,
            )
            for info in dataset.img_infos
            if 'filename' in info
        ],
        rules=LabelRules(
            classes=dataset.CLASSES,
            ignore_index=dataset.ignore_index,
            palette=dataset.PALETTE if dataset.palette_is_known else None,
            label_map=dataset.label_map,
            class_map=dataset.class_map,
            reduce_zero_label=dataset.reduce_zero_label,
        ),
        notes=dataset.listing.notes if isinstance(dataset, LenientMixin) else [],
        to_rgb=getattr(normalize, 'to_rgb', True) and (color_type or 'color').startswith('color'),
    )


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
    """Return the first transform of a class's name, also inside others; None if there is none."""
    if type(transform).__name__ == name:
        return transform
    inner = getattr(transform, 'transforms', None)
    parts = inner if isinstance(inner, (list, tuple)) else [] if inner is None else [inner]
    return next(filter(None, (_find(part, name) for part in parts)), None)

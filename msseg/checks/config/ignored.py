"""Label values that do not count: data sets, heads, losses and transforms among each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msseg.apis.settings import (
    SPLITS,
    Setting,
    dataset_nodes,
    each,
    entry_of,
    head_nodes,
    setting,
    transform_nodes,
)
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import HEADS, LOSSES
from msseg.registry import Registry
from msseg.utils.arguments import accepted_arguments, fits


def check_ignored(cfg: Config, findings: Findings) -> None:
    """Compare the values that data sets, heads, losses and transforms leave out or pad with."""
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            ignored = setting(dataset, 'ignore_index', DATASETS)
            if ignored is None:
                continue
            for other in _of_heads(cfg):
                if other.value != ignored.value:
                    findings.add('ignore_index', other, f'{other.value!r}, but {ignored}')
            if split == 'train':  # elsewhere labels do not pass the pipeline
                _check_transforms(dataset, ignored, findings)


def _of_heads(cfg: Config) -> list[Setting]:
    """Return ignore_index of all heads, and of the losses that have one of their own."""
    found = []
    for head in head_nodes(cfg):
        found.append(setting(head, 'ignore_index', HEADS))
        num_classes = head.get('num_classes')
        for loss in each(head.get('loss_decode')):
            own = _argument(loss, 'ignore_index', LOSSES)
            # a loss's own may be a class, which it then leaves out
            is_class = (
                own is not None and fits(num_classes, int) and own.value in range(num_classes)
            )
            found.append(None if is_class else own)
    return [said for said in found if said is not None]


def _check_transforms(dataset: Mapping[str, Any], ignored: Setting, findings: Findings) -> None:
    for transform in transform_nodes(dataset):
        for name in ('ignore_index', 'seg_pad_val'):
            said = _argument(transform, name, PIPELINES)
            if said is not None and said.value != ignored.value:
                findings.add(name, said, f'{said.value!r}, but {ignored}')


def _argument(node: Mapping[str, Any], name: str, registry: Registry) -> Setting | None:
    """Return a setting or its default if what the node builds takes such an argument."""
    entry = entry_of(node, registry)
    accepted = accepted_arguments(entry) if entry is not None else None
    return setting(node, name, registry) if accepted is None or name in accepted else None

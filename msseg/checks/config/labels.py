"""Compare classes and ignored label values of data sets, heads, losses and transforms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msseg.apis.settings import (
    SPLITS,
    Setting,
    class_names,
    dataset_nodes,
    each,
    entry_of,
    head_nodes,
    setting,
    transform_nodes,
)
from msseg.checks.config.rules import ConfigFindings
from msseg.config import Config
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import HEADS, LOSSES
from msseg.registry import Registry
from msseg.utils.arguments import accepted_arguments, fits

_MOST_NAMES = 4


def named_classes(cfg: Config) -> dict[str, list[str]]:
    """Return the classes of each split, as far as they are known without building it."""
    first = {split: next(iter(dataset_nodes(cfg, split)), {}) for split in SPLITS}
    found = {split: class_names(node) for split, node in first.items()}
    return {split: names for split, names in found.items() if names is not None}


def check_classes(
    cfg: Config, classes: Mapping[str, Sequence[str]], findings: ConfigFindings
) -> None:
    """Compare the classes of heads and data sets.

    Args:
        cfg: The config.
        classes: The class names of each split, as far as they are known.
        findings: The collection to add to.
    """
    trained = next((split for split in SPLITS if split in classes), None)
    if trained is None:
        return
    expected = list(classes[trained])
    for head in head_nodes(cfg):
        given = setting(head, 'num_classes', HEADS)
        if given is not None and fits(given.value, int) and given.value != len(expected):
            note = f'{given.value}, but {_describe(cfg, trained, expected)}'
            findings.add_setting('num_classes', given, note)
    for split, names in classes.items():
        # other names may mean the same; the same names in another order do not
        is_mixed = list(names) != expected and set(names) == set(expected)
        if len(names) != len(expected) or is_mixed:
            note = f'{_describe(cfg, split, names)}; {_describe(cfg, trained, expected)}'
            findings.add('classes_differ', f'data.{split}', note)


def _describe(cfg: Config, split: str, names: Sequence[str]) -> str:
    node: Any = next(iter(dataset_nodes(cfg, split)), {})
    entry = entry_of(node, DATASETS)
    who = entry.__name__ if entry is not None else 'data set'
    given = setting(node, 'classes')
    origin = f', {given.origin}' if given is not None and given.value is not None else ''
    shown = ', '.join(names[:_MOST_NAMES]) + (', …' if len(names) > _MOST_NAMES else '')
    return f'data.{split} ({who}{origin}) has {len(names)} classes: {shown}'


def check_ignored(cfg: Config, findings: ConfigFindings) -> None:
    """Compare the label values that data sets, heads, losses and transforms ignore or pad with."""
    of_heads = _of_heads(cfg)
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            ignored = setting(dataset, 'ignore_index', DATASETS)
            others = [('ignore_index', other) for other in of_heads]
            # elsewhere labels do not pass the pipeline
            for node in transform_nodes(dataset) if split == 'train' else ():
                for name in ('ignore_index', 'seg_pad_val'):
                    others.append((name, _argument(node, name, PIPELINES)))
            for rule, other in others:
                if ignored is not None and other is not None and other.value != ignored.value:
                    findings.add_setting(rule, other, f'{other.value!r}, but {ignored}')


def _of_heads(cfg: Config) -> list[Setting | None]:
    """Return ignore_index of all heads and losses."""
    found = []
    for head in head_nodes(cfg):
        found.append(setting(head, 'ignore_index', HEADS))
        num_classes = head.get('num_classes')
        for loss in each(head.get('loss_decode')):
            own = _argument(loss, 'ignore_index', LOSSES)
            # a loss may ignore a class
            is_class = own and fits(num_classes, int) and own.value in range(num_classes)
            found.append(None if is_class else own)
    return found


def _argument(node: Mapping[str, Any], name: str, registry: Registry) -> Setting | None:
    """Return a setting or its default, if the component takes such an argument."""
    entry = entry_of(node, registry)
    accepted = accepted_arguments(entry) if entry is not None else None
    return setting(node, name, registry) if accepted is None or name in accepted else None

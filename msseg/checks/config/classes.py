"""Numbers of classes: heads against data sets, data sets against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msseg.apis.settings import (
    class_names,
    dataset_nodes,
    entry_of,
    head_nodes,
    setting,
)
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.datasets.builder import DATASETS
from msseg.models.builder import HEADS
from msseg.utils.arguments import fits

_MOST_NAMES = 4


def named_classes(cfg: Config) -> dict[str, list[str]]:
    """Return the classes of each split as far as the config itself says them."""
    found = {}
    for split in ('train', 'val', 'test'):
        names = [class_names(node) for node in dataset_nodes(cfg, split)]
        if names and names[0] is not None:
            found[split] = names[0]
    return found


def check_classes(cfg: Config, classes: Mapping[str, Sequence[str]], findings: Findings) -> None:
    """Compare numbers of classes.

    Args:
        cfg: The config.
        classes: The names of each split's classes, as far as they are known.
        findings: Where to note what differs.
    """
    trained = next((split for split in ('train', 'val', 'test') if split in classes), None)
    if trained is None:
        return
    count = len(classes[trained])
    for head in head_nodes(cfg):
        said = setting(head, 'num_classes', HEADS)
        if said is not None and fits(said.value, int) and said.value != count:
            named = _describe(cfg, trained, classes[trained])
            findings.add('num_classes', said, f'{said.value}, but {named}')
    for split, names in classes.items():
        # other names may mean the same; the same names in another order do not
        is_mixed = list(names) != list(classes[trained]) and set(names) == set(classes[trained])
        if len(names) != count or is_mixed:
            here, there = _describe(cfg, split, names), _describe(cfg, trained, classes[trained])
            findings.add('classes_differ', f'data.{split}', f'{here}; {there}')


def _describe(cfg: Config, split: str, names: Sequence[str]) -> str:
    node: Any = next(iter(dataset_nodes(cfg, split)), {})
    entry = entry_of(node, DATASETS)
    who = entry.__name__ if entry is not None else 'data set'
    said = setting(node, 'classes')
    origin = f', {said.origin}' if said is not None and said.value is not None else ''
    shown = ', '.join(names[:_MOST_NAMES]) + (', …' if len(names) > _MOST_NAMES else '')
    return f'data.{split} ({who}{origin}) has {len(names)} classes: {shown}'

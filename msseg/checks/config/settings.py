"""Settings of a config that may be wrong: their values, and what sets them."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msseg.config import Config
from msseg.datasets import (
    ClassBalancedDataset,
    ConcatDataset,
    MultiImageMixDataset,
    RepeatDataset,
)
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import HEADS
from msseg.registry import Registry, config_file, config_path
from msseg.utils.arguments import argument_default

DEFAULT = 'default'
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Setting:
    """A setting of a config, or the default of a component."""

    key: str  # the dotted key
    value: Any
    origin: str  # what sets it: a file, ``--cfg-options`` or ``default``

    def __str__(self) -> str:
        return f'{self.key} is {self.value!r} ({self.origin})'


def setting(node: Any, name: str, registry: Registry | None = None) -> Setting | None:
    """Return a setting of a dict of a config, or the default of its component.

    Args:
        node: The dict.
        name: The key.
        registry: The registry of the component; None for settings without a default.

    Returns:
        None if it is neither set nor has a default.

    Examples:
        >>> cfg = Config(dict(pad=dict(type='Pad', size=(4, 4))))
        >>> print(setting(cfg.pad, 'size'))
        pad.size is (4, 4) (set by a program)
        >>> print(setting(cfg.pad, 'seg_pad_val', PIPELINES))
        pad.seg_pad_val is 255 (default)
    """
    if not isinstance(node, Mapping):
        return None
    where = config_path(node)
    key = f'{where}.{name}' if where else name
    if name in node:
        return Setting(key, node[name], config_file(node, name) or 'set by a program')
    entry = entry_of(node, registry) if registry is not None else None
    default = inspect.Parameter.empty if entry is None else argument_default(entry, name)
    return None if default is inspect.Parameter.empty else Setting(key, default, DEFAULT)


def entry_of(node: Any, registry: Registry) -> Callable | None:
    """Return the component that a dict's ``type`` names, None if it is unknown."""
    kind = node.get('type') if isinstance(node, Mapping) else None
    if isinstance(kind, str):
        return registry.get(kind)
    return kind if callable(kind) else None


def part(cfg: Config, key: str) -> Mapping[str, Any]:
    """Return a dict of the config by its dotted key, an empty one if it is missing."""
    node: Any = cfg
    for name in key.split('.'):
        node = node.get(name) if isinstance(node, Mapping | Config) else None
    return node if isinstance(node, Mapping) else {}


def each(value: Any) -> list[Mapping[str, Any]]:
    """Return the dicts of a value that is one, a list of them, or None."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [node for node in values if isinstance(node, Mapping)]


def is_list_of_dicts(value: Any) -> bool:
    """Return whether a value is a list of dicts only."""
    return isinstance(value, (list, tuple)) and len(each(value)) == len(value)


def head_nodes(cfg: Config) -> list[Mapping[str, Any]]:
    """Return the heads: decode heads, then auxiliary ones, each before those inside of it."""
    model = part(cfg, 'model')
    heads = [*each(model.get('decode_head')), *each(model.get('auxiliary_head'))]
    return [node for head in heads for node in (head, *_inner_heads(head))]


def _inner_heads(head: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the heads with losses that a head's arguments are, by registered names."""
    for node in (node for value in head.values() for node in each(value)):
        kind = node.get('type')
        if isinstance(kind, str) and hasattr(HEADS.get(kind), 'losses'):
            yield node


def dataset_nodes(cfg: Config, split: str) -> list[Mapping[str, Any]]:
    """Return the data sets of a split, without wrappers."""
    return list(_unwrapped(part(cfg, 'data').get(split)))


def _unwrapped(value: Any) -> Iterator[Mapping[str, Any]]:
    for node in each(value):
        entry = entry_of(node, DATASETS)
        if entry in (ConcatDataset, RepeatDataset, ClassBalancedDataset):
            yield from _unwrapped(node.get('datasets', node.get('dataset')))
        elif entry is MultiImageMixDataset:
            for inner in _unwrapped(node.get('dataset')):
                inner = copy.copy(inner)  # which knows its place in the config file
                inner['pipeline'] = [*each(inner.get('pipeline')), *each(node.get('pipeline'))]
                yield inner
        else:
            yield node


def transform_nodes(dataset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the transforms of a pipeline in their order, also those inside others."""
    return list(_flattened(dataset.get('pipeline')))


def _flattened(value: Any) -> Iterator[Mapping[str, Any]]:
    for node in each(value):
        yield node
        yield from _flattened(node.get('transforms'))


def transforms_of(dataset: Mapping[str, Any], kind: type) -> list[Mapping[str, Any]]:
    """Return the transforms of a pipeline that are of a class."""
    return [node for node in transform_nodes(dataset) if is_a(node, kind)]


def is_a(node: Mapping[str, Any], kind: type) -> bool:
    """Return whether a transform is of a class or of one derived from it."""
    entry = entry_of(node, PIPELINES)
    return inspect.isclass(entry) and issubclass(entry, kind)


def class_names(dataset: Mapping[str, Any]) -> list[str] | None:
    """Return the class names of a data set, None if they are not known before it is built."""
    given = dataset.get('classes')
    if given is None:
        given = getattr(entry_of(dataset, DATASETS), 'CLASSES', None)
    return list(given) if isinstance(given, (list, tuple)) else None

"""Settings of a config, in whatever state it is: what they are, and what set them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msseg.config import Config
from msseg.datasets import ConcatDataset, RepeatDataset
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.registry import Registry, config_file, config_path
from msseg.utils.arguments import argument_default

DEFAULT = 'default'
SPLITS = ('train', 'val', 'test')


@dataclass(frozen=True)
class Setting:
    """A setting.

    Attributes:
        key: Dotted key.
        value: Its value, or the default's.
        origin: What set it: a file, ``--cfg-options`` or ``default``.
    """

    key: str
    value: Any
    origin: str

    def __str__(self) -> str:
        return f'{self.key} is {self.value!r} ({self.origin})'


def setting(node: Any, name: str, registry: Registry | None = None) -> Setting | None:
    """Return a node's setting, or the default that what it builds has for it.

    Args:
        node: A dict of a config.
        name: The key.
        registry: Where ``type`` is looked up for the default; None for none.

    Returns:
        None when it is neither set nor has a default.
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
    """Return what a node's ``type`` names, None when it names nothing."""
    kind = node.get('type') if isinstance(node, Mapping) else None
    if isinstance(kind, str):
        return registry.get(kind)
    return kind if callable(kind) else None


def part(cfg: Config, key: str) -> Mapping[str, Any]:
    """Return a dict of the config by its dotted key; an empty one when it is not there."""
    node: Any = cfg
    for name in key.split('.'):
        node = node.get(name) if isinstance(node, Mapping | Config) else None
    return node if isinstance(node, Mapping) else {}


def each(value: Any) -> list[Mapping[str, Any]]:
    """Return the dicts of a value that is one, a list of them, or None."""
    values = value if isinstance(value, (list, tuple)) else [value]
    return [node for node in values if isinstance(node, Mapping)]


def is_list_of_dicts(value: Any) -> bool:
    """Whether a value is a list that holds dicts only."""
    return isinstance(value, (list, tuple)) and len(each(value)) == len(value)


def head_nodes(cfg: Config) -> list[Mapping[str, Any]]:
    """Return the heads: decode heads, then auxiliary ones."""
    model = part(cfg, 'model')
    return [*each(model.get('decode_head')), *each(model.get('auxiliary_head'))]


def dataset_nodes(cfg: Config, split: str) -> list[Mapping[str, Any]]:
    """Return a split's data sets, wrappers taken off."""
    return list(_unwrapped(part(cfg, 'data').get(split)))


def _unwrapped(value: Any) -> Iterator[Mapping[str, Any]]:
    for node in each(value):
        entry = entry_of(node, DATASETS)
        if entry in (ConcatDataset, RepeatDataset):
            yield from _unwrapped(node.get('datasets', node.get('dataset')))
        else:
            yield node


def transform_nodes(dataset: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the transforms of a data set's pipeline in their order, also those inside others."""
    return list(_flattened(dataset.get('pipeline')))


def _flattened(value: Any) -> Iterator[Mapping[str, Any]]:
    for node in each(value):
        yield node
        yield from _flattened(node.get('transforms'))


def transforms_of(dataset: Mapping[str, Any], kind: type) -> list[Mapping[str, Any]]:
    """Return the transforms of a pipeline that are of a class."""
    return [node for node in transform_nodes(dataset) if is_a(node, kind)]


def is_a(node: Mapping[str, Any], kind: type) -> bool:
    """Whether a transform's node names a class or one derived from it."""
    entry = entry_of(node, PIPELINES)
    return inspect.isclass(entry) and issubclass(entry, kind)


def class_names(dataset: Mapping[str, Any]) -> list[str] | None:
    """Return the classes of a data set's node, None when only building it can tell."""
    given = dataset.get('classes')
    if given is None:
        given = getattr(entry_of(dataset, DATASETS), 'CLASSES', None)
    return list(given) if isinstance(given, (list, tuple)) else None

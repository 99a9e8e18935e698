"""Read YAML as plain data: no Python objects, no duplicate keys, no growth by aliases."""

from __future__ import annotations

import re
from typing import Any

import yaml

from msseg.utils.errors import UserValueError

MAX_DEPTH = 64
MAX_VALUES = 1_000_000


def find_duplicate(keys: list) -> int | None:
    """Return the index of the first key that occurs before it too, None if all differ."""
    first = {key: index for index, key in reversed(list(enumerate(keys)))}
    return next((index for index, key in enumerate(keys) if first[key] != index), None)


def parse_yaml(text: str, where: str) -> Any:
    """Return the values of a YAML text.

    Args:
        text: The text.
        where: The file, for errors.

    Raises:
        ValueError: It is no YAML, or holds a Python object or a key twice.
        RecursionError: It is nested too deeply.
    """
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        lead = '' if isinstance(error, yaml.constructor.ConstructorError) else 'no YAML: '
        is_tag = not lead and 'tag' in error.problem
        hint = ': a YAML config holds plain data, and names components by strings' if is_tag else ''
        raise UserValueError(f'{lead}{error.problem}{hint}', file=where, line=line) from error
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # what PyYAML's constructors raise: a day of 99, a number of thousands of digits, !!int x
        raise UserValueError(f'no YAML: {error}', file=where) from error


class _PlainLoader(yaml.SafeLoader):
    """PyYAML's loader of plain data, with ``1e-4`` as a number as in YAML 1.2.

    The only tag of Python objects that it knows is that of tuples, which `Config.dump` writes: a
    YAML file can name no function or class.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._merged = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """Return a node; limit the depth, of which PyYAML's time is the square."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Return a node; refuse duplicate keys, of which PyYAML would silently take the last."""
        node = super().compose_mapping_node(anchor)
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        index = find_duplicate([(key.tag, key.value) for key in scalars])
        if index is not None:
            line = scalars[index].start_mark.line + 1
            problem = f'the key {scalars[index].value!r} stands twice (line {line})'
            raise yaml.MarkedYAMLError(problem=problem)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Copy what merge keys name into a node; a few lines may ask for millions of copies."""
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem=f'its merge keys copy over {MAX_VALUES:,} values')

    def tuple(self, node: yaml.SequenceNode) -> tuple:
        """Return the elements of a sequence."""
        return tuple(self.construct_sequence(node, deep=True))


_PlainLoader.add_constructor('tag:yaml.org,2002:python/tuple', _PlainLoader.tuple)
_PlainLoader.add_implicit_resolver(
    'tag:yaml.org,2002:float',
    re.compile(r'[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$'),
    list('-+.0123456789'),
)

"""What a config may hold: so much that reading it ends in time, and each key once."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

MAX_BYTES = 2**21
MAX_BASES = 64
MAX_DEPTH = 64
MAX_VALUES = 1_000_000
MAX_KEY = 1_000


def count_values(value: Any, where: str) -> int:
    """Return how many values there are in a value, one for each place where they are used.

    Lists that are used several times, as YAML's aliases, are counted without going through them
    again: a few lines may stand for thousands of millions of values.

    Args:
        value: What was read.
        where: Leads the message: file and key.

    Raises:
        ValueError: More than `MAX_VALUES`, deeper than `MAX_DEPTH`, a value inside itself, or a key
            of more than `MAX_KEY` characters.
    """
    if not isinstance(value, _CONTAINERS):
        value = [value]
    sizes: dict[int, tuple[int, int]] = {}
    stack = [_Node(value, where)]
    inside = {id(value)}
    while True:
        node = stack[-1]
        child = next(node.children, _END)
        if child is _END:
            sizes[id(node.value)] = node.count, node.height
            inside.discard(id(node.value))
            stack.pop()
            if not stack:
                return node.count
            stack[-1].add(*sizes[id(node.value)])
        elif id(child) in inside:
            raise ValueError(f'{where} contains itself')
        elif not isinstance(child, _CONTAINERS):
            node.count += 1
            if isinstance(child, (str, bytes)) and len(child) > MAX_BYTES:
                raise ValueError(f'{where} has a text of more than {MAX_BYTES // 2**20} MiB')
        elif id(child) in sizes:
            node.add(*sizes[id(child)])
        else:
            inside.add(id(child))
            stack.append(_Node(child, where))
        if node.count > MAX_VALUES:
            raise ValueError(
                f'{where} has more than {MAX_VALUES:,} values: keep them in a file of their own '
                '(of what only the config itself needs: `del` it at the end)'
            )
        if len(stack) + node.height > MAX_DEPTH:
            raise ValueError(f'{where} is nested more than {MAX_DEPTH} deep')


def find_double(keys: Sequence[Hashable]) -> int | None:
    """Return the place of the first key that stands before it, too; None when there is none."""
    seen = set()
    for place, key in enumerate(keys):
        if key in seen:
            return place
        seen.add(key)
    return None


_CONTAINERS = (dict, list, tuple, set, frozenset)
_END = object()


class _Node:
    def __init__(self, value: Any, where: str) -> None:
        self.value, self.count, self.height = value, 1, 0
        self.children: Iterable = iter(())
        if isinstance(value, dict):
            if any(isinstance(key, str) and len(key) > MAX_KEY for key in value):
                raise ValueError(f'{where} has a key of more than {MAX_KEY} characters')
            self.children = iter(value.values())
        elif isinstance(value, _CONTAINERS):
            self.children = iter(value)

    def add(self, count: int, height: int) -> None:
        self.count += count
        self.height = max(self.height, height + 1)

"""Rules: what becomes of the parameters of another project."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

Change = Callable[[np.ndarray], np.ndarray]


class LeftAside(Exception):
    """Raised by a rule for a parameter that no segmentation model has, with the reason."""


@dataclass(frozen=True)
class Mapped:
    """The place of a parameter's numbers in msseg's model, and how they are changed.

    Attributes:
        target: msseg's name. Several names: the array is split into as many equal parts.
        change: A function from array to array that is applied first; the first line of its
            docstring describes it in reports.
        part: Which part of the target the array is, from 0, and of how many parts, which are
            joined in this order.
        axis: The axis along which arrays are split or joined.
        unless_needed: The reason to leave the parameter aside where the model does not have it;
            '' reports it as unexpected.
        rule: The pattern of the rule, for reports.

    Examples:
        >>> Mapped('attn.qkv.weight', part=(1, 3)).targets
        ('attn.qkv.weight',)
    """

    target: str | tuple[str, ...]
    change: Change | None = None
    part: tuple[int, int] = (0, 1)
    axis: int = 0
    unless_needed: str = ''
    rule: str = ''

    @property
    def targets(self) -> tuple[str, ...]:
        """All names in msseg's model."""
        return (self.target,) if isinstance(self.target, str) else self.target

    @property
    def kind(self) -> str:
        """What is done with the array: ``joined``, ``split``, ``changed`` or ``''``."""
        if self.part[1] > 1:
            return 'joined'
        if len(self.targets) > 1:
            return 'split'
        return 'changed' if self.change is not None else ''

    def describe(self) -> str:
        """Return a remark on what is done with the array, '' for nothing."""
        parts = []
        if self.part[1] > 1:
            parts.append(f'part {self.part[0] + 1} of {self.part[1]}')
        if len(self.targets) > 1:
            parts.append(f'split into {len(self.targets)} parts')
        if self.change is not None:
            text = (self.change.__doc__ or self.change.__name__).strip()
            parts.append(text.splitlines()[0].rstrip('.'))
        return ', '.join(parts)

    def cut(self, array: np.ndarray) -> list[np.ndarray]:
        """Return the numbers for each of the targets.

        Raises:
            ValueError, IndexError: The array is not of the kind that the rule is for.
        """
        if self.change is not None:
            array = self.change(array)
        count = len(self.targets)
        return [array] if count == 1 else np.split(array, count, self.axis)


Fate = str | Mapped | LeftAside


class Rules:
    r"""A table of rules, to be registered with `register_names`.

    Args:
        table: Pattern of the beginning of a name, as of `re`, to what becomes of the parameter:
            msseg's name, a `Mapped`, or a `LeftAside` with the reason. The first pattern that
            matches counts; its groups may stand in targets, as ``\1``, and what follows the match
            stays.

    Examples:
        >>> rules = Rules({
        ...     r'block(\d+)\.q\.': Mapped(r'layers.\1.in_proj.', part=(0, 2)),
        ...     r'block(\d+)\.': r'layers.\1.',
        ... })
        >>> rules('block3.norm.weight').target, rules('block3.q.bias').target, rules('head.bias')
        ('layers.3.norm.weight', 'layers.3.in_proj.bias', None)
    """

    def __init__(self, table: Mapping[str, Fate]) -> None:
        self._rules = [(re.compile(pattern), fate) for pattern, fate in table.items()]

    def __call__(self, name: str) -> Mapped | None:
        """Return what becomes of a parameter, None for an unknown name.

        Raises:
            LeftAside: It has no place in a segmentation model.
        """
        for pattern, fate in self._rules:
            match = pattern.match(name)
            if match is None:
                continue
            if isinstance(fate, LeftAside):
                raise LeftAside(*fate.args)
            mapped = Mapped(fate) if isinstance(fate, str) else fate
            targets = tuple(match.expand(each) + name[match.end() :] for each in mapped.targets)
            target = targets[0] if len(targets) == 1 else targets
            return replace(mapped, target=target, rule=pattern.pattern)
        return None


def in_backbone(table: Mapping[str, Fate]) -> dict[str, Fate]:
    r"""Return the rules for a backbone's file as those for a model: with ``backbone.`` or without.

    Heads are taken as they are: authors who train with MMSegmentation have its heads.

    Examples:
        >>> Rules(in_backbone({r'stem\.': 'conv1.'}))('stem.bias').target
        'backbone.conv1.bias'
    """
    rules: dict[str, Fate] = {}
    for pattern, fate in table.items():
        if isinstance(fate, str):
            fate = f'backbone.{fate}'
        elif isinstance(fate, Mapped):
            fate = replace(fate, target=tuple(f'backbone.{each}' for each in fate.targets))
        rules[rf'(?:backbone\.)?{pattern}'] = fate
    return rules | {r'(?=(?:decode|auxiliary)_head\.)': ''}


def has_name(names: Collection[str], *wanted: str) -> bool:
    """Return whether a file has all of some names, with ``backbone.`` before them or without.

    Examples:
        >>> has_name(['backbone.stem.bias'], 'stem.bias'), has_name(['stem.bias'], 'stem.weight')
        (True, False)
    """
    return any(all(f'{start}{name}' in names for name in wanted) for start in ('', 'backbone.'))


def pixelwise(pattern: str, target: str) -> dict[str, Fate]:
    r"""Return the rules for a linear layer that is a 1x1 convolution in msseg.

    Examples:
        >>> rules = Rules(pixelwise(r'fc\.', 'conv.'))
        >>> [array.shape for array in rules('fc.weight').cut(np.zeros((4, 2)))]
        [(4, 2, 1, 1)]
    """
    return {rf'{pattern}(?=weight$)': Mapped(target, as_convolution), pattern: target}


def as_convolution(matrix: np.ndarray) -> np.ndarray:
    """A linear layer as a 1x1 convolution."""
    return matrix[:, :, None, None] if matrix.ndim == 2 else matrix


def missing_parts(parts: list[tuple[int, int]]) -> Iterator[int]:
    """Yield the numbers, from 1, of the parts of an array that are not among the given ones."""
    counts = {count for _, count in parts}
    present = {index for index, _ in parts}
    yield from (i + 1 for i in range(max(counts)) if i not in present)

"""Arguments of mmcls's backbones that choose an architecture and its stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msseg.utils.arguments import check_value
from msseg.utils.errors import ArgumentError, UserKeyError, check_one_of, unknown_name


def read_arch(
    arch: str | Mapping,
    known: Mapping[str, Mapping],
    hints: Mapping[str, Any],
    defaults: Mapping[str, Any],
    who: str,
) -> dict[str, Any]:
    """Return the settings of an architecture.

    Args:
        arch: A name in `known`, or settings.
        known: Settings by name.
        hints: What each setting is. Lists have a value for each stage.
        defaults: Settings that may be left out.
        who: The backbone, for messages.

    Raises:
        KeyError: An unknown setting, or one that is missing.
        ValueError: An unknown name, or a setting that does not fit.
    """
    if isinstance(arch, str):
        check_one_of('arch', arch, known, who=who)
        return {**defaults, **known[arch]}
    for key in arch:
        if key not in hints:
            raise unknown_name(f'arch takes no {key!r}', key, hints, who=who)
    settings = {**defaults, **arch}
    for key, hint in hints.items():
        if key not in settings:
            raise UserKeyError(f'arch: the key {key!r} is missing, got {dict(arch)!r}', who=who)
        check_value(settings[key], hint, f'arch.{key}', who)
    lists = {key: settings[key] for key in hints if isinstance(settings[key], (list, tuple))}
    first, *others = lists
    for key in others:
        if len(lists[key]) != len(lists[first]):
            raise ArgumentError(
                key=f'arch.{key}',
                got=lists[key],
                expected=f'{len(lists[first])} numbers, as many as {first}',
                who=who,
            )
    return settings


def read_out_indices(out_indices: int | Sequence[int], count: int, who: str) -> tuple[int, ...]:
    """Return places of maps in their order; negative numbers count from the end of `count`.

    Raises:
        ValueError: A place that does not exist.

    Examples:
        >>> read_out_indices((3, 0, -1), 4, 'ConvNeXt')
        (0, 3)
    """
    indices = [out_indices] if isinstance(out_indices, int) else out_indices
    if not all(-count <= index < count for index in indices):
        raise ArgumentError(
            key='out_indices',
            got=out_indices,
            expected=f'numbers from {-count} to {count - 1}',
            who=who,
        )
    return tuple(sorted({index % count for index in indices}))


def smallest_side(windows: Sequence[tuple[int, int, int]]) -> int:
    """Return the smallest height of an image on which windows, one after another, fit.

    Args:
        windows: Size, step, and zero pixels on each side of each.

    Examples:
        >>> smallest_side([(4, 4, 0), (2, 2, 0)])
        8
    """
    side = 1
    for size, step, padding in reversed(windows):
        side = max((side - 1) * step + size - 2 * padding, 1)
    return side

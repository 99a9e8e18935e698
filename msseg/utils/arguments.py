"""Kinds and ranges of arguments, declared by type hints and checked where they are passed.

A signature says what fits, and `checked` refuses the rest::

    @checked
    def __init__(self, prob: Probability, size: Size, mode: Literal['near', 'far'] = 'near'): ...

``bool`` takes truth values only, ``int`` whole numbers only, ``float`` finite numbers, `Annotated`
with `Bounds` (a `Range`, a `Length`) less. Infinity is taken where a range reaches it, NaN nowhere.
"""

from __future__ import annotations

import functools
import inspect
import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from msseg.utils.shown import shown
from msseg.utils.suggest import did_you_mean

F = TypeVar('F', bound=Callable)
_LARGEST = float(np.finfo(np.float32).max)  # what the network computes with
_INT64 = 2**63 - 1
_INT32 = 2**31 - 1
_LONGEST = 100


class Bounds:
    """What stands in `Annotated` beside a hint and narrows it; a base."""

    def __contains__(self, value: Any) -> bool:
        raise NotImplementedError

    def describe(self, what: str) -> str:
        """Return what fits, given what fits the hint."""
        raise NotImplementedError


@dataclass(frozen=True)
class Range(Bounds):
    """Bounds of a number.

    Args:
        low: Smallest value.
        high: Largest value.
        above: Whether `low` itself is excluded.
        below: Whether `high` itself is excluded.
    """

    low: float = -_LARGEST
    high: float = _LARGEST
    above: bool = False
    below: bool = False

    def __contains__(self, value: Any) -> bool:
        if not self.low <= value <= self.high or _LARGEST < abs(value) < math.inf:
            return False
        return not (self.above and value == self.low) and not (self.below and value == self.high)

    def describe(self, what: str) -> str:
        has_low = self.low > -_LARGEST
        # a count says nothing of the largest whole number
        has_high = self.high < _LARGEST and (self.high != _INT32 or self.low < 0)
        if has_low and has_high and not self.above and not self.below:
            return f'{what} from {self.low} to {self.high}'
        low = f'{"above" if self.above else "of at least"} {self.low}' if has_low else ''
        high = f'{"below" if self.below else "of at most"} {self.high}' if has_high else ''
        return f'{what} {low}{" and " if low and high else ""}{high}'.rstrip()


@dataclass(frozen=True)
class Length(Bounds):
    """Bounds of how many values a list, a dict or a text holds."""

    low: int = 1
    high: int = _INT32

    def __contains__(self, value: Any) -> bool:
        return self.low <= len(value) <= self.high

    def describe(self, what: str) -> str:
        if self.high == _INT32:
            return f'{what}, not empty' if self.low == 1 else f'{what}, at least {self.low}'
        return f'{what}, {self.low} to {self.high} of them'


@dataclass(frozen=True)
class Ordered(Bounds):
    """A pair whose second number is at least the first, or with `strictly` above it."""

    strictly: bool = False

    def __contains__(self, value: Any) -> bool:
        return value[0] < value[1] or (value[0] == value[1] and not self.strictly)

    def describe(self, what: str) -> str:
        return f'(smallest, largest), {what}'


@dataclass(frozen=True)
class Named(Bounds):
    """Bounds nothing, but says what the values are, such as ``(h, w)``."""

    name: str

    def __contains__(self, value: Any) -> bool:
        return True

    def describe(self, what: str) -> str:
        return f'{self.name}, {what}'


Probability = Annotated[float, Range(0, 1)]
Positive = Annotated[float, Range(0, above=True)]
NonNegative = Annotated[float, Range(0)]
PositiveInt = Annotated[int, Range(1, _INT32)]
NonNegativeInt = Annotated[int, Range(0, _INT32)]
Int32 = Annotated[int, Range(-_INT32 - 1, _INT32)]
Channels = Annotated[int, Range(1, 65535)]
Pixels = Annotated[int, Range(1, 2**20)]
Size = Annotated[tuple[Pixels, Pixels], Named('(h, w)')]
Scale = Annotated[tuple[Pixels, Pixels], Named('(w, h)')]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Name = Annotated[str, Length()]
T = TypeVar('T')
NonEmpty = Annotated[Sequence[T], Length()]
Factors = Annotated[tuple[NonNegative, NonNegative], Ordered()]
File = str | Path


class ArgumentError(ValueError, TypeError):
    """An argument of a wrong kind or out of its range.

    Attributes:
        argument: Its name.
    """

    argument = ''


def checked(function: F) -> F:
    """Let a function or an ``__init__`` refuse arguments that its type hints exclude.

    Numbers of numpy are handed on as Python's. Hints that this module does not know are not
    checked.

    Raises:
        ArgumentError: On a call, for the first argument that does not fit.

    Examples:
        >>> @checked
        ... def shrink(share: Probability, steps: PositiveInt = 1) -> float:
        ...     return share**steps
        >>> shrink(0.5, 2)
        0.25
        >>> shrink(2)
        Traceback (most recent call last):
        msseg.utils.arguments.ArgumentError: share is 2, expected a number from 0 to 1
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # whose own message names the function
        who = type(args[0]).__name__ if function.__name__ == '__init__' else ''
        arguments = {n: plain_numbers(v) for n, v in bound.arguments.items() if n != 'self'}
        hints = type_hints(function)
        for name, value in arguments.items():
            if name in hints:
                check_value(value, hints[name], name, who)
        bound.arguments.update(arguments)
        return function(*bound.args, **bound.kwargs)

    return wrapper


def check_value(value: Any, hint: Any, name: str, who: str) -> None:
    """Raise ArgumentError unless a value fits a type hint."""
    if not fits(value, hint):
        words = _words(hint)
        suggestion = did_you_mean(value, words) if isinstance(value, str) and words else ''
        lead = f'{who}: ' if who else ''
        error = ArgumentError(
            f'{lead}{name} is {shown(value, _LONGEST)}, expected {describe(hint)}'
            f'{f".{suggestion}" if suggestion else ""}'
        )
        error.argument = name
        raise error


def type_hints(function: Callable) -> dict[str, Any]:
    """Return a function's hints of its named arguments; those that cannot be read are left out."""
    while hasattr(function, '__wrapped__'):
        function = function.__wrapped__
    return _type_hints(function)


@functools.cache
def _type_hints(function: Callable) -> dict[str, Any]:
    named = {
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }
    hints = {}
    for name, annotation in getattr(function, '__annotations__', {}).items():
        one = types.SimpleNamespace(__annotations__={name: annotation})
        try:
            found = get_type_hints(one, getattr(function, '__globals__', {}), include_extras=True)
        except (NameError, AttributeError, TypeError, SyntaxError):
            continue  # a user's hint of a name that exists for type checkers only
        if name in named:
            hints.update(found)
    return hints


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a type hint says."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _fits_annotated(value, *args)
    if origin in (Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if origin is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if hint is None or hint is types.NoneType:
        return value is None
    if hint is bool:
        return isinstance(value, (bool, np.bool_))
    if hint is int:
        return _is_whole(value) and abs(int(value)) <= _INT64
    if hint is float:
        return _is_number(value) and value in Range()
    if hint in (str, Path):
        return isinstance(value, str if hint is str else PathLike)
    kind = origin or hint
    if kind is tuple or kind in (list, Sequence):
        return _fits_sequence(value, kind, args)
    if kind in (dict, Mapping):
        return isinstance(value, Mapping) and (
            not args or all(fits(k, args[0]) and fits(v, args[1]) for k, v in value.items())
        )
    return callable(value) if kind is Callable else True


def describe(hint: Any) -> str:
    """Return in words what fits a type hint."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        text = describe(args[0])
        for bounds in args[1:]:
            text = bounds.describe(text) if isinstance(bounds, Bounds) else text
        return text
    if origin in (Union, types.UnionType):
        args = [arg for arg in args if arg is not str] if Path in args else args
        return ', or '.join(dict.fromkeys(map(describe, args)))
    if origin is Literal:
        return f'one of {list(args)}' if len(args) > 1 else repr(args[0])
    if hint in _WORDS:
        return _WORDS[hint]
    kind = origin or hint
    if kind is tuple and args and args[-1] is not Ellipsis:
        if len(set(args)) == 1:
            return f'{len(args)} values, each {describe(args[0])}'
        return f'({", ".join(describe(arg) for arg in args)})'
    if kind is tuple or kind in (list, Sequence):
        return f'a list, each {describe(args[0])}' if args and args[0] is not Any else 'a list'
    if kind in (dict, Mapping):
        return 'a dict'
    return 'a function' if kind is Callable else str(getattr(kind, '__name__', kind))


def plain_numbers(value: Any) -> Any:
    """Return a value with numpy's numbers replaced by Python's, also inside lists and tuples."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple) and any(
        isinstance(v, (np.generic, list, tuple)) for v in value
    ):
        return type(value)(plain_numbers(v) for v in value)
    return value


_WORDS = {
    None: 'None',
    types.NoneType: 'None',
    bool: 'True or False',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    Path: 'a path',
    Any: 'anything',
}


def _fits_annotated(value: Any, base: Any, *extras: Any) -> bool:
    bounds = [extra for extra in extras if isinstance(extra, Bounds)]
    if bounds and base is int:
        right = _is_whole(value)
    elif bounds and base is float:
        right = _is_number(value)  # the range says whether it may be infinite
    else:
        right = fits(value, base)
    return right and all(value in each for each in bounds)


def _fits_sequence(value: Any, kind: Any, args: tuple) -> bool:
    if not isinstance(value, (list, tuple, np.ndarray)):
        return False
    if not args:
        return True
    if kind is tuple and args[-1] is not Ellipsis:
        return len(value) == len(args) and all(map(fits, value, args))
    return all(fits(v, args[0]) for v in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, (float, np.floating)) and not math.isnan(value))


def has_bounds(hint: Any) -> bool:
    """Whether a type hint holds `Bounds`."""
    if get_origin(hint) is Annotated:
        return any(isinstance(arg, Bounds) for arg in get_args(hint))
    return any(has_bounds(arg) for arg in get_args(hint))


def _words(hint: Any) -> list[str]:
    """Return the texts that a hint allows."""
    if get_origin(hint) is Literal:
        return [arg for arg in get_args(hint) if isinstance(arg, str)]
    if get_origin(hint) in (Union, types.UnionType):
        return [word for arg in get_args(hint) for word in _words(arg)]
    return []

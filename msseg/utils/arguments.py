"""Types and ranges of arguments: declared by type hints, checked when the arguments are passed.

The signature declares what fits, and `checked` refuses the rest::

    @checked
    def __init__(self, prob: Probability, size: Size, mode: Literal['near', 'far'] = 'near'): ...

``bool`` takes truth values only, ``int`` whole numbers only, ``float`` finite numbers; `Annotated`
with `Bounds` (a `Range`, a `Length`) narrows them. A range that reaches infinity takes it; NaN
never fits.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from msseg.utils.errors import ArgumentError
from msseg.utils.suggest import nearest

F = TypeVar('F', bound=Callable)
T = TypeVar('T')
_LARGEST = float(np.finfo(np.float32).max)  # what the network computes with
_INT64 = 2**63 - 1
_INT32 = 2**31 - 1


class Bounds:
    """Narrow a type hint from within `Annotated`; a base class."""

    def __contains__(self, value: Any) -> bool:
        raise NotImplementedError

    def describe(self, what: str) -> str:
        """Return in words what fits, given the words for the hint."""
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
        # the largest whole number is no news about a count
        has_high = self.high < _LARGEST and (self.high != _INT32 or self.low < 0)
        if has_low and has_high and not self.above and not self.below:
            return f'{what} from {self.low} to {self.high}'
        low = f'{"above" if self.above else "of at least"} {self.low}' if has_low else ''
        high = f'{"below" if self.below else "of at most"} {self.high}' if has_high else ''
        return f'{what} {low}{" and " if low and high else ""}{high}'.rstrip()


@dataclass(frozen=True)
class Length(Bounds):
    """Bounds of the number of values in a list, a dict or a string."""

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
    """A name for the values, such as ``(h, w)``; it excludes nothing."""

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
NonEmpty = Annotated[Sequence[T], Length()]
Factors = Annotated[tuple[NonNegative, NonNegative], Ordered()]
File = str | Path


def checked(function: F) -> F:
    """Make a function or an ``__init__`` refuse arguments that its type hints exclude.

    The first argument that does not fit raises `ArgumentError`. NumPy's numbers are passed on as
    Python's. Hints of kinds that this module does not know are not checked.

    Examples:
        >>> @checked
        ... def shrink(share: Probability, steps: PositiveInt = 1) -> float:
        ...     return share**steps
        >>> shrink(0.5, 2)
        0.25
        >>> shrink(2)
        Traceback (most recent call last):
        msseg.utils.errors.ArgumentError: share is 2, expected a number from 0 to 1
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
    """Raise ArgumentError unless a value fits a type hint.

    Args:
        value: The value.
        hint: A type, a `Literal`, a union, or one of the ranges of this module.
        name: The argument's name.
        who: What takes the argument, for the message; may be empty.

    Examples:
        >>> check_value(0.3, Probability, 'prob', 'RandomFlip')
        >>> check_value('naer', Literal['near', 'far'], 'mode', 'Resize')
        Traceback (most recent call last):
        msseg.utils.errors.ArgumentError: Resize: mode is 'naer', expected one of ['near', 'far']. \
Did you mean 'near'?
    """
    if not fits(value, hint):
        suggestions = nearest(value, _words(hint), 1) if isinstance(value, str) else ()
        raise ArgumentError(
            key=name, got=value, expected=describe(hint), suggestions=suggestions, who=who
        )


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is what a type hint declares."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = [each for each in args[1:] if isinstance(each, Bounds)]
        # the bounds decide whether a float may be infinite
        fits_base = _is_number(value) if bounds and args[0] is float else fits(value, args[0])
        return fits_base and all(value in each for each in bounds)
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
    if kind in (tuple, list, Sequence):
        return _fits_sequence(value, kind, args)
    if kind in (dict, Mapping):
        return isinstance(value, Mapping) and (
            not args or all(fits(k, args[0]) and fits(v, args[1]) for k, v in value.items())
        )
    return callable(value) if kind is Callable else True


def _fits_sequence(value: Any, kind: Any, args: tuple) -> bool:
    if not isinstance(value, (list, tuple, np.ndarray)):
        return False
    if args and kind is tuple and args[-1] is not Ellipsis:
        return len(value) == len(args) and all(map(fits, value, args))
    return not args or all(fits(v, args[0]) for v in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or (isinstance(value, (float, np.floating)) and not math.isnan(value))


_WORDS = {
    None: 'None',
    types.NoneType: 'None',
    bool: 'True or False',
    int: 'a whole number',
    float: 'a number',
    str: 'a text',
    Path: 'a path',
    Any: 'anything',
    dict: 'a dict',
    Mapping: 'a dict',
    Callable: 'a function',
}


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
    kind = origin or hint
    if kind is tuple and args and args[-1] is not Ellipsis:
        if len(set(args)) == 1:
            return f'{len(args)} values, each {describe(args[0])}'
        return f'({", ".join(describe(arg) for arg in args)})'
    if kind in (tuple, list, Sequence):
        return f'a list, each {describe(args[0])}' if args and args[0] is not Any else 'a list'
    return _WORDS.get(kind) or getattr(kind, '__name__', str(kind))


def _words(hint: Any) -> list[str]:
    """Return the strings that a hint allows."""
    if get_origin(hint) is Literal:
        return [arg for arg in get_args(hint) if isinstance(arg, str)]
    if get_origin(hint) in (Union, types.UnionType):
        return [word for arg in get_args(hint) for word in _words(arg)]
    return []


def has_bounds(hint: Any) -> bool:
    """Whether a type hint holds `Bounds`."""
    args = get_args(hint)
    if get_origin(hint) is Annotated:
        return any(isinstance(arg, Bounds) for arg in args)
    return any(map(has_bounds, args))


def plain_numbers(value: Any) -> Any:
    """Return a value with NumPy's numbers replaced by Python's, also inside lists and tuples."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in (list, tuple) and any(
        isinstance(v, (np.generic, list, tuple)) for v in value
    ):
        return type(value)(plain_numbers(v) for v in value)
    return value


def type_hints(function: Callable) -> dict[str, Any]:
    """Return the hints of a function's named arguments, without those that cannot be evaluated."""
    return _type_hints(inspect.unwrap(function))


@functools.cache
def _type_hints(function: Callable) -> dict[str, Any]:
    named, _ = _named_parameters(function)
    hints = {}
    for name, annotation in getattr(function, '__annotations__', {}).items():
        one = types.SimpleNamespace(__annotations__={name: annotation})
        # a user's hint may have a name that exists for type checkers only
        with contextlib.suppress(NameError, AttributeError, TypeError, SyntaxError):
            hints |= get_type_hints(one, getattr(function, '__globals__', {}), include_extras=True)
    return {name: hint for name, hint in hints.items() if name in named}


def accepted_arguments(obj: Callable) -> set[str] | None:
    """Return the names of the arguments that a class or a function takes.

    A class whose ``__init__`` has ``**kwargs`` hands the rest to its base class: the ancestors'
    arguments count too, up to the first ancestor without ``**kwargs``.

    Returns:
        The names without ``self``; None if anything is accepted (a function with ``**kwargs``, or
        a class all of whose ancestors have them).
    """
    accepted: set[str] = set()
    for function in constructors(obj):
        names, is_open_ended = _named_parameters(function, skip_first=inspect.isclass(obj))
        accepted |= names
        if not is_open_ended:
            return accepted
    return accepted if inspect.isclass(obj) and obj.__init__ is object.__init__ else None


def argument_hints(entry: Callable) -> dict[str, Any]:
    """Return the type hints that the arguments of a class or a function must fit, by name.

    From code outside of this package, only hints with bounds are returned.
    """
    hints: dict[str, Any] = {}
    package = __name__.partition('.')[0]
    for function in constructors(entry):
        is_own = (getattr(function, '__module__', None) or '').partition('.')[0] == package
        found = type_hints(function)
        hints = {**{k: h for k, h in found.items() if is_own or has_bounds(h)}, **hints}
    return hints


def argument_default(obj: Callable, name: str) -> Any:
    """Return an argument's default; ``inspect.Parameter.empty`` if it has none or is not taken."""
    for function in constructors(obj):
        parameters = inspect.signature(function).parameters
        if name in parameters:
            return parameters[name].default
    return inspect.Parameter.empty


def named_arguments(obj: Callable) -> set[str]:
    """Return the arguments in the signature of a class or a function, without its ancestors'."""
    is_class = inspect.isclass(obj)
    return _named_parameters(obj.__init__ if is_class else obj, skip_first=is_class)[0]


def constructors(obj: Callable) -> Iterator[Callable]:
    """Yield the functions that share the arguments of a call.

    Args:
        obj: A class, whose ``__init__`` and its ancestors' are yielded up to the first without
            ``**kwargs``; or any other callable, which is yielded itself.
    """
    functions = [obj]
    if inspect.isclass(obj):
        functions = [vars(cls)['__init__'] for cls in obj.__mro__[:-1] if '__init__' in vars(cls)]
    for function in functions:
        yield function
        if not _named_parameters(function)[1]:
            return


def _named_parameters(function: Callable, skip_first: bool = False) -> tuple[set[str], bool]:
    """Return the names of a function's parameters, and whether it has ``**kwargs``."""
    parameters = list(inspect.signature(function).parameters.values())[1 if skip_first else 0 :]
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    names = {p.name for p in parameters if p.kind in named}
    return names, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)

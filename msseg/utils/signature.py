"""Which arguments a registered class or function takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

_NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def accepted_arguments(obj: Callable) -> set[str] | None:
    """Return the names of the arguments that a class or function takes.

    A class whose ``__init__`` has ``**kwargs`` hands the rest to its base class, so the
    ancestors' arguments count too, up to the first ancestor without ``**kwargs``. A class that
    keeps them for itself takes anything.

    Args:
        obj: A class or any other callable.

    Returns:
        The argument names without ``self``; None when anything is accepted (a function with
        ``**kwargs``, or a class all of whose ancestors have them).
    """
    accepted: set[str] = set()
    for function in constructors(obj):
        names, open_ended = _named_parameters(function, skip_first=inspect.isclass(obj))
        accepted |= names
        if not open_ended:
            return accepted
    return accepted if inspect.isclass(obj) and obj.__init__ is object.__init__ else None


def constructors(obj: Callable) -> Iterator[Callable]:
    """Yield the functions among which a call's arguments are shared out.

    Args:
        obj: A class, whose ``__init__`` and its ancestors' are yielded up to the first without
            ``**kwargs``; or any other callable, which is yielded itself.
    """
    functions = [obj]
    if inspect.isclass(obj):
        functions = [vars(cls)['__init__'] for cls in obj.__mro__[:-1] if '__init__' in vars(cls)]
    for function in functions:
        yield function
        if not _named_parameters(function, skip_first=False)[1]:
            return


def named_arguments(obj: Callable) -> set[str]:
    """Return the arguments that a class's or function's own signature names."""
    if inspect.isclass(obj):
        return _named_parameters(obj.__init__, skip_first=True)[0]
    return _named_parameters(obj, skip_first=False)[0]


def argument_default(obj: Callable, name: str) -> Any:
    """Return an argument's default, as `accepted_arguments` finds the argument.

    Args:
        obj: A class or any other callable.
        name: The argument's name.

    Returns:
        The default; ``inspect.Parameter.empty`` when there is none or no such argument.
    """
    for function in constructors(obj):
        parameters = inspect.signature(function).parameters
        if name in parameters:
            return parameters[name].default
    return inspect.Parameter.empty


def _named_parameters(function: Callable, skip_first: bool) -> tuple[set[str], bool]:
    parameters = list(inspect.signature(function).parameters.values())[1 if skip_first else 0 :]
    names = {p.name for p in parameters if p.kind in _NAMED}
    return names, any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)

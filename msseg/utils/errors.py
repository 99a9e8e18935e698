"""Exceptions for users' mistakes: fields, and one formatter for all messages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msseg.utils.shown import shown
from msseg.utils.suggest import nearest

_LONGEST = 100
_PLAIN = (str, bool, int, float, type(None))


class UserError(Exception):
    """A mistake of a user; its message is one line.

    The message is made of the fields that are given::

        config_path: who: problem (set in file), expected …. Did you mean '…'? If not, advice

    Raise one of the subclasses, which are also built-in exceptions. Catch `UserError` to read the
    fields; never parse the message. Errors of this kind can be pickled.

    Args:
        problem: What is wrong; ``key is got`` by default.
        key: The setting or the argument.
        got: Its value.
        expected: What fits, such as ``'a number from 0 to 1'``.
        advice: What to do, as an imperative without a full stop.
        suggestions: Names that the user may have meant, the closest first.
        who: What raises the error: a component, an option, a tool.
        file: The file that sets the key; without a key, the file that is wrong.
        line: The number of the line in that file.
        config_path: Where the key stands in the config, such as ``model.decode_head[1]``.

    Examples:
        >>> raise UserValueError(key='channels', got=-8, expected='a number above 0', who='OCRHead')
        Traceback (most recent call last):
        msseg.utils.errors.UserValueError: OCRHead: channels is -8, expected a number above 0
    """

    def __init__(
        self,
        problem: str = '',
        *,
        key: str = '',
        got: Any = None,
        expected: str = '',
        advice: str = '',
        suggestions: Sequence[str] = (),
        who: str = '',
        file: str | None = None,
        line: int | None = None,
        config_path: str | None = None,
    ) -> None:
        self.problem = problem or f'{key} is {shown(got, _LONGEST)}'
        self.key, self.got, self.expected, self.advice = key, got, expected, advice
        self.suggestions = tuple(suggestions)
        self.who, self.file, self.line, self.config_path = who, file, line, config_path
        self.lead = ''
        super().__init__(str(self))

    def complete(self, **fields: Any) -> UserError:
        """Set fields that are still empty, and return the error."""
        for name, value in fields.items():
            if not getattr(self, name):
                setattr(self, name, value)
        self.args = (str(self),)
        return self

    @property
    def detail(self) -> str:
        """The message without the config path and the file."""
        who = '' if self.who == self.config_path else self.who
        return ': '.join(filter(None, (who, self._statement(''))))

    def __str__(self) -> str:
        set_in = f' (set in {self.file})' if self.key and self.file else ''
        place = '' if self.key or not self.file else self.file
        if place and self.line:
            place += f', line {self.line}'
        statement = self._statement(set_in)
        leads = dict.fromkeys(filter(None, (self.lead, self.config_path, place, self.who)))
        leads = [lead for lead in leads if not statement.startswith(f'{lead} ')]
        return ': '.join([*leads, statement])

    def _statement(self, set_in: str) -> str:
        expected = f', expected {self.expected}' if self.expected else ''
        hint = f'. Did you mean {self.suggestions[0]!r}?' if self.suggestions else ''
        advice = f'{" If not," if hint else ";"} {self.advice}' if self.advice else ''
        return f'{self.problem}{set_in}{expected}{hint}{advice}'

    def __reduce__(self) -> tuple:
        got = self.got if isinstance(self.got, _PLAIN) else shown(self.got)
        return type(self), (self.problem,), {**vars(self), 'got': got, 'args': self.args}


class UserValueError(UserError, ValueError):
    """A value that does not fit."""


class UserTypeError(UserError, TypeError):
    """A value of a wrong type, or an argument that a component does not take."""


class UserKeyError(UserError, KeyError):
    """A name that is not known."""


class UserOSError(UserError, OSError):
    """A file that cannot be read or written."""


class UserFileNotFoundError(UserError, FileNotFoundError):
    """A file or a folder that does not exist."""


class ArgumentError(UserError, ValueError, TypeError):
    """A value of a wrong type or out of its range."""


def add_lead(error: Exception, text: str) -> None:
    """Put a text, such as a file's name, before an exception's message; it keeps its class."""
    if isinstance(error, UserError):
        error.lead = ': '.join(filter(None, (text, error.lead)))
        error.args = (str(error),)
    elif isinstance(error, OSError) and error.strerror is not None:
        error.strerror = f'{text}: {error.strerror}'
    else:
        has_message = error.args and isinstance(error.args[0], str)
        message = error.args[0] if has_message else str(error) or type(error).__name__
        error.args = (f'{text}: {message}', *error.args[1:])


def expected_one_of(
    key: str,
    got: Any,
    options: Iterable[Any],
    error: type[UserError] = UserValueError,
    **fields: Any,
) -> UserError:
    """Return the error, of a class, for a value that is none of a few options.

    Examples:
        >>> print(expected_one_of('mode', 'naer', ['near', 'far'], who='Resize'))
        Resize: mode is 'naer', expected one of ['near', 'far']. Did you mean 'near'?
    """
    options = list(options)
    suggestions = nearest(str(got), map(str, options), 1)
    return error(key=key, got=got, expected=f'one of {options}', suggestions=suggestions, **fields)


def check_one_of(key: str, got: Any, options: Iterable[Any], **fields: Any) -> None:
    """Raise the error of `expected_one_of` unless a value is one of the options.

    ``True`` is not taken for ``1``. Other checks of one value: `msseg.utils.arguments.check_value`.
    """
    options = list(options)
    if not any(type(got) is type(option) and got == option for option in options):
        raise expected_one_of(key, got, options, **fields)


def unknown_name(
    problem: str,
    name: str,
    choices: Iterable[str],
    error: type[UserError] = UserKeyError,
    **fields: Any,
) -> UserError:
    """Return the error for a name that is not known, with the closest choice or all of them.

    Args:
        problem: What is wrong, such as ``"HRNet takes no argument 'foo'"``.
        name: The name.
        choices: The names that are known.
        error: The class of the error.
        **fields: Fields of the error.
    """
    choices = sorted(map(str, choices))
    suggestions = nearest(name, choices, 1)
    expected = f'one of {choices}' if choices and not suggestions else ''
    fields = {'key': name, 'got': name, 'expected': expected, **fields}
    return error(problem, suggestions=suggestions, **fields)

"""Values in messages: short, without escape sequences, and without secrets of the environment."""

from __future__ import annotations

import inspect
import os
import re
import reprlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_LIMIT = 200
_MAX_BITS = 200
_CONTROL = re.compile(r'[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]')
_SECRET = re.compile('TOKEN|SECRET|PASSW|KEY|CREDENTIAL', re.IGNORECASE)
_SECRET_KEY = re.compile(
    '(^|_)(token|secret|passw(or)?d|(api|access|private)_?key|credentials?)$', re.IGNORECASE
)
_USER_OF_ADDRESS = re.compile(r'://[^/@\s]+@')
_SHORTEST_SECRET = 8
_PLAIN = (int, float, complex, bytes, range, PurePath, type(None), type(...))


def shown(value: Any, limit: int = _LIMIT) -> str:
    """Return a value's text for a message.

    Args:
        value: A setting; of objects that are not plain values, only the type is shown.
        limit: The maximum number of characters.

    Examples:
        >>> shown([1, 'a'])
        "[1, 'a']"
        >>> shown('x' * 1000, limit=11)
        "'xxxxxx … '"
    """
    return shorten(_Repr().repr(value), limit)


def shorten(text: str, limit: int) -> str:
    """Return a text on one line, its middle left out when it is long, controls as escapes.

    The text of an environment variable that may be secret is replaced by the variable's name.
    """
    if len(text) > 20 * limit:
        text = text[: 10 * limit] + text[-10 * limit :]
    text = _without_secrets(text)
    text = escape_controls(' '.join(text.split()))
    if len(text) <= limit:
        return text
    head = 2 * limit // 3
    tail = max(0, limit - head - 3)
    return f'{text[:head]} … {text[len(text) - tail :]}'


def escape_controls(text: str) -> str:
    """Return a text with the characters that control a terminal escaped, except line ends."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


def without_secrets(value: Any, key: str = '') -> Any:
    """Return dicts, lists and texts with secret texts replaced.

    Secret are texts of environment variables such as ``WANDB_API_KEY``, what stands under such a
    key, and user and password in an address.

    >>> without_secrets({'api_key': 'x', 'uri': 'http://me:pw@host/', 'keys': ['img']})
    {'api_key': '<hidden>', 'uri': 'http://<hidden>@host/', 'keys': ['img']}
    """
    if isinstance(value, Mapping):
        return {name: without_secrets(child, str(name)) for name, child in value.items()}
    if isinstance(value, (list, tuple)):
        children = [without_secrets(child) for child in value]
        return children if isinstance(value, list) else tuple(children)
    if not isinstance(value, str):
        return value
    if _SECRET_KEY.search(key):
        return '<hidden>'
    return _USER_OF_ADDRESS.sub('://<hidden>@', _without_secrets(value))


def _without_secrets(text: str) -> str:
    for secret, name in _secrets().items():
        text = text.replace(secret, f'<{name}>')
    return text


def holds_secret(value: Any) -> bool:
    """Whether a text in a value has that of an environment variable such as ``WANDB_API_KEY``."""
    secrets = _secrets()
    values = [value]
    while values:
        value = values.pop()
        if isinstance(value, (list, tuple, set)):
            values += value
        elif isinstance(value, dict):
            values += value.values()
        elif isinstance(value, str) and any(secret in value for secret in secrets):
            return True
    return False


def _secrets() -> dict[str, str]:
    """Return the texts of environment variables that are likely to be secret, and their names."""
    return {
        text: name
        for name, text in os.environ.items()
        if len(text) >= _SHORTEST_SECRET and _SECRET.search(name) and not os.path.exists(text)
    }


def is_environment(value: Any) -> bool:
    """Whether a value is the environment or a copy of it, which may hold passwords."""
    return isinstance(value, Mapping) and bool(os.environ) and os.environ.items() <= value.items()


class _Repr(reprlib.Repr):
    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring = 5, 400
        self.maxdict = self.maxlist = self.maxtuple = self.maxset = self.maxfrozenset = 30

    def repr1(self, x: Any, level: int) -> str:
        if is_environment(x):
            return '<the environment>'
        if isinstance(x, int) and x.bit_length() > _MAX_BITS:
            return f'<a whole number of {x.bit_length()} bits>'
        if isinstance(x, type) or inspect.isroutine(x):
            return f'<{x.__module__}.{x.__qualname__}>'
        for kind, show in (
            (dict, self.repr_dict),
            (list, self.repr_list),
            (tuple, self.repr_tuple),
            (set, self.repr_set),
            (frozenset, self.repr_frozenset),
            (str, self.repr_str),
        ):
            if isinstance(x, kind):
                return show(x, level)
        if isinstance(x, _PLAIN) or type(x).__module__ == 'numpy':
            return repr(x)
        return f'<{type(x).__module__}.{type(x).__qualname__} object>'

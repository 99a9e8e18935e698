"""``{{ fileDirname }}`` and its kin, and ``{{ _base_.a.b }}``."""

from __future__ import annotations

import copy
import os
import re
from typing import Any

from msseg.config.config_dict import ConfigDict
from msseg.config.limits import MAX_VALUES, count_values
from msseg.utils.shown import shown
from msseg.utils.suggest import did_you_mean

_BASE = re.compile(r'\{\{\s*_base_\.([\w.]+)\s*\}\}')
_PLACEHOLDER = re.compile(r'__base_variable_\d+__')


def substitute_predefined(text: str, filename: str) -> str:
    """Replace the variables that describe the config file itself.

    Args:
        text: Text of a config file.
        filename: Its absolute path.

    Returns:
        The text with ``{{ fileDirname }}``, ``{{ fileBasename }}``,
        ``{{ fileBasenameNoExtension }}`` and ``{{ fileExtname }}`` filled in.
    """
    folder, name = os.path.split(filename)
    stem, extension = os.path.splitext(name)
    values = {
        'fileDirname': folder,
        'fileBasename': name,
        'fileBasenameNoExtension': stem,
        'fileExtname': extension,
    }
    pattern = r'\{\{\s*(' + '|'.join(values) + r')\s*\}\}'
    return re.sub(pattern, lambda match: values[match[1]].replace('\\', '/'), text)


class BaseVariables:
    """The ``{{ _base_.a.b }}`` of one file.

    The text keeps its lines: every variable becomes a placeholder, a Python name, whose value
    is asked for once the bases are known.

    Args:
        text: Text of a config file.
        where: The file's name for errors.
        quote: Whether a placeholder outside a string needs quotes to be valid (JSON).
    """

    def __init__(self, text: str, where: str, quote: bool = False) -> None:
        self.where = where
        self._keys: dict[str, tuple[str, int]] = {}
        self._quote = quote
        self._filled = 0
        self.base: ConfigDict | None = None
        self.text = _BASE.sub(self._placeholder, text)

    def _placeholder(self, match: re.Match) -> str:
        before = match.string[: match.start()]
        name = f'__base_variable_{len(self._keys)}__'
        self._keys[name] = match[1], before.count('\n') + 1
        line = before.rpartition('\n')[2].replace('\\"', '')
        return f'"{name}"' if self._quote and line.count('"') % 2 == 0 else name

    def __contains__(self, name: str) -> bool:
        return name in self._keys

    def value(self, name: str) -> Any:
        """Return the inherited value that a placeholder stands for.

        Raises:
            KeyError: The bases have no such key.
        """
        key, line = self._keys[name]
        lead = f'{self.where}, line {line}: {{{{ _base_.{key} }}}}: '
        if self.base is None:
            raise KeyError(f'{lead}this line comes before `_base_` is set, or no `_base_` is')
        value: Any = self.base
        for part in key.split('.'):
            value = _child(value, part, lead)
        self._filled += count_values(value, f'{lead}it')
        if self._filled > MAX_VALUES:
            raise ValueError(f'{lead}such variables stand for more than {MAX_VALUES:,} values')
        return copy.deepcopy(value)

    def split(self, text: str) -> list[str]:
        """Split a string into the placeholders in it and what stands between them."""
        return [part for part in re.split(f'({_PLACEHOLDER.pattern})', text) if part]

    def fill(self, value: Any) -> Any:
        """Replace the placeholders in the strings of a JSON or YAML value."""
        if isinstance(value, dict):
            return {self.fill(key): self.fill(child) for key, child in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self.fill(child) for child in value)
        if not isinstance(value, str) or not _PLACEHOLDER.search(value):
            return value
        parts = [self._plain_value(part) if part in self else part for part in self.split(value)]
        return parts[0] if len(parts) == 1 else ''.join(map(str, parts))

    def _plain_value(self, name: str) -> Any:
        value = self.value(name)
        if callable(value):
            key, line = self._keys[name]
            raise ValueError(
                f'{self.where}, line {line}: {{{{ _base_.{key} }}}} is a class or function, which '
                'Python configs alone may use; name a registered component by a string'
            )
        return value


def _child(value: Any, part: str, lead: str) -> Any:
    if isinstance(value, dict):
        if part in value:
            return value[part]
        raise KeyError(f'{lead}the bases have no {part!r}.{did_you_mean(part, map(str, value))}')
    if isinstance(value, (list, tuple)) and part.isdigit() and int(part) < len(value):
        return value[int(part)]
    raise KeyError(f'{lead}nothing of the name {part!r} in {shown(value)}')

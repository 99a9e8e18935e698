"""Sections of a config of MMSegmentation 1.x, whose keys are taken one by one.

A translation takes the keys that it knows. What is left at the end of a section is either of the
few keys that concern comfort only, which the report lists, or an error: it would change training or
scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from msseg.config.config_dict import ConfigDict, display_file
from msseg.utils.arguments import check_value
from msseg.utils.errors import ArgumentError, UserError, UserTypeError, UserValueError
from msseg.utils.shown import shown

_MISSING = object()


@dataclass
class Report:
    """What became of the keys of a config.

    Attributes:
        translated: Keys there, and what they are here.
        meaningless: Keys that have no effect here, and why.
    """

    translated: dict[str, str] = field(default_factory=dict)
    meaningless: dict[str, str] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """Return the report as two lines, without the second if everything has a meaning."""
        pairs = (f'{theirs} -> {ours}' for theirs, ours in self.translated.items())
        lines = [f'translated from MMSegmentation 1.x: {"; ".join(pairs)}']
        if self.meaningless:
            reasons = (f'{key} ({why})' for key, why in self.meaningless.items())
            lines.append(f'ignored, as they mean nothing here: {", ".join(reasons)}')
        return lines


class Section:
    """A dict of a config, and what is left of it.

    Args:
        values: The dict.
        where: Its place in the config, such as ``train_dataloader.sampler``; '' is the top.
        report: Where to note what has no meaning here.
    """

    def __init__(self, values: ConfigDict, where: str, report: Report) -> None:
        self._values = values
        self._left = set(values)
        self.where = where
        self.report = report

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def take(self, key: str, default: Any = None, hint: Any = None) -> Any:
        """Return a key's value and count the key as translated.

        Args:
            key: The key.
            default: What a missing key is.
            hint: The type hint that a value must fit, as in `check_value`.

        Raises:
            ArgumentError: It does not fit.
        """
        self._left.discard(key)
        if key not in self._values:
            return default
        if hint is not None:
            try:
                check_value(self._values[key], hint, self.path(key), '')
            except ArgumentError as error:
                raise error.complete(file=self.file(key)) from None
        return self._values[key]

    def kind(self) -> str:
        """Take ``type``, a name."""
        if 'type' not in self._values:
            path = self.path('type')
            raise UserTypeError(f'{path} is missing', key=path, file=self._shown(self._any_file()))
        return self.take('type', hint=str)

    def section(self, key: str) -> Section | None:
        """Take a key whose value is a dict; None where it is None or missing.

        Raises:
            TypeError: It is something else.
        """
        value = self.take(key)
        if value is None:
            return None
        if not isinstance(value, ConfigDict):
            raise self._wrong(key, value, 'a dict')
        return Section(value, self.path(key), self.report)

    def sections(self, key: str) -> list[Section]:
        """Take a key whose value is a dict or a list of dicts; [] where it is None or missing."""
        value = self.take(key)
        if isinstance(value, ConfigDict):
            return [Section(value, self.path(key), self.report)]
        return [] if value is None else self._listed(key, value, self.path(key))

    def groups(self, key: str) -> list[list[Section]]:
        """Take a key whose value is a list of lists of dicts."""
        value = self.take(key)
        if not isinstance(value, (list, tuple)):
            raise self._wrong(key, value, 'a list of lists of dicts')
        path = self.path(key)
        return [self._listed(key, items, f'{path}[{i}]') for i, items in enumerate(value)]

    def _listed(self, key: str, items: Any, path: str) -> list[Section]:
        is_list = isinstance(items, (list, tuple))
        if not is_list or not all(isinstance(item, ConfigDict) for item in items):
            raise self._wrong(key, items, 'a dict or a list of dicts')
        return [Section(item, f'{path}[{i}]', self.report) for i, item in enumerate(items)]

    def _wrong(self, key: str, value: Any, expected: str) -> UserError:
        return UserTypeError(key=self.path(key), got=value, expected=expected, file=self.file(key))

    def give(self, out: ConfigDict, names: Mapping[str, str], convert: Any = None) -> None:
        """Take keys, and set those that are there in another dict.

        Args:
            out: The dict; it learns the files of the keys.
            names: The keys, and their names in it.
            convert: A function of the values.
        """
        for key, name in names.items():
            value = self.take(key, _MISSING)
            if value is not _MISSING:
                self.put(out, name, convert(value) if convert else value, key)

    def give_rest(self, out: ConfigDict) -> None:
        """Take all keys that are left, under their own names."""
        self.give(out, {key: key for key in self._values if key in self._left})

    def put(self, out: ConfigDict, name: str, value: Any, key: str = 'type') -> None:
        """Set a value in another dict, which learns the file of one of the keys here."""
        out.put(name, value, self._values._config_files.get(key) or self._any_file())

    def ignore(self, reasons: Mapping[str, str]) -> None:
        """Take keys that have no effect here; the report lists those that are set."""
        for key, why in reasons.items():
            if key in self._left and self.take(key) is not None:
                self.report.meaningless[self.path(key)] = why

    def close(self, advice: str = 'remove it') -> None:
        """Raise ValueError if a key is left."""
        for key in self._values:
            if key in self._left:
                raise self.refusal(key, advice)

    def expect(self, key: str, *values: Any, advice: str = '') -> None:
        """Take a key that may have one of a few values here, or be missing."""
        value = self.take(key, values[0])
        if value not in values:
            wanted = ' or '.join(map(repr, values))
            raise self.refusal(key, advice or f'set it to {wanted}, or change its file')

    def refusal(self, key: str, advice: str) -> UserError:
        """Return the error for a value that has no counterpart here."""
        path, value = self.path(key), shown(self._values.get(key), 100)
        return UserValueError(
            f'{path}={value} of MMSegmentation 1.x has no counterpart here, and would change '
            'training or scores',
            key=path,
            got=self._values.get(key),
            file=self.file(key),
            advice=advice,
        )

    def path(self, key: str) -> str:
        """Return the place of a key in the config."""
        return f'{self.where}.{key}' if self.where else key

    def file(self, key: str) -> str | None:
        """Return the file that sets a key, as messages name it."""
        return self._shown(self._values._config_files.get(key) or self._any_file())

    def rest(self) -> Iterator[str]:
        """Yield the keys that are left."""
        return (key for key in self._values if key in self._left)

    def _shown(self, file: str | None) -> str | None:
        return None if file is None else display_file(file)

    def _any_file(self) -> str | None:
        return next(iter(self._values._config_files.values()), None)

"""Load a config file together with the files it inherits from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msseg.config.config_dict import ConfigDict
from msseg.config.limits import MAX_BASES, count_values
from msseg.config.merge import merge_dicts, without_markers
from msseg.config.provenance import display_file, put, set_file
from msseg.config.reader import FORMATS, find_base, read_settings, read_text
from msseg.config.variables import substitute_predefined
from msseg.utils.shown import shown


class DuplicateKey(NamedTuple):
    """A key that two bases of one file define.

    Attributes:
        key: The key.
        file: The file that names the bases.
        first: The base that defines it first, as the file names it.
        second: The other.
    """

    key: str
    file: str
    first: str
    second: str


@dataclass
class Loaded:
    """A config file's settings, its bases merged in, and the texts of all its files."""

    values: ConfigDict = field(default_factory=ConfigDict)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The texts of all files, bases first, each led by its name."""
        return ''.join(f'{where}\n{text}\n' for where, text in self.texts.items())


@dataclass
class _Reading:
    """What holds while one config is read with its bases.

    Attributes:
        predefined: Whether to fill in ``{{ fileDirname }}`` and its kin.
        duplicates: As of `load_file`.
        chain: The files whose bases lead here, outermost first.
        loaded: The bases read so far, by path: however many name one, it is read once.
    """

    predefined: bool
    duplicates: list[DuplicateKey] | None
    chain: list[str] = field(default_factory=list)
    loaded: dict[str, Loaded] = field(default_factory=dict)


def load_file(
    filename: str, predefined: bool = True, duplicates: list[DuplicateKey] | None = None
) -> Loaded:
    """Load a config file and its bases.

    Args:
        filename: Path of the file.
        predefined: Whether to fill in ``{{ fileDirname }}`` and its kin.
        duplicates: Where to note keys that two bases define, of which the last then counts; None
            makes the first an error.

    Raises:
        FileNotFoundError: The file or a base does not exist.
        ValueError: A file cannot be read, inherits from itself, or is too large; see
            `msseg.config.limits`.
        KeyError: Two bases of one file define the same key.
    """
    return _load_file(filename, _Reading(predefined, duplicates))


def load_text(text: str, path: str, file_format: str) -> Loaded:
    """Load a config from its text; see `load_file`.

    Args:
        text: The text of the config.
        path: Absolute path that the text is taken to have; its folder is where bases lie.
        file_format: Extension that says how to read it.
    """
    if file_format not in FORMATS:
        raise OSError(f'config format {file_format!r}: only {", ".join(FORMATS)} are supported')
    return _load_text(text, path, file_format, _Reading(True, None))


def _load_file(filename: str, reading: _Reading) -> Loaded:
    path, chain = os.path.abspath(os.path.expanduser(filename)), reading.chain
    if path in reading.loaded:
        return reading.loaded[path]
    if path in chain:
        cycle = ' -> '.join(display_file(file) for file in (*chain[chain.index(path) :], path))
        raise ValueError(f'config file inherits from itself: {cycle}')
    if len(chain) > MAX_BASES:
        raise ValueError(f'{display_file(chain[0])} inherits through more than {MAX_BASES} files')
    text = read_text(path if chain else filename, display_file(chain[-1]) if chain else None)
    reading.loaded[path] = _load_text(text, path, os.path.splitext(path)[1], reading)
    return reading.loaded[path]


def _load_text(text: str, path: str, file_format: str, reading: _Reading) -> Loaded:
    where = display_file(path)
    base = Loaded()

    def load_bases(names: Any) -> ConfigDict:
        nonlocal base
        reading.chain.append(path)
        base = _load_bases(names, path, reading)
        reading.chain.pop()
        return base.values

    source = substitute_predefined(text, path) if reading.predefined else text
    plain = read_settings(source, file_format, path, where, load_bases)
    for key, value in plain.items():
        if not isinstance(key, str):
            raise ValueError(f'{where}: the key {key!r} at the top is no text: quote it')
        count_values(value, f'{where}: {key}')
    values = ConfigDict(plain)
    set_file(values, where if where.startswith('<') else path)
    merged = merge_dicts(base.values, values) if base.values else without_markers(values)
    return Loaded(merged, {**base.texts, where: text})


def _load_bases(names: Any, path: str, reading: _Reading) -> Loaded:
    if names is None:
        return Loaded()
    where = display_file(path)
    names = list(names) if isinstance(names, (list, tuple)) else [names]
    if not all(isinstance(name, (str, os.PathLike)) for name in names):
        raise ValueError(
            f'{where}: `_base_` must be a path or a list of paths, but got {shown(names)}'
        )
    names = [str(name) for name in names]
    merged = Loaded()
    origin: dict[Any, str] = {}
    for name in dict.fromkeys(names):
        loaded = _load_file(find_base(name, path), reading)
        for key, value in loaded.values.items():
            if key in origin and reading.duplicates is not None:
                reading.duplicates.append(DuplicateKey(key, where, origin[key], name))
            elif key in origin:
                raise KeyError(
                    f'{where}: two of its bases define the key {key!r}, which is not allowed: '
                    f'{origin[key]} and {name}; remove it from one of them or drop one base'
                )
            origin[key] = name
            put(merged.values, key, value, loaded.values._config_files.get(key))
        merged.texts.update(loaded.texts)
    return merged

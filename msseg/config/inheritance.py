"""Load a config file together with the files it inherits from."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msseg.config.config_dict import ConfigDict
from msseg.config.merge import merge_dicts, without_markers
from msseg.config.provenance import display_file, put, set_file
from msseg.config.reader import FORMATS, read_settings, read_text
from msseg.config.variables import substitute_predefined


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
    """A config file's settings, its bases merged in, and the text of all its files."""

    values: ConfigDict = field(default_factory=ConfigDict)
    text: str = ''


def load_file(
    filename: str,
    predefined: bool = True,
    chain: tuple[str, ...] = (),
    duplicates: list[DuplicateKey] | None = None,
) -> Loaded:
    """Load a config file and its bases.

    Args:
        filename: Path of the file.
        predefined: Whether to fill in ``{{ fileDirname }}`` and its kin.
        chain: The files whose bases lead here, outermost first.
        duplicates: Where to note keys that two bases define, of which the last then counts; None
            makes the first an error.

    Raises:
        FileNotFoundError: The file or a base does not exist.
        ValueError: A file cannot be read, or inherits from itself.
        KeyError: Two bases of one file define the same key.
    """
    path = os.path.abspath(os.path.expanduser(filename))
    if path in chain:
        cycle = ' -> '.join(display_file(file) for file in (*chain[chain.index(path) :], path))
        raise ValueError(f'config file inherits from itself: {cycle}')
    text = read_text(path if chain else filename, display_file(chain[-1]) if chain else None)
    return load_text(text, path, os.path.splitext(path)[1], predefined, chain, duplicates)


def load_text(
    text: str,
    path: str,
    file_format: str,
    predefined: bool = True,
    chain: tuple[str, ...] = (),
    duplicates: list[DuplicateKey] | None = None,
) -> Loaded:
    """Load a config from its text; see `load_file`.

    Args:
        text: The text of the config.
        path: Absolute path that the text is taken to have; its folder is where bases lie.
        file_format: Extension that says how to read it.
        predefined: Whether to fill in ``{{ fileDirname }}`` and its kin.
        chain: The files whose bases lead here, outermost first.
        duplicates: As `load_file`.
    """
    if file_format not in FORMATS:
        raise OSError(f'config format {file_format!r}: only {", ".join(FORMATS)} are supported')
    where = display_file(path)
    base = Loaded()

    def load_bases(names: Any) -> ConfigDict:
        nonlocal base
        base = _load_bases(names, path, predefined, chain, duplicates)
        return base.values

    source = substitute_predefined(text, path) if predefined else text
    values = ConfigDict(read_settings(source, file_format, path, where, load_bases))
    set_file(values, where if where.startswith('<') else path)
    merged = merge_dicts(base.values, values) if base.values else without_markers(values)
    return Loaded(merged, f'{base.text}{where}\n{text}\n')


def _load_bases(
    names: Any,
    path: str,
    predefined: bool,
    chain: tuple[str, ...],
    duplicates: list[DuplicateKey] | None,
) -> Loaded:
    if names is None:
        return Loaded()
    where = display_file(path)
    names = [names] if isinstance(names, str) else names
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise ValueError(f'{where}: `_base_` must be a path or a list of paths, but got {names!r}')
    merged = Loaded()
    origin: dict[Any, str] = {}
    for name in names:
        file = os.path.join(os.path.dirname(path), os.path.expanduser(name))
        loaded = load_file(file, predefined, (*chain, path), duplicates)
        for key, value in loaded.values.items():
            if key in origin and duplicates is not None:
                duplicates.append(DuplicateKey(key, where, origin[key], name))
            elif key in origin:
                raise KeyError(
                    f'{where}: two of its bases define the key {key!r}, which is not allowed: '
                    f'{origin[key]} and {name}; remove it from one of them or drop one base'
                )
            origin[key] = name
            put(merged.values, key, value, loaded.values._config_files.get(key))
        merged.text += loaded.text
    return merged

"""Read a config file, Python, JSON or YAML, together with the files that it inherits from."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msseg.config.config_dict import (
    MAX_BYTES,
    ConfigDict,
    count_values,
    display_file,
    set_file,
)
from msseg.config.find_base import find_base, find_module, not_found
from msseg.config.merge import merge_dicts, without_markers
from msseg.config.mmseg1x import is_1x, translate
from msseg.config.own_configs import OWN, own_names
from msseg.config.python_reader import BASE_KEY, BaseVariables, read_python
from msseg.utils.cli import CONFIG_ENDINGS
from msseg.utils.errors import (
    UserFileNotFoundError,
    UserKeyError,
    UserOSError,
    UserValueError,
)
from msseg.utils.plain_yaml import find_duplicate, parse_yaml
from msseg.utils.regular_file import check_regular
from msseg.utils.shown import shown
from msseg.utils.text_file import read_user_text

FORMATS = CONFIG_ENDINGS
_ENVIRONMENT = re.compile(r"""\{\{['"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['"]?\}\}""")
_MAX_BASES = 64
_ONLY_FORMATS = f'only {", ".join(FORMATS)} files are supported'


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
    """The settings of a config file and its bases, and the texts of all these files.

    Attributes:
        values: The settings.
        texts: The texts, by file, bases first.
        names: What a pure-Python config imports from packages that are not imported.
        report: What became of the keys of a config of MMSegmentation 1.x; [] for another.
    """

    values: ConfigDict = field(default_factory=ConfigDict)
    texts: dict[str, str] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)
    report: list[str] = field(default_factory=list)

    def translated(self) -> Loaded:
        """Return the settings in the language here, if they are MMSegmentation 1.x's."""
        if not is_1x(self.values):
            return self
        values, report = translate(self.values)
        return Loaded(values, self.texts, report=report.lines())

    @property
    def text(self) -> str:
        """The texts of all files, bases first, each led by its name."""
        return ''.join(f'{where}\n{text}\n' for where, text in self.texts.items())


def load_file(
    filename: str, predefined: bool = True, duplicates: list[DuplicateKey] | None = None
) -> Loaded:
    """Load a config file and its bases.

    Args:
        filename: Path of the file.
        predefined: Whether to fill in ``{{ fileDirname }}`` and the like.
        duplicates: Collects the keys that two bases define, of which the last then counts; with
            None the first of them is an error.

    Raises:
        FileNotFoundError: The file or a base does not exist.
        ValueError: A file cannot be read, inherits from itself, or is too large.
        KeyError: Two bases of one file define the same key.
    """
    return _Reading(predefined, duplicates).file(filename).translated()


def load_text(text: str, path: str, file_format: str) -> Loaded:
    """Load a config from its text; see `load_file`.

    Args:
        text: The text of the config.
        path: An absolute path for the text; bases are relative to its folder.
        file_format: The extension of its format.
    """
    if file_format not in FORMATS:
        raise UserOSError(f'config format {file_format!r}: {_ONLY_FORMATS}')
    return _Reading().text(text, path, file_format).translated()


@dataclass
class _Reading:
    """The reading of one config with its bases; see `load_file` for the arguments."""

    predefined: bool = True
    duplicates: list[DuplicateKey] | None = None
    # the files whose bases lead to the current one, outermost first
    chain: list[str] = field(default_factory=list)
    # the files that others read by ``read_base``
    pure: set[str] = field(default_factory=set)
    # the files read so far, by path: each is read once
    loaded: dict[str, Loaded] = field(default_factory=dict)

    def file(self, filename: str) -> Loaded:
        path, chain = os.path.abspath(os.path.expanduser(filename)), self.chain
        if path in self.loaded:
            return self.loaded[path]
        if path in chain:
            cycle = ' -> '.join(display_file(file) for file in (*chain[chain.index(path) :], path))
            raise UserValueError(f'config file inherits from itself: {cycle}')
        if len(chain) > _MAX_BASES:
            first = display_file(chain[0])
            raise UserValueError(f'{first} inherits through more than {_MAX_BASES} files')
        who = f'{display_file(chain[-1])}: the base file' if chain else 'config file'
        text = _read_text(path if chain else filename, who, is_base=bool(chain))
        self.loaded[path] = self.text(text, path, os.path.splitext(path)[1])
        return self.loaded[path]

    def text(self, text: str, path: str, file_format: str) -> Loaded:
        where = display_file(path)
        base = Loaded()

        def load_bases(names: Any) -> ConfigDict | None:
            nonlocal base
            if names is None:
                return None
            self.chain.append(path)
            base = self.bases(names, path)
            self.chain.pop()
            return base.values

        imported: dict[str, tuple[Any, str | None]] = {}

        names: dict[str, Any] = {}

        def load_module(level: int, module: str, line: int) -> dict[str, Any]:
            self.chain.append(path)
            file = find_module(level, module, path, line)
            self.pure.add(os.path.abspath(file))
            loaded = self.file(file)
            self.chain.pop()
            base.texts.update(loaded.texts)
            files = loaded.values._config_files
            imported.update((k, (v, files.get(k))) for k, v in loaded.values.items())
            return {**loaded.names, **loaded.values}

        source = _substitute_predefined(text, path) if self.predefined else text
        if file_format == '.py':
            plain = read_python(
                source, path, where, load_bases, load_module, names, path in self.pure
            )
        else:
            plain = _read_data(source, file_format, where, load_bases)
        for key, value in plain.items():
            if not isinstance(key, str):
                raise UserValueError(f'the key {key!r} at the top is no text: quote it', file=where)
            count_values(value, f'{where}: {key}')
        values = ConfigDict(plain)
        for key, (value, file) in imported.items():
            if key in values and values[key] == value:  # as the base has it
                values.put(key, value, file)
        set_file(values, where if where.startswith('<') else path)
        merged = merge_dicts(base.values, values) if base.values else without_markers(values)
        return Loaded(merged, {**base.texts, where: text}, names)

    def bases(self, names: Any, path: str) -> Loaded:
        where = display_file(path)
        names = list(names) if isinstance(names, (list, tuple)) else [names]
        if not all(isinstance(name, (str, os.PathLike)) for name in names):
            problem = f'`_base_` must be a path or a list of paths, but got {shown(names)}'
            raise UserValueError(problem, file=where)
        merged = Loaded()
        origin: dict[str, str] = {}
        for name in dict.fromkeys(map(str, names)):
            loaded = self.file(find_base(name, path))
            for key, value in loaded.values.items():
                if key in origin:
                    self.note_duplicate(DuplicateKey(key, where, origin[key], name))
                origin[key] = name
                merged.values.put(key, value, loaded.values._config_files.get(key))
            merged.texts.update(loaded.texts)
        return merged

    def note_duplicate(self, found: DuplicateKey) -> None:
        if self.duplicates is None:
            raise UserKeyError(
                f'two of its bases define the key {found.key!r}, which is not allowed: '
                f'{found.first} and {found.second}',
                advice='remove it from one of them or drop one base',
                who=found.file,
            )
        self.duplicates.append(found)


def _substitute_predefined(text: str, filename: str) -> str:
    """Fill in ``{{ fileDirname }}``, the like, and MMEngine's ``{{$NAME:default}}``."""
    folder, name = os.path.split(filename)
    stem, extension = os.path.splitext(name)
    values = {
        'fileDirname': folder,
        'fileBasename': name,
        'fileBasenameNoExtension': stem,
        'fileExtname': extension,
    }
    pattern = r'\{\{\s*(' + '|'.join(values) + r')\s*\}\}'
    text = re.sub(pattern, lambda match: values[match[1]].replace('\\', '/'), text)
    return _ENVIRONMENT.sub(lambda match: _environment_value(match, filename), text)


def _environment_value(match: re.Match, filename: str) -> str:
    value = os.environ.get(match[1], match[2])
    if not value:
        raise UserKeyError(
            f'the environment variable {match[1]} is not set and has no default',
            file=display_file(filename),
            line=match.string.count('\n', 0, match.start()) + 1,
            advice=f'set it, or write {{{{${match[1]}:default}}}}',
        )
    return value


def _read_text(filename: str, who: str, is_base: bool) -> str:
    lead = f'{who} {filename!r}'
    if os.path.isdir(filename):
        raise UserFileNotFoundError(f'{lead} is a folder, expected a file')
    if not os.path.exists(filename):
        folder, name = os.path.split(filename)
        siblings = os.listdir(folder or '.') if os.path.isdir(folder or '.') else []
        advice = f"from anywhere, '{OWN}demo/ocrnet_nuclei.py' names a config of msseg's own"
        if not is_base:
            siblings += [] if folder else own_names()
            advice = "msseg models lists the names of msseg's own"
        raise not_found(lead, name, siblings, advice)
    check_regular(filename)
    if os.path.splitext(filename)[1] not in FORMATS:
        raise UserOSError(f'{lead}: {_ONLY_FORMATS}')
    if os.path.getsize(filename) > MAX_BYTES:
        raise UserValueError(f'{lead} is larger than {MAX_BYTES // 2**20} MiB')
    return read_user_text(filename, lead)


def _read_data(text: str, file_format: str, where: str, load_bases: Any) -> dict[str, Any]:
    """Return the settings in a JSON or YAML text."""
    variables = BaseVariables(text, where, quote=file_format == '.json')
    try:
        values = _parse(variables.text, file_format, where)
    except (RecursionError, MemoryError) as error:
        raise UserValueError('its values are nested too deeply', file=where) from error
    if not isinstance(values, dict):
        kind = type(values).__name__
        raise UserValueError(f'expected a mapping at the top, got {kind}', file=where)
    count_values(values, where)  # filling in goes through every use of an alias
    variables.base = load_bases(values.pop(BASE_KEY, None))
    return variables.fill(values)


def _parse(text: str, file_format: str, where: str) -> Any:
    if file_format == '.json':
        try:
            return json.loads(text, object_pairs_hook=_without_duplicates)
        except json.JSONDecodeError as error:
            raise UserValueError(f'no JSON: {error.msg}', file=where, line=error.lineno) from error
        except ValueError as error:  # a key that stands twice, a number of thousands of digits
            raise UserValueError(f'no JSON: {error}', file=where) from error
    return parse_yaml(text, where) or {}


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    index = find_duplicate([key for key, _ in pairs])
    if index is not None:
        raise ValueError(f'the key {pairs[index][0]!r} stands twice')
    return dict(pairs)

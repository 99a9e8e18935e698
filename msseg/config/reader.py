"""Read one config file: Python, JSON or YAML."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from msseg.config.config_dict import ConfigDict
from msseg.config.limits import MAX_BYTES, MAX_DEPTH, MAX_VALUES, count_values, find_double
from msseg.config.provenance import display_file
from msseg.config.python_reader import BASE_KEY, read_python
from msseg.config.variables import BaseVariables
from msseg.utils.cli import CONFIG_ENDINGS
from msseg.utils.regular_file import check_regular
from msseg.utils.suggest import did_you_mean
from msseg.utils.text_file import read_user_text

OWN = 'msseg::'
_OWN_CONFIGS = Path(__file__).parents[2] / 'configs'
FORMATS = CONFIG_ENDINGS


class _YamlLoader(yaml.SafeLoader):
    """PyYAML's loader of plain data, to which ``1e-4`` is a number as in YAML 1.2.

    Of the tags that name Python objects it knows that of tuples alone, which `Config.dump` writes:
    a YAML file can name no function or class.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = self._merged = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node:
        """Return a node; PyYAML takes a time that grows with the square of the depth."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise RecursionError
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        """Return a node; of a key that stands twice, PyYAML would silently take the last."""
        node = super().compose_mapping_node(anchor)
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if (place := find_double([(key.tag, key.value) for key in scalars])) is not None:
            line = scalars[place].start_mark.line + 1
            problem = f'the key {scalars[place].value!r} stands twice (line {line})'
            raise yaml.MarkedYAMLError(problem=problem)
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Copy what merge keys name into a node; a few lines may ask for millions of copies."""
        super().flatten_mapping(node)
        self._merged += len(node.value)
        if self._merged > MAX_VALUES:
            raise yaml.MarkedYAMLError(problem=f'its merge keys copy over {MAX_VALUES:,} values')

    def tuple(self, node: yaml.SequenceNode) -> tuple:
        """Return the elements of a sequence."""
        return tuple(self.construct_sequence(node, deep=True))


_YamlLoader.add_constructor('tag:yaml.org,2002:python/tuple', _YamlLoader.tuple)
_YamlLoader.add_implicit_resolver(
    'tag:yaml.org,2002:float',
    re.compile(r'[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$'),
    list('-+.0123456789'),
)


def read_text(filename: str, wanted_by: str | None = None) -> str:
    """Return the text of a config file.

    Args:
        filename: Path of the file.
        wanted_by: The config that names it as its base.

    Raises:
        FileNotFoundError: There is no such file.
        OSError: Its extension is none of `FORMATS`.
    """
    by = f'{wanted_by}: the base file ' if wanted_by else 'config file '
    if os.path.isdir(filename):
        raise FileNotFoundError(f'{by}{filename!r} is a folder, expected a file')
    if os.path.exists(filename):
        check_regular(filename)
    else:
        folder, name = os.path.split(filename)
        siblings = os.listdir(folder or '.') if os.path.isdir(folder or '.') else []
        hint = did_you_mean(name, siblings)
        if wanted_by and not hint:
            hint = f" From anywhere, '{OWN}demo/ocrnet_nuclei.py' names a config of msseg's own"
        raise FileNotFoundError(f'{by}{filename!r} does not exist.{hint}')
    if os.path.splitext(filename)[1] not in FORMATS:
        raise OSError(f'{by}{filename!r}: only {", ".join(FORMATS)} files are supported')
    if os.path.getsize(filename) > MAX_BYTES:
        raise ValueError(f'{by}{filename!r} is larger than {MAX_BYTES // 2**20} MiB')
    return read_user_text(filename, f'{by}{filename!r}')


def find_base(name: str, path: str) -> str:
    """Return the path of a base file.

    Args:
        name: As ``_base_`` has it: relative to the folder of the file that names it, or
            ``msseg::`` and a name in msseg's own folder of configs.
        path: The file that names it.

    Raises:
        FileNotFoundError: There is no such config of msseg's own.
    """
    if not name.startswith(OWN):
        return os.path.join(os.path.dirname(path), os.path.expanduser(name))
    lead = f'{display_file(path)}: the base file {name!r}'
    if not _OWN_CONFIGS.is_dir():
        raise FileNotFoundError(f'{lead}: this installation has no configs, a checkout has')
    own = {
        file.relative_to(_OWN_CONFIGS).as_posix()
        for file in _OWN_CONFIGS.rglob('*')
        if file.suffix in FORMATS
    }
    name = name.removeprefix(OWN)
    if name not in own:
        hint = did_you_mean(name, own) or f' {_OWN_CONFIGS} lists them.'
        raise FileNotFoundError(f'{lead} does not exist.{hint}')
    return str(_OWN_CONFIGS / name)


def read_settings(
    text: str,
    file_format: str,
    filename: str,
    where: str,
    load_bases: Callable[[Any], ConfigDict],
) -> dict[str, Any]:
    """Return the settings in a text.

    Args:
        text: The text, predefined variables filled in.
        file_format: One of `FORMATS`.
        filename: Absolute path of the file.
        where: The file's name for errors.
        load_bases: Called once with the value of ``_base_``, or None.

    Raises:
        ValueError: The text is not valid in its format.
    """
    if file_format == '.py':
        return read_python(text, filename, where, load_bases)
    variables = BaseVariables(text, where, quote=file_format == '.json')
    try:
        values = _parse(variables.text, file_format, where)
    except (RecursionError, MemoryError) as error:
        raise ValueError(f'{where}: its values are nested too deeply') from error
    if not isinstance(values, dict):
        raise ValueError(f'{where}: expected a mapping at the top, got {type(values).__name__}')
    count_values(values, where)  # filling in goes through every use of an alias
    bases = values.pop(BASE_KEY, None)
    base = load_bases(bases)
    variables.base = base if bases is not None else None
    return variables.fill(values)


def _parse(text: str, file_format: str, where: str) -> Any:
    if file_format == '.json':
        try:
            return json.loads(text, object_pairs_hook=_without_doubles)
        except json.JSONDecodeError as error:
            raise ValueError(f'{where}, line {error.lineno}: no JSON: {error.msg}') from error
        except ValueError as error:  # a key that stands twice, a number of thousands of digits
            raise ValueError(f'{where}: no JSON: {error}') from error
    try:
        return yaml.load(text, _YamlLoader) or {}
    except yaml.constructor.ConstructorError as error:
        line = error.problem_mark.line + 1
        hint = ': a YAML config holds plain data, and names components by strings'
        raise ValueError(
            f'{where}, line {line}: {error.problem}{hint if "tag" in error.problem else ""}'
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, 'problem_mark', None)
        line = f', line {mark.line + 1}' if mark else ''
        raise ValueError(f'{where}{line}: no YAML: {getattr(error, "problem", error)}') from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        # what PyYAML's constructors raise: a day of 99, a number of thousands of digits, !!int x
        raise ValueError(f'{where}: no YAML: {error}') from error


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    place = find_double([key for key, _ in pairs])
    if place is not None:
        raise ValueError(f'the key {pairs[place][0]!r} stands twice')
    return dict(pairs)

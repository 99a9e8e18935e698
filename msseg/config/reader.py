"""Read one config file: Python, JSON or YAML."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import yaml

from msseg.config.config_dict import ConfigDict
from msseg.config.python_reader import BASE_KEY, read_python
from msseg.config.variables import BaseVariables
from msseg.utils.suggest import did_you_mean

FORMATS = ('.py', '.json', '.yaml', '.yml')


class _YamlLoader(yaml.SafeLoader):
    """PyYAML's loader of plain data, to which ``1e-4`` is a number as in YAML 1.2.

    Of the tags that name Python objects it knows that of tuples alone, which `Config.dump` writes:
    a YAML file can name no function or class.
    """

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
    if not os.path.isfile(filename):
        folder, name = os.path.split(filename)
        siblings = os.listdir(folder or '.') if os.path.isdir(folder or '.') else []
        raise FileNotFoundError(f'{by}{filename!r} does not exist.{did_you_mean(name, siblings)}')
    if os.path.splitext(filename)[1] not in FORMATS:
        raise OSError(f'{by}{filename!r}: only {", ".join(FORMATS)} files are supported')
    try:
        with open(filename, encoding='utf-8-sig') as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f'{by}{filename!r} is not UTF-8 text: {error}') from error


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
    values = _parse(variables.text, file_format, where)
    if not isinstance(values, dict):
        raise ValueError(f'{where}: expected a mapping at the top, got {type(values).__name__}')
    bases = values.pop(BASE_KEY, None)
    base = load_bases(bases)
    variables.base = base if bases is not None else None
    return variables.fill(values)


def _parse(text: str, file_format: str, where: str) -> Any:
    if file_format == '.json':
        try:
            return json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f'{where}, line {error.lineno}: no JSON: {error.msg}') from error
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

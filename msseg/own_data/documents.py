"""JSON and XML files of labelling tools: plain data, or an error that names the file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from msseg.utils.errors import UserError, UserTypeError, UserValueError
from msseg.utils.regular_file import check_regular
from msseg.utils.shown import shown
from msseg.utils.text_file import read_user_text

_MAX_XML_BYTES = 2**29
_KINDS = {dict: 'a mapping', list: 'a list', str: 'a text', int: 'a whole number'}


def read_json(path: Path) -> Any:
    """Return a JSON file's content; ValueError when it is none."""
    check_regular(path)
    text = read_user_text(path, str(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserValueError(f'no JSON: {error.msg}', file=str(path), line=error.lineno) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, deep nesting
        raise UserValueError(f'no JSON that can be read: {error}', file=str(path)) from None


def read_xml(path: Path) -> ElementTree.Element:
    """Return an XML file's root; ValueError when it is none, or declares entities of its own."""
    check_regular(path)
    if path.stat().st_size > _MAX_XML_BYTES:
        raise UserValueError(f'larger than {_MAX_XML_BYTES // 2**20} MiB', file=str(path))
    parser, builder = expat.ParserCreate(), ElementTree.TreeBuilder()

    def refuse(*_: Any) -> None:
        raise UserValueError(
            'it has a document type declaration, whose entities could grow without limit',
            file=str(path),
            advice='remove <!DOCTYPE …>',
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(path.read_bytes(), True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the last: of unknown encodings
        if isinstance(error, UserError):
            raise
        raise UserValueError(f'no XML: {error}', file=str(path)) from None
    return builder.close()


def need(node: Any, key: str, kind: type | tuple[type, ...], who: str) -> Any:
    """Return ``node[key]``; an error unless `node` is a mapping that has it, of that kind."""
    if not isinstance(node, Mapping):
        raise UserTypeError(f'{who}: got {shown(node)}', expected=f'a mapping with {key!r}')
    value = node.get(key)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or isinstance(value, bool):
        expected = ' or '.join(_KINDS.get(each, 'a number') for each in kinds)
        if key not in node:
            raise UserTypeError(f'{who}: {key!r} is missing', expected=expected)
        raise UserTypeError(key=key, got=value, expected=expected, who=who)
    return value


def attribute(node: ElementTree.Element, key: str, who: str) -> str:
    """Return an element's attribute; ValueError without it."""
    value = node.get(key)
    if value is None:
        raise UserValueError(f'{who}: <{node.tag}> has no attribute {key!r}')
    return value


def number(text: str | None, key: str, who: str, kind: type = float) -> Any:
    """Return a number in a text; ValueError when it holds none."""
    try:
        return kind(text or '')
    except ValueError:
        expected = 'a whole number' if kind is int else 'a number'
        raise UserValueError(key=key, got=text, expected=expected, who=who) from None

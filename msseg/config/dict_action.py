"""``--cfg-options key=value …`` for argparse."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any

_WORDS = {'none': None, 'true': True, 'false': False}
_CLOSING = {'[': ']', '(': ')'}
_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*""")


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options`` to a command line: a dict in ``cfg_options``, or None."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        help="settings that replace the config's: key=value, such as optimizer.lr=0.02 or "
        'model.decode_head.0.channels=256; lists as [a,b], strings as they are',
    )


class DictAction(argparse.Action):
    """Collect ``key=value`` arguments in a dict, with values parsed by `parse_value`.

    Options that are given several times add up; a later one wins.

    Examples:
        >>> parser = argparse.ArgumentParser()
        >>> _ = parser.add_argument('--cfg-options', nargs='+', action=DictAction)
        >>> parser.parse_args(['--cfg-options', 'optimizer.lr=0.02', 'size=[4,8]']).cfg_options
        {'optimizer.lr': 0.02, 'size': [4, 8]}

    Source: MMCV 1.7 ``mmcv.DictAction``.
    """

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        options = dict(getattr(namespace, self.dest, None) or {})
        for item in [values] if isinstance(values, str) else values or ():
            key, equals, text = item.partition('=')
            if not (equals and key):
                raise argparse.ArgumentError(self, f'expected key=value, got {item!r}')
            try:
                options[key] = parse_value(text)
            except (ValueError, RecursionError) as error:
                is_deep = isinstance(error, RecursionError)
                reason = 'nested too deeply' if is_deep else error
                raise argparse.ArgumentError(self, f'{key}: {reason}') from error
        setattr(namespace, self.dest, options)


def parse_value(text: str) -> Any:
    """Parse a value as written on a command line.

    Raises:
        ValueError: Brackets that do not match.

    Examples:
        >>> [parse_value(text) for text in ('1', '1e-3', 'true', 'None', 'mIoU', '"1"')]
        [1, 0.001, True, None, 'mIoU', '1']
        >>> parse_value('a,b'), parse_value('[(512,1024),[]]')
        (['a', 'b'], [(512, 1024), []])
    """
    items, end = _parse_items(text, 0, closing='')
    if len(items) == 1 and not text[:end].rstrip().endswith(','):
        return items[0]
    return items if items else ''


def _parse_items(text: str, start: int, closing: str) -> tuple[list[Any], int]:
    """Parse comma-separated items up to the closing bracket, or to the end if it is ''."""
    items: list[Any] = []
    position = start
    while position < len(text):
        if closing and text[position:].lstrip().startswith(closing):
            return items, text.index(closing, position) + 1
        item, position = _parse_item(text, position, closing)
        items.append(item)
        if position < len(text) and text[position] == ',':
            position += 1
        elif position < len(text) and text[position] != closing:
            raise ValueError(f'unexpected {text[position:]!r} in {text!r}; quote it if it is text')
    if closing:
        raise ValueError(f'{closing!r} is missing in {text!r}; quote the value if it is text')
    return items, position


def _parse_item(text: str, position: int, closing: str) -> tuple[Any, int]:
    quoted = _QUOTED.match(text, position)
    if quoted and (quoted.end() == len(text) or text[quoted.end()] in ',])'):
        return re.sub(r'\\(.)', r'\1', quoted[1][1:-1]), quoted.end()
    opening = text[position:].lstrip()[:1]
    if opening in _CLOSING and opening:
        inside = text.index(opening, position) + 1
        items, position = _parse_items(text, inside, _CLOSING[opening])
        while position < len(text) and text[position] == ' ':
            position += 1
        return (tuple(items) if opening == '(' else items), position
    stop = f',{closing}'
    end = position
    depth = 0
    while end < len(text) and (depth or text[end] not in stop):
        depth += (text[end] in '[(') - (text[end] in '])')
        if depth < 0:
            break
        end += 1
    if depth:
        raise ValueError(f'brackets do not match in {text!r}; quote the value if it is text')
    return _parse_word(text[position:end].strip()), end


def _parse_word(word: str) -> Any:
    """Return the number, boolean or None that a word stands for, else the word."""
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return _WORDS.get(word.lower(), word)

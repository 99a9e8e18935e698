"""The Chinese pages say what the English ones say: same commands, code, options and headings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAIRS = {
    'README_zh.md': 'README.md',
    'docs/getting_started_zh.md': 'docs/getting_started.md',
}

_FENCE = re.compile(r'((?:<!--[^\n]*-->\n+)*)^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r'\s*#.*')


def code_of(page: str) -> list[tuple[str, str, list[str]]]:
    """The blocks of a page: directives, language, and lines without their comments."""
    text = (ROOT / page).read_text(encoding='utf-8')
    return [
        (notes.strip(), language, [_COMMENT.sub('', line) for line in code.splitlines()])
        for notes, language, code in _FENCE.findall(text)
    ]


def cells_of(page: str) -> list[str]:
    """The first code of each table row: options, commands and settings."""
    text = (ROOT / page).read_text(encoding='utf-8')
    rows = re.findall(r'^\|(.*)\|$', text, re.MULTILINE)
    return [code for row in rows for code in re.findall(r'`([^`]+)`', row.split(' | ')[0])]


@pytest.mark.parametrize(('chinese', 'english'), PAIRS.items())
def test_code_and_commands_are_the_same(chinese, english):
    assert code_of(english)
    assert code_of(chinese) == code_of(english)


@pytest.mark.parametrize(('chinese', 'english'), PAIRS.items())
def test_tables_list_the_same(chinese, english):
    assert cells_of(english)
    assert cells_of(chinese) == cells_of(english)


@pytest.mark.parametrize(('chinese', 'english'), PAIRS.items())
def test_pages_have_the_same_sections_and_name_each_other(chinese, english):
    def levels(page):
        return re.findall(r'^(#+) ', (ROOT / page).read_text(encoding='utf-8'), re.MULTILINE)

    assert levels(chinese) == levels(english)
    for page, other in ((chinese, english), (english, chinese)):
        assert f']({Path(other).name})' in (ROOT / page).read_text(encoding='utf-8'), page

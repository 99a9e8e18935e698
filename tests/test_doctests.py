"""Run the examples in the package's docstrings."""

import doctest
import importlib
from pathlib import Path

import pytest

import msseg

ROOT = Path(msseg.__file__).parent
MODULES = sorted(
    '.'.join(path.relative_to(ROOT.parent).with_suffix('').parts).removesuffix('.__init__')
    for path in ROOT.rglob('*.py')
    if '>>> ' in path.read_text(encoding='utf-8')
)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize('name', MODULES)
def test_examples_give_what_they_show(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(importlib.import_module(name), optionflags=OPTIONS)
    assert result.attempted, f'{name} has >>> outside of docstrings'
    assert result.failed == 0

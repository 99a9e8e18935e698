"""A config that is read as data."""

import ast
import math

import pytest

from msseg.config import Config
from msseg.config.config_dict import MAX_BYTES
from msseg.config.writer import read_literals

SETTINGS = {
    'model': {'type': 'Net', 'sizes': (1, -2), 'one': (3,), 'none': None, 'deep': {'a': [{}]}},
    'words': "it's {{ a }}\nb",
    'numbers': {1: 1.5e-7, 'a b': float('-inf'), (1, 2): True, -3: {4}},
    'class': 'no name of a variable',
}


def test_what_a_config_writes_is_read_back():
    settings = read_literals(Config(SETTINGS).pretty_text, 'here')
    assert settings == SETTINGS
    assert type(settings['model']['sizes']) is tuple
    assert math.isnan(read_literals("a = float('nan')", 'here')['a'])
    assert read_literals('', 'here') == {}
    assert read_literals('gpu_ids = range(0, 4)', 'here') == {'gpu_ids': [0, 1, 2, 3]}


@pytest.mark.parametrize(
    'text',
    [
        'import os',
        'a = __import__("os").system("touch ran")',
        'a = open("ran", "w")',
        'a = dict(*[1])',
        'a = dict(**{})',
        'a = {**{}}',
        'a = {[]: 1}',
        'a = {(1, [2]): 1}',
        'a = set([[1]])',
        'a = float("1e5")',
        'a = float(x)',
        'a = range(10 ** 9)',
        'a = range(1000000000)',
        'a = range(0, 1, 0)',
        'a = range("1")',
        'a = range(*[1])',
        'a = b',
        'a = -True',
        'a = --1',
        'a = 1 + 1',
        'a = 2 ** 2 ** 30',
        'a = [0] * 10 ** 9',
        'a = b"bytes"',
        'a = 1j',
        'a = ...',
        'a = f"{1}"',
        'a = [x for x in (1,)]',
        'a = lambda: 1',
        'a = (b := 1)',
        'a = b = 1',
        'a, b = 1, 2',
        'a.b = 1',
        'a["b"] = 1',
        'globals()[1] = 1',
        'globals().clear()',
        'a += 1',
        'a: int = 1',
        'del a',
        'dict = 1; a = dict()\nexec("1")',
        'def dict(): pass',
        '@print\nclass A: pass',
        'if 1: a = 1',
        '"doc"',
        'a = ',
        'a = ' + '[' * 5000,
        'a = ' + '[' * 100 + ']' * 100,
        'a = [' + '0,' * 1_000_001 + ']',
        'a = ' + '-' * 200_000 + '1',
        'a = ' + '9' * 5000,
        'a = "\0',
        '#' * (MAX_BYTES + 1),
    ],
)
def test_anything_else_is_refused_and_not_run(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match='^here') as raised:
        read_literals(text, 'here')
    assert len(str(raised.value)) < 300
    assert not list(tmp_path.iterdir())


def test_other_expressions_can_be_kept_as_text():
    text = 'import os\na = os.getcwd()\nb = dict(c=dict(*[1], d=2), e=[1, x])'
    assert read_literals(text, 'here', ast.unparse) == {
        'a': 'os.getcwd()',
        'b': {'c': 'dict(*[1], d=2)', 'e': [1, 'x']},
    }

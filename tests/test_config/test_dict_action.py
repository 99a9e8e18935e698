"""`--cfg-options`: every kind of value, and what is refused."""

from __future__ import annotations

import argparse

import pytest

from msseg.config import DictAction
from msseg.config.dict_action import parse_value


def parse(*arguments: str) -> dict | None:
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    return parser.parse_args(arguments).cfg_options


@pytest.mark.parametrize(
    ('text', 'value'),
    [
        ('1', 1),
        ('-3', -3),
        ('1e-3', 1e-3),
        ('.5', 0.5),
        ('inf', float('inf')),
        ('true', True),
        ('False', False),
        ('None', None),
        ('none', None),
        ('word', 'word'),
        ('a/b.c-d_e', 'a/b.c-d_e'),
        ('x=y', 'x=y'),
        ('', ''),
        ('two words', 'two words'),
        ('"1"', '1'),
        ("'a,b'", 'a,b'),
        ('"None"', 'None'),
        (r'"say \"hi\""', 'say "hi"'),
        ('1,2,3', [1, 2, 3]),
        ('a,"b,c", d', ['a', 'b,c', 'd']),
        ('1,', [1]),
        ('[1]', [1]),
        ('[a, b]', ['a', 'b']),
        ('[]', []),
        ('()', ()),
        ('(1)', (1,)),
        ('(1,)', (1,)),
        ('(512, 1024)', (512, 1024)),
        ('[(1, 2, 3), [a, b], c]', [(1, 2, 3), ['a', 'b'], 'c']),
        ('(1,2),(3,4)', [(1, 2), (3, 4)]),
        ('[[[1]], (None, (true,))]', [[[1]], (None, (True,))]),
        ('[ [1, 2] , 3 ]', [[1, 2], 3]),
        ('[\'a]\', "(b"]', ['a]', '(b']),
        ('[mIoU,IoU(x)]', ['mIoU', 'IoU(x)']),
    ],
)
def test_values(text, value):
    parsed = parse_value(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize('text', ['[1', '(1,2', '1]', '[1)', '[1]x', '[[1]', 'a(b', '[1] [2]'])
def test_unbalanced_brackets_are_refused(text):
    with pytest.raises(ValueError, match='quote'):
        parse_value(text)


def test_options_on_a_command_line_add_up_and_the_last_wins():
    options = parse('--cfg-options', 'a=1', 'b.0.c=[1,2]', '--cfg-options', 'a=2', 'd=x=y')
    assert options == {'a': 2, 'b.0.c': [1, 2], 'd': 'x=y'}
    assert parse() is None


@pytest.mark.parametrize(
    ('argument', 'message'),
    [
        ('a', "expected key=value, got 'a'"),
        ('=1', "expected key=value, got '=1'"),
        ('a=[1', "a: ']' is missing in '[1'"),
    ],
)
def test_what_is_no_option_is_an_error(argument, message, capsys):
    with pytest.raises(SystemExit):
        parse('--cfg-options', argument)
    assert message in capsys.readouterr().err

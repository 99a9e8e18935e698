"""Errors with fields: their messages, what they are caught as, and their way between processes."""

import pickle

import pytest

from msseg.utils import errors
from msseg.utils.errors import (
    UserError,
    UserKeyError,
    UserValueError,
    check_one_of,
    expected_one_of,
    unknown_name,
)


def test_a_message_is_made_of_the_fields_that_are_given():
    error = UserValueError(
        key='channels',
        got=-8,
        expected='a whole number',
        advice='count them',
        suggestions=['8', '9'],
        who='OCRHead',
        file='a.py',
        config_path='model.decode_head',
    )

    assert str(error) == (
        'model.decode_head: OCRHead: channels is -8 (set in a.py), expected a whole number. '
        "Did you mean '8'? If not, count them"
    )
    assert error.detail == str(error).removeprefix('model.decode_head: ').replace(
        ' (set in a.py)', ''
    )
    assert (error.key, error.got, error.suggestions) == ('channels', -8, ('8', '9'))


def test_advice_without_a_suggestion_follows_the_problem():
    assert str(UserKeyError('no such key', advice='add it')) == 'no such key; add it'


def test_a_file_that_is_wrong_itself_leads_the_message():
    assert str(UserValueError('no JSON', file='a.json', line=3)) == 'a.json, line 3: no JSON'


@pytest.mark.parametrize(
    'name, kind',
    [
        ('UserValueError', ValueError),
        ('UserTypeError', TypeError),
        ('UserKeyError', KeyError),
        ('UserOSError', OSError),
        ('UserFileNotFoundError', FileNotFoundError),
        ('ArgumentError', ValueError),
        ('ArgumentError', TypeError),
    ],
)
def test_errors_are_built_in_ones_too_and_cross_processes(name, kind):
    error = getattr(errors, name)(key='f', got=lambda: 1, expected='a number', file='a.py')
    error.complete(who='Resize', file='b.py')

    with pytest.raises(kind) as caught:
        raise pickle.loads(pickle.dumps(error))
    other = caught.value
    assert str(other) == str(error) == other.args[0]
    assert (other.who, other.file, other.key) == ('Resize', 'a.py', 'f')
    assert 'lambda' in other.got
    assert str(other.complete(config_path='data')).startswith('data: Resize: f is ')


def test_one_of_a_few_options():
    check_one_of('mode', 'near', ['near', 'far'])

    with pytest.raises(UserValueError, match="Did you mean 'near'") as caught:
        check_one_of('mode', 'naer', ['near', 'far'], who='Resize')
    assert str(caught.value).startswith("Resize: mode is 'naer', expected one of ['near', 'far']")
    with pytest.raises(ValueError, match='steps is True'):
        check_one_of('steps', True, [1, 2])
    assert isinstance(expected_one_of('a', 'b', ['c'], UserKeyError), KeyError)


def test_an_unknown_name_gets_the_closest_choice_or_all():
    near = unknown_name("Resize takes no argument 'probb'", 'probb', ['size', 'prob'])
    far = unknown_name("Resize takes no argument 'xyz'", 'xyz', ['size', 'prob'])

    assert str(near) == "Resize takes no argument 'probb'. Did you mean 'prob'?"
    assert str(far) == "Resize takes no argument 'xyz', expected one of ['prob', 'size']"
    assert isinstance(near, UserError)

"""What type hints say of arguments, and what refuses the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from msseg.utils.arguments import (
    ArgumentError,
    Channels,
    Int32,
    Length,
    Positive,
    Probability,
    Range,
    Size,
    checked,
    describe,
    fits,
)

NAN, INF = float('nan'), float('inf')
UP_TO_INFINITY = Annotated[float, Range(0, INF, above=True)]


@pytest.mark.parametrize(
    ('hint', 'right', 'wrong'),
    [
        (bool, [True, np.bool_(False)], [1, 0, 'no', None]),
        (int, [3, -1, np.int64(3)], [1.5, 2.0, True, '3', 10**400, NAN]),
        (float, [0.5, 3, np.float32(2)], [NAN, INF, -INF, True, '0.5', 10**400, 1e39]),
        (Probability, [0, 1, 0.5], [-0.1, 1.1, NAN, True]),
        (Positive, [1e-30], [0, -1, INF]),
        (UP_TO_INFINITY, [INF, 2], [0, NAN, -INF]),
        (Channels, [1, 65535], [0, 65536, 1.0]),
        (Size, [(1, 2), [3, 4], np.array([5, 6])], [(1,), (1, 2, 3), (0, 1), (1, INF), 3, '12']),
        (Sequence[float], [(), [1, 2.5], np.ones(3)], [[NAN], ['1'], '12', 3]),
        (Annotated[Sequence[float], Length()], [[1]], [[], [NAN]]),
        (str | None, ['a', None], [3, b'a']),
        (Literal['near', 'far'], ['near'], ['nearer', 1]),
        (Literal[0, 1], [0, 1], [True, 1.0, 2]),
        (Mapping[str, int], [{}, {'a': 1}], [{'a': 1.5}, {1: 1}, []]),
        (Callable[[int], int], [len], ['len']),
        (Any, [None, NAN], []),
    ],
)
def test_what_fits_a_hint(hint, right, wrong):
    assert [value for value in right if not fits(value, hint)] == []
    assert [value for value in wrong if fits(value, hint)] == []


@pytest.mark.parametrize(
    ('hint', 'words'),
    [
        (Probability, 'a number from 0 to 1'),
        (Positive, 'a number above 0'),
        (Annotated[float, Range(0, 1, below=True)], 'a number of at least 0 and below 1'),
        (Int32, 'a whole number from -2147483648 to 2147483647'),
        (Size | None, '(h, w), 2 values, each a whole number from 1 to 1048576, or None'),
        (Literal['a', 'b'], "one of ['a', 'b']"),
        (Annotated[Sequence[float], Length()], 'a list, each a number, not empty'),
    ],
)
def test_what_fits_is_said_in_words(hint, words):
    assert describe(hint) == words


class Part:
    @checked
    def __init__(self, share: Probability, size: int = 1, *, kind: Literal['x'] = 'x', **more: int):
        self.got = (share, size, kind, more)


def test_numbers_of_numpy_are_handed_on_as_python_has_them():
    share, size, *_ = Part(np.float64(0.5), size=np.int64(3)).got
    assert (type(share), type(size)) == (float, int)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(share=2), '^Part: share is 2, expected a number from 0 to 1$'),
        (dict(share=1, size=10**400), 'size is <a whole number of 1329 bits>'),
        (dict(share=1, kind='xx'), "expected 'x'. Did you mean 'x'"),
        ({}, 'missing 1 required positional argument'),
    ],
)
def test_wrong_arguments_are_named_in_one_line(arguments, message):
    with pytest.raises(TypeError, match=message):
        Part(**arguments)


def test_an_error_knows_its_argument_and_values_are_cut_short():
    with pytest.raises(ArgumentError) as caught:
        Part(0.5, size='x' * 1000)
    assert caught.value.key == 'size'
    assert len(str(caught.value)) < 200

"""Rules join, split and change arrays, and say what is wrong with a file."""

import numpy as np
import pytest

from msseg.convert import (
    LeftAside,
    Mapped,
    Rules,
    convert,
    count_taken,
    format_report,
    format_table,
    list_misfits,
    names,
    pixelwise,
    register_names,
)


def upside_down(array):
    """The rows in reverse order."""
    return array[::-1]


def in_pairs(array):
    """Rows as pairs."""
    return array.reshape(-1, 2, array.shape[-1])


TABLE = {
    r'net\.q\.': Mapped('backbone.qkv.', part=(0, 3)),
    r'net\.k\.': Mapped('backbone.qkv.', part=(1, 3)),
    r'net\.v\.': Mapped('backbone.qkv.', part=(2, 3)),
    r'net\.both\.': Mapped(('backbone.first.', 'backbone.second.')),
    r'net\.wide\.': Mapped(('backbone.left.', 'backbone.right.'), axis=1),
    r'net\.rows\.': Mapped('backbone.rows.', upside_down),
    r'net\.pairs\.': Mapped('backbone.pairs.', in_pairs),
    **pixelwise(r'net\.fc\.', 'backbone.conv.'),
    r'net\.norm\.': Mapped('backbone.norm.', unless_needed='the last norm'),
    r'net\.head\.': LeftAside('the classifier'),
    r'net\.(\w+)\.(\d)': r'backbone.\1.\2',
}


@pytest.fixture(autouse=True)
def style(monkeypatch):
    monkeypatch.setattr(names, '_ORIGINS', dict(names._ORIGINS))
    register_names('net', lambda names: any(name.startswith('net.') for name in names))(
        Rules(TABLE)
    )


def rows(first, count=2, columns=3):
    return np.arange(first, first + count * columns, dtype=np.float32).reshape(count, columns)


def kinds(conversion):
    return {entry.source or entry.target: entry.kind for entry in conversion.entries}


def test_parts_are_joined_in_their_order_whatever_the_files():
    file = {'net.v.weight': rows(20), 'net.q.weight': rows(0), 'net.k.weight': rows(10)}
    conversion = convert(file)
    expected = np.concatenate([rows(0), rows(10), rows(20)])
    np.testing.assert_array_equal(conversion.weights['backbone.qkv.weight'], expected)
    assert set(kinds(conversion).values()) == {'joined'}
    assert [entry.note for entry in conversion.entries] == [
        'part 3 of 3',
        'part 1 of 3',
        'part 2 of 3',
    ]
    assert count_taken(conversion) == 1
    assert '3 were joined to 1' in format_table(conversion)


def test_a_part_that_is_not_in_the_file_is_named():
    wanted = {'backbone.qkv.weight': (6, 3)}
    conversion = convert({'net.q.weight': rows(0), 'net.v.weight': rows(3)}, wanted=wanted)
    assert conversion.weights == {}
    assert kinds(conversion) == {
        'net.q.weight': 'unexpected', 'net.v.weight': 'unexpected',
        'backbone.qkv.weight': 'missing',
    }  # fmt: skip
    note = conversion.of_kind('unexpected')[0].note
    assert note == (
        'part 1 of 3 of backbone.qkv.weight, whose part 2 the file does not have, by the rule '
        r"'net\.q\.' of style 'net'"
    )
    assert note in list_misfits(conversion)


def test_a_parameter_is_split_along_an_axis():
    conversion = convert({'net.both.weight': rows(0, 4), 'net.wide.weight': rows(0, 2, 4)})
    weights = conversion.weights
    np.testing.assert_array_equal(weights['backbone.first.weight'], rows(0))
    np.testing.assert_array_equal(weights['backbone.second.weight'], rows(6))
    np.testing.assert_array_equal(weights['backbone.right.weight'], [[2, 3], [6, 7]])
    assert count_taken(conversion) == 4
    assert '2 were split into 4' in format_table(conversion)


def test_numbers_are_changed_and_the_report_says_how():
    conversion = convert(
        {'net.rows.weight': rows(0), 'net.fc.weight': rows(0), 'net.fc.bias': rows(0)[0]}
    )
    np.testing.assert_array_equal(conversion.weights['backbone.rows.weight'], rows(0)[::-1])
    assert conversion.weights['backbone.conv.weight'].shape == (2, 3, 1, 1)
    assert kinds(conversion)['net.fc.bias'] == 'converted'
    report = format_report(conversion, 'a.pth')
    assert 'net.rows.weight -> backbone.rows.weight  [2, 3]  (The rows in reverse order)' in report
    assert '1 were changed: A linear layer as a 1x1 convolution' in report


@pytest.mark.parametrize(
    ('file', 'wanted', 'message'),
    [
        ({'net.rows.weight': rows(0)}, {'backbone.rows.weight': (3, 3)},
         r"(3, 3) in the model, made (2, 3) of 1 in the file, by the rule 'net\.rows\.'"),
        ({'net.pairs.weight': rows(0, 3)}, {'backbone.pairs.weight': (1, 2, 3)},
         '(1, 2, 3) in the model: cannot reshape array of size 9 into shape (2,3), by the rule'),
        ({'net.both.weight': rows(0, 3)}, {'backbone.first.weight': (1, 3)},
         '(1, 3) in the model: array split does not result in an equal division, by the rule'),
        ({'net.q.weight': rows(0), 'net.k.weight': rows(0), 'net.v.weight': rows(0, 2, 2)},
         {'backbone.qkv.weight': (6, 3)}, '(6, 3) in the model: all the input array dimensions'),
    ],
)  # fmt: skip
def test_a_wrong_shape_says_which_rule_failed(file, wanted, message):
    conversion = convert(file, wanted=wanted)
    first = conversion.of_kind('shape mismatch')[0]
    assert message in first.note and "of style 'net'" in first.note
    assert not conversion.weights and first.note in list_misfits(conversion)


def test_wrong_arrays_without_a_model_are_reported_too():
    file = {'net.pairs.weight': rows(0, 3), 'net.a.0': rows(0), 'net.rows.weight': np.float32(1)}
    file |= {'net.q.bias': rows(0), 'net.k.bias': rows(0), 'net.v.bias': rows(0).astype(np.int8)}
    conversion = convert(file)
    assert list(conversion.weights) == ['backbone.a.0']
    notes = {entry.source: entry.note for entry in conversion.of_kind('shape mismatch')}
    assert set(notes) == set(file) - {'net.a.0'}
    assert notes['net.pairs.weight'].startswith('cannot reshape array of size 9')
    assert "parts of different kinds: ['float32', 'float32', 'int8']" in notes['net.k.bias']


def test_a_matrix_fits_a_convolution_of_a_pixel_and_the_other_way_round():
    file = {'net.a.0': rows(0), 'net.b.0': rows(0)[:, :, None, None], 'net.c.0': rows(0)[0]}
    wanted = {'backbone.a.0': (2, 3, 1, 1), 'backbone.b.0': (2, 3), 'backbone.c.0': (3, 1, 1, 1)}
    conversion = convert(file, wanted=wanted)
    assert {name: array.shape for name, array in conversion.weights.items()} == {
        name: wanted[name] for name in ('backbone.a.0', 'backbone.b.0')
    }
    assert kinds(conversion) == {
        'net.a.0': 'changed', 'net.b.0': 'changed', 'net.c.0': 'shape mismatch',
    }  # fmt: skip


def test_what_the_model_may_have_is_left_aside_with_the_reason_where_it_has_not():
    file = {'net.norm.weight': rows(0)[0], 'net.a.0': rows(0)}
    wanted = {'backbone.a.0': (2, 3)}
    assert convert(file, wanted=wanted).of_kind('left aside')[0].note == 'the last norm'
    assert len(convert(file, wanted={**wanted, 'backbone.norm.weight': (3,)}).weights) == 2


def test_a_missing_name_is_shown_with_a_near_one_of_the_file():
    file = {'net.a.0': rows(0), 'net.layer.weigth': rows(0)}
    text = list_misfits(convert(file, wanted={'backbone.a.0': (2, 3), 'net.layer.weight': (2, 3)}))
    assert "1 missing, such as 'net.layer.weight' (is it 'net.layer.weigth' in the file?)" in text
    assert "1 unexpected, such as 'net.layer.weigth' (a name of no rule)" in text


def test_two_parameters_for_one_part_are_refused():
    register_names('twice', lambda names: 'x' in names)(
        Rules({'x$': Mapped('backbone.a', part=(0, 2)), 'y$': Mapped('backbone.a', part=(0, 2))})
    )
    with pytest.raises(ValueError, match="'y' and 'x' would both become 'backbone.a'"):
        convert({'x': rows(0), 'y': rows(0)})


def test_the_style_that_fits_the_model_best_is_taken():
    register_names('other', lambda names: 2)(Rules({r'net\.': 'decode_head.'}))
    file = {'net.a.0': rows(0), 'net.b.0': rows(0)}
    assert convert(file).style == 'other'  # it is surer
    assert convert(file, wanted={'backbone.a.0': (2, 3)}).style == 'net'
    assert convert(file, wanted={'decode_head.a.0': (2, 3)}).style == 'other'

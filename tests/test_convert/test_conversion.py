"""Biases before normalisation, kinds of number, parts, and the account of it all."""

import json

import numpy as np
import pytest

from msseg.convert import convert, count_taken, format_report, format_table, write_report

RNG = np.random.default_rng(0)
CONV = 'decode_head.1.bottleneck.conv'
NORM = 'decode_head.1.bottleneck.bn'


def official_layer(dtype=np.float32):
    draw = lambda *shape: RNG.normal(size=shape).astype(dtype)  # noqa: E731
    return {
        'conv3x3_ocr.0.weight': draw(4, 3, 1, 1),
        'conv3x3_ocr.0.bias': draw(4),
        'conv3x3_ocr.1.weight': draw(4),
        'conv3x3_ocr.1.bias': draw(4),
        'conv3x3_ocr.1.running_mean': draw(4),
        'conv3x3_ocr.1.running_var': np.abs(draw(4)) + 1,
    }


def apply(x, weight, bias, gamma, beta, mean, variance):
    """Convolution 1x1 and normalisation of a pixel."""
    y = weight[:, :, 0, 0].astype(np.float64) @ x + bias
    return (y - mean) / np.sqrt(variance + 1e-5) * gamma + beta


def of_layer(weights):
    norm = [weights[f'{NORM}.{n}'] for n in ('gamma', 'beta', 'moving_mean', 'moving_variance')]
    return weights[f'{CONV}.weight'], weights.get(f'{CONV}.bias', 0), *norm


def test_folded_bias_changes_no_output():
    source, x = official_layer(), RNG.normal(size=3)
    weights = convert(source).weights
    assert f'{CONV}.bias' not in weights
    np.testing.assert_array_equal(
        weights[f'{NORM}.moving_mean'],
        source['conv3x3_ocr.1.running_mean'] - source['conv3x3_ocr.0.bias'],
    )
    np.testing.assert_allclose(apply(x, *of_layer(weights)), apply(x, *source.values()), rtol=1e-6)


def test_bias_stays_where_the_model_has_it():
    source = official_layer()
    wanted = {name: array.shape for name, array in convert(source).weights.items()}
    weights = convert(source, wanted={**wanted, f'{CONV}.bias': (4,)}).weights
    np.testing.assert_array_equal(weights[f'{CONV}.bias'], source['conv3x3_ocr.0.bias'])
    np.testing.assert_array_equal(
        weights[f'{NORM}.moving_mean'], source['conv3x3_ocr.1.running_mean']
    )


def test_bias_that_only_the_model_has_is_zero():
    source = official_layer()
    del source['conv3x3_ocr.0.bias']
    wanted = {name: array.shape for name, array in convert(source).weights.items()}
    conversion = convert(source, wanted={**wanted, f'{CONV}.bias': (4,)})
    np.testing.assert_array_equal(conversion.weights[f'{CONV}.bias'], np.zeros(4))
    assert [entry.target for entry in conversion.of_kind('filled')] == [f'{CONV}.bias']


def test_bias_of_another_size_than_its_norm():
    source = {**official_layer(), 'conv3x3_ocr.0.bias': np.zeros(1, np.float32)}
    with pytest.raises(ValueError, match=r'a bias of shape \(1,\) precedes a norm of \(4,\)'):
        convert(source)


def test_own_names_keep_biases_and_are_not_filled():
    own = {f'{CONV}.bias': np.ones(4, np.float32), f'{NORM}.moving_mean': np.ones(4, np.float32)}
    conversion = convert(own, 'msseg', {f'{NORM}.moving_mean': (4,)})
    np.testing.assert_array_equal(conversion.weights[f'{NORM}.moving_mean'], np.ones(4))
    assert conversion.of_kind('unexpected')[0].source == f'{CONV}.bias'
    del own[f'{CONV}.bias']
    conversion = convert(own, 'msseg', {f'{CONV}.bias': (4,), f'{NORM}.moving_mean': (4,)})
    assert conversion.of_kind('missing')[0].target == f'{CONV}.bias'


@pytest.mark.parametrize('dtype', [np.float16, np.float64])
def test_numbers_become_float32(dtype):
    weights = convert(official_layer(dtype)).weights
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_every_kind_of_misfit():
    source = {**official_layer(), 'cls_head.weight': np.zeros((19, 4, 1, 1), np.float32)}
    source['cls_head.bias'] = np.zeros(19, np.float32)
    wanted = {name: array.shape for name, array in convert(source).weights.items()}
    wanted['decode_head.1.conv_seg.weight'] = (7, 4, 1, 1)
    del wanted['decode_head.1.conv_seg.bias']
    wanted['decode_head.0.conv_seg.bias'] = (7,)
    conversion = convert(source, wanted=wanted)
    (mismatch,) = conversion.of_kind('shape mismatch')
    assert (mismatch.source, mismatch.target) == (
        'cls_head.weight',
        'decode_head.1.conv_seg.weight',
    )
    assert (mismatch.shape, mismatch.wanted_shape) == ((19, 4, 1, 1), (7, 4, 1, 1))
    assert [entry.source for entry in conversion.of_kind('unexpected')] == ['cls_head.bias']
    assert [entry.target for entry in conversion.of_kind('missing')] == [
        'decode_head.0.conv_seg.bias'
    ]
    assert count_taken(conversion) == count_taken(conversion, 'decode_head.1') == 5
    assert format_table(conversion).splitlines()[3:8] == [
        '| decode_head.0 |       0 |              0 |       1 |          0 |',
        '| decode_head.1 |       5 |              1 |       0 |          1 |',
        '+---------------+---------+----------------+---------+------------+',
        '| total         |       5 |              1 |       1 |          1 |',
        '+---------------+---------+----------------+---------+------------+',
    ]
    assert '1 biases before batch norm went into its running mean' in format_table(conversion)


def test_only_a_part_is_wanted():
    source = {
        'backbone.conv1.weight': np.zeros(3, np.float32),
        'decode_head.conv_seg.bias': np.zeros(3, np.float32),
    }
    wanted = {'backbone.conv1.weight': (3,), 'decode_head.conv_seg.bias': (7,)}
    conversion = convert(source, wanted=wanted, part='backbone.')
    assert list(conversion.weights) == ['backbone.conv1.weight']
    (aside,) = conversion.of_kind('left aside')
    assert (aside.source, aside.note) == ('decode_head.conv_seg.bias', "not part of 'backbone'")
    assert len(conversion.entries) == 2


def test_any_backbones_own_names_will_do_for_a_backbone():
    source = {'blocks.0.weight': np.zeros(3, np.float32)}
    conversion = convert(source, wanted={'backbone.blocks.0.weight': (3,)}, part='backbone.')
    assert list(conversion.weights) == ['backbone.blocks.0.weight']


def test_report_names_every_parameter_with_its_shape(tmp_path):
    source = {**official_layer(), 'aux_head.1.num_batches_tracked': np.array(3)}
    conversion = convert(source)
    text = format_report(conversion, 'a.pth')
    assert text.startswith("a.pth: names of style 'official'\n")
    assert f'\nfolded: 1\n  conv3x3_ocr.0.bias -> {NORM}.moving_mean  [4]  (mean - bias)\n' in text
    assert f'\n  conv3x3_ocr.0.weight -> {CONV}.weight  [4, 3, 1, 1]\n' in text
    assert 'left aside: 1\n  aux_head.1.num_batches_tracked  []' in text
    write_report(conversion, 'a.pth', tmp_path / 'a.txt')
    assert (tmp_path / 'a.txt').read_text() == text
    write_report(conversion, 'a.pth', tmp_path / 'a.json')
    content = json.loads((tmp_path / 'a.json').read_text())
    assert {entry['source'] for entry in content['parameters']} == set(source)

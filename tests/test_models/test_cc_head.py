"""Criss-cross attention."""

import mindspore as ms
import numpy as np
import pytest

from msseg.config import Config
from msseg.models import build_head, build_segmentor
from msseg.models.decode_heads.cc_head import CrissCrossAttention
from tests.test_models.model_configs import tiny_hrnet

RNG = np.random.default_rng(0)


def head(**options):
    defaults = dict(in_channels=6, in_index=0, channels=8, num_classes=3)
    return build_head(dict(dict(defaults, type='CCHead'), **options)).set_train(False)


def randomised(block, factor=1.0):
    for parameter in block.get_parameters():
        values = factor * RNG.normal(size=parameter.shape)
        parameter.set_data(ms.Tensor(values, ms.float32))
    return block


@pytest.mark.parametrize('size', [(3, 4), (1, 5), (1, 1)])
@pytest.mark.parametrize('factor', [1.0, 4.0])
def test_a_pixel_averages_its_row_and_column(size, factor):
    """Against a loop over pixels; the factor makes some attend to themselves alone."""
    block = randomised(CrissCrossAttention(16), factor)
    x = ms.Tensor(RNG.normal(size=(2, 16, *size)), ms.float32)
    query, key, value = (
        getattr(block, f'{name}_conv')(x).asnumpy().astype(np.float64)
        for name in ('query', 'key', 'value')
    )
    expected = x.asnumpy().astype(np.float64)
    for n, i, j in np.ndindex(2, *size):
        cross = [(a, j) for a in range(size[0]) if a != i] + [(i, b) for b in range(size[1])]
        products = np.array([query[n, :, i, j] @ key[n, :, a, b] for a, b in cross])
        weights = np.exp(products - products.max())
        weights = weights / weights.sum()
        average = sum(w * value[n, :, a, b] for w, (a, b) in zip(weights, cross, strict=True))
        expected[n, :, i, j] += float(block.gamma.scale) * average
    largest = abs(expected).max()
    np.testing.assert_allclose(block(x).asnumpy(), expected, atol=1e-5 * largest)


def test_attention_is_applied_as_often_as_asked():
    x = (ms.Tensor(RNG.normal(size=(1, 6, 4, 5)), ms.float32),)
    cell = head(recurrence=3)
    first = cell(x).asnumpy()
    cell.cca.gamma.scale.set_data(ms.Tensor(1.0))
    y = cell.convs[0](x[0])
    for _ in range(3):
        y = cell.cca(y)
    y = cell.conv_cat(ms.ops.concat((x[0], cell.convs[1](y)), axis=1))
    got = cell(x).asnumpy()
    np.testing.assert_allclose(got, cell.conv_seg(y).asnumpy(), atol=1e-6)
    cell.cca.gamma.scale.set_data(ms.Tensor(0.0))
    np.testing.assert_array_equal(cell(x).asnumpy(), first)
    assert abs(got - first).max() > 1e-4


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(recurrence=0), 'recurrence is 0, expected a whole number from 1 to 100'),
        (dict(channels=7), 'channels is 7, expected at least 8'),
        (dict(num_convs=1), 'num_convs is 1, expected 2'),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, message):
    part = dict(dict(in_channels=32, in_index=3, channels=8, num_classes=3), **options)
    model = dict(
        type='EncoderDecoder', backbone=tiny_hrnet(), decode_head=dict(part, type='CCHead')
    )
    with pytest.raises(ValueError, match=f'^model.decode_head: CCHead: {message}'):
        build_segmentor(Config(dict(model=model)).model)

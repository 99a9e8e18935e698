"""Heads with a non-local or a global context block."""

import mindspore as ms
import numpy as np
import pytest

from msseg.config import Config
from msseg.models import build_head, build_segmentor
from msseg.models.layers import ContextBlock, DisentangledNonLocal2d, NonLocal2d
from tests.test_models.model_configs import tiny_hrnet

BN = dict(type='BN')
MODES = ['gaussian', 'embedded_gaussian', 'dot_product', 'concatenation']
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 2, 3)).astype(np.float32)


def head(kind, **options):
    defaults = dict(in_channels=6, in_index=0, channels=8, num_classes=3, norm_cfg=BN)
    return build_head(dict(dict(defaults, type=kind), **options))


def randomised(block):
    for parameter in block.get_parameters():
        parameter.set_data(ms.Tensor(RNG.normal(size=parameter.shape), ms.float32))
    return block.set_train(False)


def layers(cell):
    return {p.name.rpartition('.')[0].removesuffix('.conv') for p in cell.get_parameters()}


def run(block):
    return block(ms.Tensor(X)).asnumpy()


def conv(layer, pixels):
    """A 1x1 convolution of (pixels, channels), in float64."""
    layer = getattr(layer, 'conv', layer)
    return pixels @ layer.weight.asnumpy()[:, :, 0, 0].T.astype(np.float64) + layer.bias.asnumpy()


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def tokens(sample):
    return X[sample].reshape(6, -1).T.astype(np.float64)


def as_map(pixels):
    return np.stack(pixels).transpose(0, 2, 1).reshape(X.shape)


def non_local(block, mode, scale, is_disentangled=False):
    """The block, a pair of pixels at a time."""
    results = []
    for x in map(tokens, range(len(X))):
        plain = mode == 'gaussian'
        queries, keys = (x, x) if plain else (conv(block.theta, x), conv(block.phi, x))
        if is_disentangled:
            queries, keys = queries - queries.mean(0), keys - keys.mean(0)
        values, averages = conv(block.g, x), []
        for query in queries:
            if mode == 'concatenation':
                weight = block.concat_project.conv.weight.asnumpy().reshape(-1)
                pairs = [weight @ np.concatenate((query, key)) for key in keys]
                weights = np.maximum(pairs, 0) / len(x)
            elif mode == 'dot_product':
                weights = np.array([query @ key for key in keys]) / len(x)
            else:
                weights = softmax(np.array([query @ key for key in keys]) * scale)
            averages.append(weights @ values)
        if is_disentangled:
            averages = averages + softmax(conv(block.conv_mask, x)[:, 0]) @ values
        results.append(x + conv(block.conv_out, np.array(averages)))
    return as_map(results)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('use_scale', [True, False])
def test_every_pixel_averages_all_pixels(mode, use_scale):
    block = randomised(NonLocal2d(6, reduction=3, use_scale=use_scale, mode=mode))
    scale = 2**-0.5 if use_scale and mode == 'embedded_gaussian' else 1
    np.testing.assert_allclose(run(block), non_local(block, mode, scale), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('mode', MODES)
def test_disentangled_similarities_are_of_centred_pixels(mode):
    block = randomised(DisentangledNonLocal2d(6, 0.5, reduction=3, mode=mode))
    scale = 2**-0.5 / 0.5 if mode == 'embedded_gaussian' else 1
    expected = non_local(block, mode, scale, is_disentangled=True)
    np.testing.assert_allclose(run(block), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('pooling', ['att', 'avg'])
@pytest.mark.parametrize(
    'fusion', [['channel_add'], ['channel_mul'], ['channel_add', 'channel_mul']]
)
def test_context_is_added_and_multiplies(pooling, fusion):
    block = randomised(ContextBlock(6, 0.5, pooling, fusion))

    def transform(layers, context):
        inner = conv(layers[0], context[None])[0]
        inner = (inner - inner.mean()) / np.sqrt(inner.var() + 1e-5)
        inner = inner * layers[1].gamma.asnumpy().ravel() + layers[1].beta.asnumpy().ravel()
        return conv(layers[3], np.maximum(inner, 0)[None])[0]

    results = []
    for x in map(tokens, range(len(X))):
        weights = np.full(len(x), 1 / len(x))
        if pooling == 'att':
            weights = softmax(conv(block.conv_mask, x)[:, 0])
        y, context = x, weights @ x
        if 'channel_mul' in fusion:
            y = y / (1 + np.exp(-transform(block.channel_mul_conv, context)))
        if 'channel_add' in fusion:
            y = y + transform(block.channel_add_conv, context)
        results.append(y)
    np.testing.assert_allclose(run(block), as_map(results), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'make',
    [
        lambda: NonLocal2d(6),
        lambda: NonLocal2d(6, norm_cfg=BN),
        lambda: DisentangledNonLocal2d(6, 0.05, norm_cfg=BN),
        lambda: ContextBlock(6, 0.5, 'att', ['channel_add']),
    ],
)
def test_blocks_start_as_the_identity(make):
    np.testing.assert_array_equal(run(make().set_train(False)), X)


@pytest.mark.parametrize(
    ('kind', 'options', 'names'),
    [
        ('NLHead', {}, 'nl_block.g nl_block.theta nl_block.phi nl_block.conv_out'),
        ('NLHead', dict(mode='gaussian'), 'nl_block.g nl_block.conv_out'),
        (
            'DNLHead',
            dict(mode='concatenation'),
            'dnl_block.g dnl_block.theta dnl_block.phi dnl_block.concat_project '
            'dnl_block.conv_mask dnl_block.conv_out',
        ),
        (
            'GCHead',
            dict(fusion_types=['channel_mul']),
            'gc_block.conv_mask gc_block.channel_mul_conv.0 gc_block.channel_mul_conv.1 '
            'gc_block.channel_mul_conv.3',
        ),
    ],
)
def test_names_are_mmsegmentations(kind, options, names):
    expected = {*names.split(), 'convs.0', 'convs.1', 'conv_cat', 'conv_seg', 'dropout'}
    cell = head(kind, **options)
    assert {name.removesuffix('.bn') for name in layers(cell)} == expected
    without = head(kind, concat_input=False, **options).set_train(False)
    assert without((ms.Tensor(X),)).shape == (2, 3, 2, 3)


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        ('NLHead', dict(mode='gausian'), "mode is 'gausian'.*Did you mean 'gaussian'"),
        ('NLHead', dict(reduction=0), 'reduction is 0, expected a whole number of at least 1'),
        ('NLHead', dict(num_convs=3), 'NLHead: num_convs is 3, expected 2'),
        ('DNLHead', dict(temperature=0), 'temperature is 0, expected a number above 0'),
        ('GCHead', dict(pooling_type='max'), "pooling_type is 'max', expected one of"),
        ('GCHead', dict(fusion_types=()), r'fusion_types is \(\), .*not empty'),
        ('GCHead', dict(ratio=0.1), 'GCHead: ratio is 0.1, expected at least 1/8, one of the 8'),
    ],
)
def test_arguments_that_do_not_fit_are_named(kind, options, message):
    with pytest.raises(ValueError, match=message):
        head(kind, **options)
    part = dict(type=kind, in_channels=32, in_index=3, channels=8, num_classes=3, **options)
    config = dict(type='EncoderDecoder', backbone=tiny_hrnet(), decode_head=part)
    with pytest.raises(ValueError, match=f'^model.decode_head: {kind}: '):
        build_segmentor(Config(dict(model=config)).model)

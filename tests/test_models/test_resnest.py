"""Options of ResNeXt and ResNeSt: groups of channels and split attention."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_backbone
from msseg.models.backbones.resnest import SplitAttentionConv2d


def backbone(kind, **options):
    sizes = dict(depth=50, stem_channels=4, base_channels=4, num_stages=2, strides=(1, 2))
    sizes |= dict(dilations=(1, 1), out_indices=(0, 1))
    return build_backbone(dict(type=kind, **sizes | options))


def image(*shape):
    return ms.Tensor(np.random.default_rng(0).normal(size=shape), ms.float32)


@pytest.mark.parametrize('kind', ['ResNeXt', 'ResNeSt'])
def test_groups_widen_the_blocks(kind):
    layers = [backbone(kind, groups=groups, base_width=2).layer2[0].conv2 for groups in (1, 4)]
    convs = [getattr(layer, 'conv', layer) for layer in layers]
    radix = 2 if kind == 'ResNeSt' else 1
    assert convs[0].weight.shape == (8 * radix, 8 // radix, 3, 3)
    assert convs[1].weight.shape == (16 * radix, 4 // radix, 3, 3)


@pytest.mark.parametrize('kind', ['ResNeXt', 'ResNeSt'])
def test_blocks_start_as_the_identity_only_if_asked(kind):
    for options, expected in ({}, False), (dict(zero_init_residual=True), True):
        block = backbone(kind, **options).layer1[1]
        assert block.last_norm.gamma.asnumpy().any() != expected


@pytest.mark.parametrize(('averages', 'steps'), [(True, 1), (False, 2)])
def test_blocks_step_by_averages_or_in_the_convolution(averages, steps, graph_mode):
    network = backbone('ResNeSt', avg_down_stride=averages).set_train(False)
    block = network.layer2[0]
    assert block.conv2.conv.stride[0] == steps
    assert [m.shape for m in network(image(1, 3, 33, 41))] == [(1, 16, 9, 11), (1, 32, 5, 6)]
    if averages:
        x = image(1, 8, 5, 5)
        padded = np.pad(x.asnumpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
        window = padded[0, :, 2:5, 2:5]
        np.testing.assert_allclose(
            block.pool(x).asnumpy()[0, :, 1, 1], window.mean((1, 2)), rtol=1e-5
        )
        corner = padded[0, :, 0:3, 0:3]  # pixels outside count as zeros
        np.testing.assert_allclose(
            block.pool(x).asnumpy()[0, :, 0, 0], corner.mean((1, 2)), rtol=1e-5
        )


@pytest.mark.parametrize(('radix', 'groups'), [(1, 1), (2, 1), (2, 2), (3, 2)])
def test_split_attention_weights_maps_by_channel(radix, groups):
    """Against NumPy, with norms that change nothing and a convolution that copies."""
    channels = 4
    layer = SplitAttentionConv2d(
        channels * radix, channels, 1, groups=groups, radix=radix, reduction_factor=1
    ).set_train(False)
    x = image(2, channels * radix, 3, 5)
    conv = layer.conv(x).asnumpy() / np.sqrt(1 + 1e-5)
    maps = np.maximum(conv, 0).reshape(2, radix, channels, 3, 5)
    pooled = maps.sum(1).mean((2, 3))

    def grouped(y, conv):
        weight = conv.weight.asnumpy()[:, :, 0, 0]
        parts = np.split(y, groups, 1), np.split(weight, groups, 0)
        return np.concatenate([part @ w.T for part, w in zip(*parts, strict=True)], 1)

    hidden = np.maximum(grouped(pooled, layer.fc1) / np.sqrt(1 + 1e-5), 0)
    scores = grouped(hidden, layer.fc2).reshape(2, groups, radix, channels // groups)
    if radix > 1:
        weights = np.exp(scores) / np.exp(scores).sum(2, keepdims=True)
    else:
        weights = 1 / (1 + np.exp(-scores))
    weights = weights.transpose(0, 2, 1, 3).reshape(2, radix, channels, 1, 1)
    np.testing.assert_allclose(layer(x).asnumpy(), (weights * maps).sum(1), atol=1e-5)


def test_norm_eval_and_frozen_stages_reach_the_attention():
    frozen = backbone('ResNeSt', frozen_stages=1)
    attention = frozen.layer1[0].conv2
    assert attention.bn1.use_batch_statistics is False
    assert not attention.fc1.weight.requires_grad
    assert frozen.layer2[0].conv2.fc1.weight.requires_grad
    for _, layer in backbone('ResNeSt', norm_eval=True).cells_and_names():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.use_batch_statistics is False


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(kind='ResNeXt', depth=18), r'ResNeXt: depth is 18, expected one of \[50, 101, 152\]'),
        (dict(kind='ResNeSt', depth=34), r'ResNeSt: depth is 34, expected one of .*200\]'),
        (dict(kind='ResNeXt', groups=0), 'groups is 0, expected a whole number from 1'),
        (dict(kind='ResNeSt', radix=1.5), 'radix is 1.5, expected a whole number from 1 to 16'),
        (dict(kind='ResNeSt', groups=3), 'groups is 3, expected a divisor of the 32 channels'),
        (dict(kind='ResNeSt', deep_stem=False), 'deep_stem is False, expected True'),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        backbone(**options)

"""UNet's options."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.export import writers
from msseg.inference.inferencer import Inferencer
from msseg.models import build_backbone, build_segmentor
from msseg.models.analysis.complexity import count_complexity
from msseg.models.analysis.memory_estimate import estimate_memory
from msseg.models.layers import build_upsample_layer
from msseg.models.layers.resize import resize_matrix

RNG = np.random.default_rng(0)
# every kind of stage: strided, pooled, of the same size; dilations; other numbers of convolutions
MIXED = dict(
    type='UNet',
    base_channels=2,
    num_stages=4,
    strides=(1, 2, 1, 1),
    enc_num_convs=(1, 2, 1, 3),
    dec_num_convs=(2, 1, 3),
    downsamples=(False, True, False),
    enc_dilations=(1, 2, 1, 3),
    dec_dilations=(2, 1, 1),
)


def image(height=32, width=48, channels=3):
    rng = np.random.default_rng(0)
    return ms.Tensor(rng.normal(size=(1, channels, height, width)), ms.float32)


def unet(**options):
    return build_backbone(dict(type='UNet', base_channels=2, **options)).set_train(False)


def model(test_cfg=None, **options):
    head = dict(type='FCNHead', in_channels=2, in_index=-1, channels=2, num_classes=3)
    backbone = dict(type='UNet', base_channels=2, **options)
    return build_segmentor(
        dict(type='EncoderDecoder', backbone=backbone, decode_head=head, test_cfg=test_cfg)
    )


def randomise(cell):
    for parameter in cell.get_parameters():
        parameter.set_data(ms.Tensor(RNG.uniform(0.2, 0.6, parameter.shape), ms.float32))


class MeanSquare(nn.Cell):
    def __init__(self, cell):
        super().__init__(auto_prefix=False)
        self.cell = cell

    def construct(self, x):
        return (self.cell(x)[-1] ** 2).mean()


class Gradients(nn.Cell):
    def __init__(self, cell):
        super().__init__(auto_prefix=False)
        self.cell = MeanSquare(cell)
        self.gradients = ms.grad(self.cell, None, cell.trainable_params())

    def construct(self, x):
        return self.gradients(x)


class InNumpy:
    """The network of `MIXED` once more, written with sums and products only."""

    def __init__(self, cell):
        self.values = {p.name: p.asnumpy().astype(np.float64) for p in cell.get_parameters()}

    def conv(self, x, name, stride=1, dilation=1):
        weight = self.values[f'{name}.conv.weight']
        size = weight.shape[-1]
        pad = dilation * (size // 2)
        x = np.pad(x, ((0, 0), (pad, pad), (pad, pad)))
        length = dilation * (size - 1)
        total = 0
        for i in range(size):
            for j in range(size):
                y, z = i * dilation, j * dilation
                part = x[:, y : x.shape[1] - length + y, z : x.shape[2] - length + z]
                total = total + np.einsum(
                    'oc,chw->ohw', weight[:, :, i, j], part[:, ::stride, ::stride]
                )
        mean, variance, gamma, beta = (
            self.values[f'{name}.bn.{leaf}'][:, None, None]
            for leaf in ('moving_mean', 'moving_variance', 'gamma', 'beta')
        )
        return np.maximum((total - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)

    def block(self, x, name, count, stride=1, dilation=1):
        for i in range(count):
            first = i == 0
            options = dict(stride=stride if first else 1, dilation=1 if first else dilation)
            x = self.conv(x, f'{name}.convs.{i}', **options)
        return x

    def enlarge(self, x):
        rows, columns = (resize_matrix(n, 2 * n, False) for n in x.shape[1:])
        return rows @ x @ columns.T

    def __call__(self, x):
        one = self.block(x, 'encoder.0.0', 1)
        two = self.block(one, 'encoder.1.0', 2, stride=2, dilation=2)
        c, h, w = two.shape
        pooled = two.reshape(c, h // 2, 2, w // 2, 2).max((2, 4))
        three = self.block(pooled, 'encoder.2.1', 1)
        four = self.block(three, 'encoder.3.0', 3, dilation=3)
        same = self.conv(four, 'decoder.2.upsample')
        first = self.block(np.concatenate([three, same]), 'decoder.2.conv_block', 3)
        up = self.conv(self.enlarge(first), 'decoder.1.upsample.interp_upsample.1')
        second = self.block(np.concatenate([two, up]), 'decoder.1.conv_block', 1)
        up = self.conv(self.enlarge(second), 'decoder.0.upsample.interp_upsample.1')
        third = self.block(np.concatenate([one, up]), 'decoder.0.conv_block', 2, dilation=2)
        return four, first, second, third


def test_every_kind_of_stage_computes_what_it_says():
    cell = build_backbone(MIXED).set_train(False)
    randomise(cell)
    x = image(12, 20)
    maps = cell(x)
    assert cell.size_divisor == 4 and cell.out_channels == [16, 8, 4, 2]
    expected = InNumpy(cell)(x.asnumpy()[0].astype(np.float64))
    for got, wanted in zip(maps, expected, strict=True):
        np.testing.assert_allclose(got.asnumpy()[0], wanted, rtol=1e-4)


def test_maps_come_from_the_lowest_resolution_to_the_highest():
    maps = unet(in_channels=4)(image(channels=4))
    assert [m.shape[1:] for m in maps] == [
        (32, 2, 3), (16, 4, 6), (8, 8, 12), (4, 16, 24), (2, 32, 48),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('upsample_cfg', 'name', 'shape'),
    [
        (dict(type='DeconvModule'), 'upsample.deconv_upsamping.0.weight', (4, 2, 4, 4)),
        (dict(type='DeconvModule', kernel_size=2), 'upsample.deconv_upsamping.0.bias', (2,)),
        (
            dict(type='InterpConv', conv_first=True, kernel_size=3, padding=1),
            'upsample.interp_upsample.0.conv.weight',
            (2, 4, 3, 3),
        ),
        (dict(type='deconv', kernel_size=2, stride=2), 'upsample.weight', (4, 2, 2, 2)),
    ],
)
def test_upsampling_is_chosen(upsample_cfg, name, shape):
    cell = unet(num_stages=2, upsample_cfg=upsample_cfg, strides=(1, 1), enc_num_convs=(1, 1),
                dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1),
                dec_dilations=(1,))  # fmt: skip
    assert {p.name: p.shape for p in cell.get_parameters()}[f'decoder.0.{name}'] == shape
    assert cell(image(4, 6))[-1].shape == (1, 2, 4, 6)


@pytest.mark.parametrize('conv_first', [True, False])
def test_interpolation_may_repeat_pixels(conv_first):
    cfg = dict(
        type='InterpConv',
        conv_first=conv_first,
        upsample_cfg=dict(scale_factor=3),
        norm_cfg=None,
        act_cfg=None,
    )
    layer = build_upsample_layer(cfg, 1, 1)
    randomise(layer)
    weight, bias = (p.asnumpy().ravel() for p in layer.get_parameters())
    x = image(2, 3, 1)
    expected = (x.asnumpy() * weight + bias).repeat(3, 2).repeat(3, 3)
    np.testing.assert_allclose(layer(x).asnumpy(), expected, rtol=1e-5)


def test_recomputing_changes_neither_gradients_nor_statistics(graph_mode):
    results = []
    for with_cp in (False, True):
        cell = build_backbone(dict(MIXED, with_cp=with_cp)).set_train()
        for parameter in cell.get_parameters():
            rng = np.random.default_rng(len(parameter.name) + parameter.size)
            parameter.set_data(ms.Tensor(rng.uniform(0.2, 0.6, parameter.shape), ms.float32))
        gradients = Gradients(cell)(image(16, 16))
        means = [p for p in cell.get_parameters() if 'moving' in p.name]
        results.append([value.asnumpy() for value in (*gradients, *means)])
    marked = [c for _, c in cell.cells_and_names() if getattr(c, 'recomputes', False)]
    assert len(marked) == 4 + 3 + 2  # blocks of encoder and decoder, interpolations
    for plain, recomputed in zip(*results, strict=True):
        np.testing.assert_allclose(recomputed, plain, rtol=1e-4, atol=1e-6)


def test_norm_eval_keeps_running_statistics():
    cell = build_backbone(dict(MIXED, norm_eval=True)).set_train()
    norms = [layer for _, layer in cell.cells_and_names() if isinstance(layer, nn.BatchNorm2d)]
    cell(image())
    assert len(norms) == 7 + 6 + 3
    for layer in norms:
        assert not layer.moving_mean.asnumpy().any()
        assert layer.gamma.requires_grad


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(strides=(1, 2)), r'strides is \(1, 2\), expected 5 values, which is num_stages'),
        (dict(dec_num_convs=(2,) * 5), 'dec_num_convs is .*expected 4 values.* num_stages - 1'),
        (dict(downsamples=(True,)), 'downsamples is .*expected 4 values'),
        (dict(strides=(1, 3, 1, 1, 1)), r'strides is .*expected a list, each one of \[1, 2\]'),
        (dict(dcn=dict(type='DCN')), 'dcn is .*expected None'),
        (dict(plugins=[{}]), 'plugins is .*expected None'),
        (dict(upsample_cfg=dict(type='bilinear')), "upsample_cfg.type is 'bilinear'"),
        (dict(upsample_cfg=dict(type='InterpConf')), 'InterpConf.*Did you mean .InterpConv'),
        (dict(upsample_cfg=dict(type='DeconvModule', kernel_size=3)), 'kernel_size is 3, expected'),
        (dict(upsample_cfg=dict(type='InterpConv', kernel_size=3)), 'makes 30 pixels of 16'),
        (dict(upsample_cfg=dict(type='DeconvModule', scale_factor=4)), 'makes 64 pixels of 16'),
        (
            dict(
                upsample_cfg=dict(
                    type='InterpConv', upsample_cfg=dict(scale_factor=2, mode='bicubic')
                )
            ),
            "mode is 'bicubic'",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises((ValueError, KeyError, TypeError), match=message) as caught:
        unet(**options)
    assert '\n' not in str(caught.value)


def test_images_of_other_sizes_are_refused_before_the_network_runs():
    meta = dict(ori_shape=(40, 64), flip=False)
    inferencer = Inferencer(model())
    with pytest.raises(ValueError, match=r'UNet: .*\(40, 64\), expected multiples of 16') as caught:
        inferencer.labels([np.zeros((3, 40, 64), np.float32)], [meta])
    assert '\n' not in str(caught.value)
    inferencer = Inferencer(model(dict(mode='slide', crop_size=(32, 32), stride=(24, 24))))
    assert inferencer.labels([np.zeros((3, 40, 64), np.float32)], [meta]).shape == (40, 64)


@pytest.mark.parametrize('size', [(40, 64), (64, 100)])
def test_training_and_analysis_refuse_such_sizes_too(size):
    for use in (
        lambda: estimate_memory(model(), (2, 3, *size)),
        lambda: count_complexity(model(), size),
    ):
        with pytest.raises(ValueError, match='expected multiples of 16; put ResizeToMultiple'):
            use()


def test_graphs_for_any_size_are_read_at_one_that_fits():
    assert model().size_divisor == 16
    for length in writers.distinct_size(16):
        model().check_image_size((length, length))
    halved = [length // 2**i for length in writers.distinct_size(16) for i in range(5)]
    assert len(set(halved)) == 10

"""Parts of transformers compute what PyTorch's and MMCV's do."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from msseg.convert.names import rename_layers
from msseg.models.layers import (
    FFN,
    MultiheadAttention,
    PatchEmbed,
    TransformerEncoderLayer,
    resize_table,
    to_map,
)
from msseg.models.layers.precision import use_low_precision
from msseg.models.layers.tokens import AdaptivePad

# Made with PyTorch 2.13: F.interpolate(mode='bicubic') of sin(0 … 11) as (3, 4), the first values.
BICUBIC = {
    (5, 3): [0.20764, 1.19450, 0.22549, -0.36018, 0.29974, 0.46886, -0.79761, -0.72591],
    (2, 7): [-0.29419, -0.03843, 0.33781, 0.60651, 0.64242, 0.44596, 0.28321, 0.61962],
    (3, 4): [0.0, 0.84147, 0.90930, 0.14112, -0.75680, -0.95892, -0.27942, 0.65699],
}
# nn.MultiheadAttention(8, 2) with `wave` as weights, queries (2, 3, 8), keys (2, 4, 8).
SELF = [-0.88583, -1.16508, -0.91682, -0.24886, 0.53874, 1.08851, 1.14783, 0.68512, -0.86690]
CROSS = [-0.93569, -0.71456, -0.16814, 0.46191, 0.89257, 0.92657, 0.54281, -0.09140, -0.93345]


def wave(shape, shift):
    values = np.sin(np.arange(np.prod(shape)) * 0.7 + shift) * 0.4
    return ms.Tensor(values.reshape(shape), ms.float32)


class TestResizeTable:
    @pytest.mark.parametrize('size', BICUBIC)
    def test_bicubic_is_pytorchs(self, size):
        table = ms.Tensor(np.sin(np.arange(12.0)).reshape(1, 1, 3, 4), ms.float32)
        values = resize_table(table, size).asnumpy()
        assert values.shape == (1, 1, *size)
        np.testing.assert_allclose(values.ravel()[:8], BICUBIC[size], atol=2e-5)

    def test_other_modes(self):
        table = ms.Tensor([[[[0.0, 4.0]]]])
        assert resize_table(table, (1, 4), 'bilinear').asnumpy().ravel().tolist() == [0, 1, 3, 4]
        assert resize_table(table, (1, 4), 'nearest').asnumpy().ravel().tolist() == [0, 0, 4, 4]


class TestPatchEmbed:
    @pytest.mark.parametrize(
        ('padding', 'pads'), [('corner', ((0, 2), (0, 3))), ('same', ((1, 1), (1, 2)))]
    )
    def test_padding_covers_every_pixel(self, padding, pads):
        x = ms.Tensor(np.random.normal(size=(2, 3, 6, 5)), ms.float32)
        y = AdaptivePad((4, 4), (4, 4), padding=padding)(x)
        np.testing.assert_array_equal(y.asnumpy(), np.pad(x.asnumpy(), ((0, 0), (0, 0), *pads)))

    def test_tokens_are_the_convolutions_pixels_in_rows(self):
        layer = PatchEmbed(3, 4, 2, norm_cfg=dict(type='LN'))
        x = ms.Tensor(np.random.normal(size=(2, 3, 6, 4)), ms.float32)
        tokens, size = layer(x)
        assert tokens.shape == (2, 6, 4) and size == (3, 2)
        pixels = layer.norm(layer.projection(x).transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        np.testing.assert_allclose(to_map(tokens, size).asnumpy(), pixels.asnumpy(), atol=1e-6)

    def test_unknown_padding(self):
        with pytest.raises(ValueError, match="padding.*'corner'.*'same'"):
            PatchEmbed(padding='full')


class TestMultiheadAttention:
    @pytest.fixture
    def layer(self):
        layer = MultiheadAttention(8, 2)
        for shift, parameter in enumerate(layer.get_parameters()):
            parameter.set_data(wave(parameter.shape, shift))
        return layer

    def test_is_pytorchs(self, layer):
        query, source = wave((2, 3, 8), 5), wave((2, 4, 8), 6)
        alone = layer(query, query) - query
        np.testing.assert_allclose(alone.asnumpy().ravel()[:9], SELF, atol=2e-5)
        crossed = layer(query, query, source) - query
        np.testing.assert_allclose(crossed.asnumpy().ravel()[:9], CROSS, atol=2e-5)

    def test_pytorchs_names_are_known(self, layer):
        names = [
            'attn.in_proj_weight',
            'attn.in_proj_bias',
            'attn.out_proj.weight',
            'attn.out_proj.bias',
        ]
        names = [f'decode_head.{name}' for name in names]
        wanted = [f'decode_head.{parameter.name}' for parameter in layer.get_parameters()]
        fates = rename_layers(names, 'mmseg', wanted).values()
        assert [fate.target for fate in fates] == wanted

    def test_without_biases(self):
        names = [each.name for each in MultiheadAttention(8, 2, bias=False).get_parameters()]
        assert names == ['attn.in_proj.weight', 'attn.out_proj.weight']

    def test_heads_must_divide_the_length(self):
        with pytest.raises(ValueError, match='num_heads.*3.*divisor of embed_dims=8'):
            MultiheadAttention(8, 3)


class TestFFN:
    def test_layers_and_shortcut(self):
        layer = FFN(4, 6, num_fcs=3)
        first, second = layer.layers[0][0], layer.layers[1][0]
        x, identity = wave((2, 3, 4), 0), wave((2, 3, 4), 1)
        inside = layer.layers[2](ops.relu(second(ops.relu(first(x)))))
        expected = identity.asnumpy() + inside.asnumpy()
        np.testing.assert_allclose(layer(x, identity).asnumpy(), expected, atol=1e-6)
        names = [each.name for each in layer.get_parameters()][::2]
        assert names == ['layers.0.0.weight', 'layers.1.0.weight', 'layers.2.weight']

    def test_one_linear_layer_is_too_few(self):
        with pytest.raises(ValueError, match='num_fcs.*1.*at least 2'):
            FFN(4, 6, num_fcs=1)


class _Energy(nn.Cell):
    def __init__(self, **options):
        super().__init__()
        self.layer = TransformerEncoderLayer(8, 2, 16, **options)

    def construct(self, x):
        y = self.layer(x)
        return (y * y).sum()


def test_recomputed_dropouts_draw_the_same_masks_backward(graph_mode):
    x, results, start = wave((4, 5, 8), 0), [], None
    for with_cp in (False, True):
        network = _Energy(
            drop_rate=0.3, attn_drop_rate=0.3, drop_path_rate=0.5, with_cp=with_cp
        ).set_train()
        parameters = list(network.get_parameters())
        start = start or [each.asnumpy().copy() for each in parameters]
        for parameter, value in zip(parameters, start, strict=True):
            parameter.set_data(ms.Tensor(value))
        gradient = ops.grad(network, None, network.trainable_params())
        results.append([each.asnumpy() for _ in range(2) for each in gradient(x)])
    for plain, recomputed in zip(*results, strict=True):
        np.testing.assert_allclose(recomputed, plain, rtol=1e-4, atol=1e-5)


def test_attention_computes_in_half_precision(graph_mode):
    layer = MultiheadAttention(8, 2).set_train(False)
    x = ms.Tensor(np.random.default_rng(0).normal(size=(2, 5, 8)), ms.float32)
    full = [layer(x, x).asnumpy(), layer(x, x, x).asnumpy()]
    low = MultiheadAttention(8, 2).set_train(False)
    ms.load_param_into_net(low, layer.parameters_dict())
    use_low_precision(low, ms.float16)
    for got, expected in zip((low(x, x), low(x, x, x)), full, strict=True):
        np.testing.assert_allclose(got.asnumpy(), expected, atol=1e-2)

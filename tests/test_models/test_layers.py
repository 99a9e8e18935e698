"""Layers do what their names say in PyTorch and MMCV."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models.layers import (
    BasicBlock,
    Bottleneck,
    Conv2d,
    ConvModule,
    DepthwiseSeparableConvModule,
    Dropout2d,
    build_activation_layer,
    build_conv_layer,
    build_norm_layer,
    freeze_statistics,
    resize,
)
from msseg.models.layers.norm import SyncBatchNorm2d


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


class TestResize:
    @pytest.mark.parametrize(
        ('align_corners', 'expected'),
        [(False, [0, 0.25, 0.75, 1.25, 1.75, 2]), (True, [0, 0.4, 0.8, 1.2, 1.6, 2])],
    )
    def test_positions_are_pytorchs(self, align_corners, expected):
        x = ms.Tensor(np.arange(3).reshape(1, 1, 1, 3), ms.float32)
        got = resize(x, (1, 6), align_corners).asnumpy()[0, 0, 0]
        np.testing.assert_allclose(got, expected, atol=1e-6)

    @pytest.mark.parametrize('align_corners', [False, True])
    @pytest.mark.parametrize('size', [(7, 10), (3, 4), (5, 9)])
    def test_gradient_is_the_transpose(self, align_corners, size):
        """<resize(x), y> = <x, gradient of it along y>, for enlarging and shrinking."""
        x, y = tensor(2, 3, 5, 6), tensor(2, 3, *size, seed=1)
        gradient = ms.grad(lambda a: (resize(a, size, align_corners) * y).sum())(x)
        forward = float((resize(x, size, align_corners) * y).sum())
        assert float((gradient * x).sum()) == pytest.approx(forward, rel=1e-4, abs=1e-4)


class TestNorm:
    def test_momentum_counts_as_in_pytorch(self):
        name, layer = build_norm_layer(dict(type='BN', momentum=0.3, eps=0.1), 4, 2)
        assert name == 'bn2'
        x = tensor(2, 4, 5, 5)
        y = layer.set_train()(x).asnumpy()
        values = x.asnumpy().transpose(1, 0, 2, 3).reshape(4, -1)
        mean, variance = values.mean(axis=1), values.var(axis=1)
        np.testing.assert_allclose(layer.moving_mean.asnumpy(), 0.3 * mean, atol=1e-5)
        unbiased = values.var(axis=1, ddof=1)
        np.testing.assert_allclose(layer.moving_variance.asnumpy(), 0.7 + 0.3 * unbiased, atol=1e-5)
        expected = (x.asnumpy() - mean[:, None, None]) / np.sqrt(variance + 0.1)[:, None, None]
        np.testing.assert_allclose(y, expected, atol=1e-5)

    def test_sync_bn_is_bn_on_one_device(self):
        assert type(build_norm_layer(dict(type='SyncBN'), 4)[1]) is nn.BatchNorm2d

    def test_requires_grad_freezes_scale_and_shift(self):
        layer = build_norm_layer(dict(type='BN', requires_grad=False), 4)[1]
        assert not layer.trainable_params()

    @pytest.mark.parametrize('make', [nn.BatchNorm2d, SyncBatchNorm2d])
    def test_frozen_statistics_are_used_and_kept_in_training(self, make):
        layer = make(4).set_train()
        freeze_statistics(layer)
        x = tensor(2, 4, 5, 5) + 3
        np.testing.assert_allclose(layer(x).asnumpy(), x.asnumpy(), atol=1e-4)
        assert not layer.moving_mean.asnumpy().any()

    @pytest.mark.parametrize('training', [True, False])
    def test_elementary_batch_norm_equals_mindsporess(self, training):
        layers = [make(4, eps=1e-3, momentum=0.8) for make in (nn.BatchNorm2d, SyncBatchNorm2d)]
        x, target = tensor(3, 4, 5, 5), tensor(3, 4, 5, 5, seed=1)
        results = []
        for layer in layers:
            layer.set_train(training)
            layer.gamma.set_data(tensor(4, seed=2))
            step = ms.value_and_grad(
                lambda a, layer=layer: (layer(a) * target).sum(), 0, layer.trainable_params()
            )
            value, (dx, dw) = step(x)
            results.append([value, dx, *dw, layer.moving_mean, layer.moving_variance])
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), atol=2e-4)

    @pytest.mark.parametrize(
        ('norm_cfg', 'error', 'message'),
        [
            (dict(type='SyncBatchNorm'), KeyError, "SyncBatchNorm is not in the.*'SyncBN'"),
            (dict(momentum=0.1), KeyError, '"type" is missing'),
            (dict(type='BN', epsilon=1), TypeError, "no argument 'epsilon'"),
        ],
    )
    def test_bad_norm_cfg_is_explained(self, norm_cfg, error, message):
        with pytest.raises(error, match=message):
            build_norm_layer(norm_cfg, 4)


class TestDropout:
    def test_drops_whole_channels_and_keeps_the_mean(self):
        layer = Dropout2d(0.3).set_train()
        y = layer(ms.ops.ones((64, 128, 2, 2))).asnumpy()
        assert set(np.unique(y).round(5)) == {0, np.float32(1 / 0.7).round(5)}
        assert (y.min(axis=(2, 3)) == y.max(axis=(2, 3))).all()
        assert (y == 0).mean() == pytest.approx(0.3, abs=0.02)

    def test_masks_change_and_resume_from_the_saved_state(self):
        layer, x = Dropout2d(0.5).set_train(), ms.ops.ones((8, 64, 1, 1))
        first = layer(x).asnumpy()
        state = layer.state.asnumpy().copy()
        second = layer(x).asnumpy()
        assert 0.3 < (first == second).mean() < 0.7
        other = Dropout2d(0.5).set_train()
        other.state.set_data(ms.Tensor(state))
        np.testing.assert_array_equal(other(x).asnumpy(), second)

    def test_masks_of_a_batch_do_not_depend_on_how_many_devices_share_it(self):
        whole, second_half = Dropout2d(0.5).set_train(), Dropout2d(0.5).set_train()
        second_half.state.set_data(ms.Tensor(whole.state.asnumpy().copy()))
        second_half.rank = 1
        expected = whole(ms.ops.ones((4, 32, 1, 1))).asnumpy()[2:]
        np.testing.assert_array_equal(second_half(ms.ops.ones((2, 32, 1, 1))).asnumpy(), expected)

    def test_is_the_identity_in_evaluation(self):
        x = tensor(2, 8, 3, 3)
        np.testing.assert_array_equal(Dropout2d(0.5).set_train(False)(x).asnumpy(), x.asnumpy())

    def test_ratio_out_of_range(self):
        with pytest.raises(ValueError, match='ratio is 1.5, expected a number of at'):
            Dropout2d(1.5)


class TestConv:
    def test_kaiming_normal_over_the_fan_out(self):
        layer = Conv2d(32, 64, 3)
        weight = layer.weight.asnumpy()
        deviation = np.sqrt(2 / (64 * 9))
        assert weight.std() == pytest.approx(deviation, rel=0.03)
        assert abs(weight.mean()) < deviation / 20
        # A normal law: the share beyond one deviation, and beyond a uniform law's bounds.
        assert (abs(weight) > deviation).mean() == pytest.approx(0.317, abs=0.02)
        assert (abs(weight) > 1.8 * deviation).mean() == pytest.approx(0.072, abs=0.01)
        assert not layer.bias.asnumpy().any()

    def test_same_seed_gives_the_same_weights_and_layers_differ(self):
        weights = []
        for _ in range(2):
            ms.set_seed(5)
            weights.append([Conv2d(3, 4, 3).weight.asnumpy() for _ in range(2)])
        np.testing.assert_array_equal(weights[0][0], weights[1][0])
        np.testing.assert_array_equal(weights[0][1], weights[1][1])
        assert (weights[0][0] != weights[0][1]).all()

    def test_unknown_type(self):
        with pytest.raises(KeyError, match="Conv3d is not in the.*'Conv2d'"):
            build_conv_layer(dict(type='Conv3d'), 1, 1, 1)

    def test_type_may_be_a_class(self):
        assert type(build_conv_layer(dict(type=Conv2d), 1, 1, 1)) is Conv2d


class TestConvModule:
    def test_names_and_automatic_bias(self):
        plain, normed = ConvModule(3, 4, 1), ConvModule(3, 4, 1, norm_cfg=dict(type='BN'))
        assert [p.name for p in plain.get_parameters()] == ['conv.weight', 'conv.bias']
        assert {p.name for p in normed.trainable_params()} == {
            'conv.weight',
            'bn.gamma',
            'bn.beta',
        }

    def test_activation_comes_last(self):
        x = tensor(1, 3, 4, 4)
        assert ConvModule(3, 4, 1)(x).asnumpy().min() == 0
        assert ConvModule(3, 4, 1, act_cfg=None)(x).asnumpy().min() < 0

    def test_activations(self):
        x = ms.Tensor([-2.0, 7.0])
        layer = build_activation_layer(dict(type='LeakyReLU', negative_slope=0.1, inplace=True))
        np.testing.assert_allclose(layer(x).asnumpy(), [-0.2, 7], rtol=1e-6)
        np.testing.assert_allclose(build_activation_layer(dict(type='ReLU6'))(x).asnumpy(), [0, 6])

    @pytest.mark.parametrize(
        ('act_cfg', 'error', 'message'),
        [
            (dict(type='Relu'), KeyError, "Relu is not in the.*Did you mean 'ReLU'"),
            (dict(type='ReLU', slope=1), TypeError, "ReLU takes no argument 'slope'"),
        ],
    )
    def test_bad_act_cfg_is_explained(self, act_cfg, error, message):
        with pytest.raises(error, match=message):
            build_activation_layer(act_cfg)


class TestDepthwiseSeparableConvModule:
    def test_channels_are_convolved_one_by_one_then_mixed(self):
        module = DepthwiseSeparableConvModule(4, 6, 3, padding=2, dilation=2, act_cfg=None)
        x = tensor(1, 4, 7, 7)
        apart = [
            ms.ops.conv2d(
                x[:, i : i + 1],
                module.depthwise_conv.conv.weight[i : i + 1],
                pad_mode='pad',
                padding=2,
                dilation=2,
            )
            for i in range(4)
        ]
        weight = module.pointwise_conv.conv.weight.asnumpy()[:, :, 0, 0]
        expected = np.einsum('oi,nihw->nohw', weight, ms.ops.concat(apart, axis=1).asnumpy())
        np.testing.assert_allclose(module(x).asnumpy(), expected, atol=1e-5)

    def test_each_part_may_have_its_own_layers(self):
        module = DepthwiseSeparableConvModule(
            4, 6, 3, norm_cfg=dict(type='BN'), dw_act_cfg=None, pw_norm_cfg=None
        )
        assert module.depthwise_conv.activate is None
        assert isinstance(module.pointwise_conv.activate, nn.ReLU)
        assert {p.name for p in module.trainable_params()} == {
            'depthwise_conv.conv.weight',
            'depthwise_conv.bn.gamma',
            'depthwise_conv.bn.beta',
            'pointwise_conv.conv.weight',
            'pointwise_conv.conv.bias',
        }


class TestResBlock:
    @pytest.mark.parametrize('block', [BasicBlock, Bottleneck])
    def test_recomputing_changes_neither_gradients_nor_statistics(self, block, graph_mode):
        results = []
        for with_cp in (False, True):
            ms.set_seed(1)
            layer = block(4 * block.expansion, 4, with_cp=with_cp).set_train()

            class Gradient(nn.Cell):
                def __init__(self, layer):
                    super().__init__(auto_prefix=False)
                    self.layer = layer
                    self.grad = ms.grad(layer, None, layer.trainable_params())

                def construct(self, x):
                    return self.grad(x)

            gradients = Gradient(layer)(tensor(2, 4 * block.expansion, 5, 5))
            results.append([*gradients, layer.bn1.moving_mean, layer.bn1.moving_variance])
        for one, other in zip(*results, strict=True):
            np.testing.assert_allclose(one.asnumpy(), other.asnumpy(), atol=1e-5)

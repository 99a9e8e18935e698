"""Layers by name: every entry trains, gives PyTorch's numbers, and users can add their own."""

import math

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import BACKBONES, HEADS, NECKS
from msseg.models.builder import build_backbone, build_head, build_neck
from msseg.models.layers import (
    ACTIVATION_LAYERS,
    CONV_LAYERS,
    DROP_LAYERS,
    NORM_LAYERS,
    UPSAMPLE_LAYERS,
    ConvModule,
    DropPath,
    build_activation_layer,
    build_conv_layer,
    build_dropout,
    build_norm_layer,
    build_upsample_layer,
    freeze_statistics,
    use_low_precision,
)
from msseg.models.layers.norm import SyncBatchNorm2d
from msseg.runner.optimizer import DefaultOptimizerConstructor
from msseg.utils.layer_traits import register_traits, traits_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 6, 5, 7)).astype(np.float32)
# What an entry cannot be built without.
ARGUMENTS = {
    'GN': dict(num_groups=3),
    'deconv': dict(kernel_size=2),
    'deconv2d': {'kernel_size': 2},
}
BUILDERS = [
    (NORM_LAYERS, lambda cfg: build_norm_layer(cfg, 7 if cfg['type'] == 'LN' else 6)[1]),
    (CONV_LAYERS, lambda cfg: build_conv_layer(cfg, 6, 4, 3, padding=1)),
    (ACTIVATION_LAYERS, build_activation_layer),
    (DROP_LAYERS, build_dropout),
    (UPSAMPLE_LAYERS, lambda cfg: build_upsample_layer(cfg, 6, 4)),
]
ENTRIES = [
    pytest.param(name, build, id=f'{registry.name}-{name}')
    for registry, build in BUILDERS
    for name, entry in registry.module_dict.items()
    if entry.__module__.startswith('msseg.')
]


def run(layer, x=X):
    return layer(ms.Tensor(x)).asnumpy()


class Total(nn.Cell):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def construct(self, x):
        return (self.layer(x) ** 2).sum()


@pytest.mark.parametrize(('name', 'build'), ENTRIES)
def test_every_entry_builds_and_trains(name, build):
    layer = build(dict(ARGUMENTS.get(name, {}), type=name)).set_train()
    weights = layer.trainable_params()
    value, gradients = ms.value_and_grad(Total(layer), 0, weights or None)(ms.Tensor(X))
    assert np.isfinite(value.asnumpy())
    first = gradients[0] if weights else gradients
    assert np.isfinite(first.asnumpy()).all() and first.asnumpy().any()


class TestActivations:
    @pytest.mark.parametrize(
        ('cfg', 'function'),
        [
            (dict(type='GELU'), lambda v: v * 0.5 * (1 + math.erf(v / math.sqrt(2)))),
            (dict(type='HSwish'), lambda v: v * min(max(v + 3, 0), 6) / 6),
            (dict(type='HSigmoid'), lambda v: min(max((v + 3) / 6, 0), 1)),
            (dict(type='HSigmoid', bias=1, divisor=2), lambda v: min(max((v + 1) / 2, 0), 1)),
            (dict(type='Swish'), lambda v: v / (1 + math.exp(-v))),
            (dict(type='LeakyReLU', negative_slope=0.2), lambda v: max(v, 0.2 * v)),
            (dict(type='PReLU', init=0.1), lambda v: max(v, 0.1 * v)),
            (dict(type='ELU'), lambda v: v if v > 0 else math.exp(v) - 1),
        ],
    )
    def test_values(self, cfg, function):
        x = np.linspace(-5, 5, 42, dtype=np.float32).reshape(1, 1, 6, 7)
        expected = np.array([function(float(v)) for v in x.ravel()]).reshape(x.shape)
        np.testing.assert_allclose(run(build_activation_layer(cfg), x), expected, atol=2e-6)


class TestNorms:
    def test_group_norm(self):
        layer = build_norm_layer(dict(type='GN', num_groups=3, eps=0.1), 6)[1]
        groups = X.reshape(2, 3, -1)
        mean, variance = groups.mean(-1, keepdims=True), groups.var(-1, keepdims=True)
        expected = ((groups - mean) / np.sqrt(variance + 0.1)).reshape(X.shape)
        np.testing.assert_allclose(run(layer), expected, atol=1e-5)

    def test_layer_norm_adds_pytorchs_number(self):
        layer = build_norm_layer(dict(type='LN'), 7)[1]
        flat = np.full((1, 7), 2e-3, np.float32)
        flat[0, 0] = 0  # so little variance that the number added counts
        expected = (flat - flat.mean()) / np.sqrt(flat.var() + 1e-5)
        np.testing.assert_allclose(run(layer, flat), expected, rtol=1e-4)

    @pytest.mark.parametrize('affine', [False, True])
    def test_instance_norm(self, affine):
        layer = build_norm_layer(dict(type='IN', affine=affine), 6)[1]
        mean, variance = X.mean((2, 3), keepdims=True), X.var((2, 3), keepdims=True)
        np.testing.assert_allclose(run(layer), (X - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
        assert len(layer.trainable_params()) == 2 * affine

    @pytest.mark.parametrize(
        ('cfg', 'name'),
        [
            (dict(type='SyncBN'), 'bn'),
            (dict(type='GN', num_groups=2), 'gn'),
            (dict(type='IN', affine=True), 'in'),
        ],
    )
    def test_conv_module_names_its_norm_as_mmcv(self, cfg, name):
        module = ConvModule(6, 4, 1, norm_cfg=cfg)
        names = {p.name for p in module.trainable_params()}
        assert names == {'conv.weight', f'{name}.gamma', f'{name}.beta'}
        assert run(module).shape == (2, 4, 5, 7)

    def test_groups_that_do_not_divide_the_channels(self):
        with pytest.raises(ValueError, match='num_groups is 4, expected a divisor of the 6'):
            build_norm_layer(dict(type='GN', num_groups=4), 6)

    def test_no_share_of_running_statistics_outside_0_to_1(self):
        with pytest.raises(ValueError, match='momentum is 2, expected a number from 0 to 1'):
            build_norm_layer(dict(type='BN', momentum=2), 6)


class TestConvolutions:
    @pytest.mark.parametrize('stride', [1, 2, 3])
    def test_adaptive_padding_gives_a_pixel_for_every_stride(self, stride):
        layer = build_conv_layer(dict(type='Conv2dAdaptivePadding'), 6, 4, 3, stride=stride)
        assert run(layer).shape[2:] == (-(-5 // stride), -(-7 // stride))

    @pytest.mark.parametrize(
        'options',
        [
            dict(kernel_size=2, stride=2),
            dict(kernel_size=3, stride=2, padding=1),
            dict(kernel_size=3, stride=2, padding=1, output_padding=1),
        ],
    )
    def test_transposed_convolution_spreads_each_pixel(self, options):
        layer = build_upsample_layer(dict(type='deconv', bias=False, **options), 6, 4)
        weight = layer.weight.asnumpy()
        size, stride, padding = options['kernel_size'], 2, options.get('padding', 0)
        n, _, h, w = X.shape
        full = np.zeros((n, 4, (h - 1) * stride + size, (w - 1) * stride + size))
        for y in range(h):
            for x in range(w):
                spread = np.einsum('ni,iokl->nokl', X[:, :, y, x], weight)
                full[:, :, y * stride : y * stride + size, x * stride : x * stride + size] += spread
        cut = padding - options.get('output_padding', 0)
        rows, columns = (slice(padding, full.shape[axis] - cut) for axis in (2, 3))
        np.testing.assert_allclose(run(layer), full[:, :, rows, columns], atol=1e-5)

    def test_nearest_repeats_pixels(self):
        layer = build_upsample_layer(dict(type='nearest', scale_factor=3), 6, 6)
        np.testing.assert_array_equal(run(layer), X.repeat(3, 2).repeat(3, 3))


class TestDropouts:
    def test_drop_path_drops_whole_samples_and_keeps_the_mean(self):
        layer = DropPath(0.25).set_train()
        y = run(layer, np.ones((4000, 2, 3), np.float32))
        assert (y == y[:, :1, :1]).all()
        assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
        assert y.mean() == pytest.approx(1, abs=0.03)

    def test_dropout_drops_elements(self):
        y = run(
            build_dropout(dict(type='Dropout', drop_prob=0.5)).set_train(),
            np.ones((50, 60), np.float32),
        )
        assert 0.4 < (y[0] == 0).mean() < 0.6 and (y.mean(), 1) == pytest.approx((1, 1), abs=0.1)

    @pytest.mark.parametrize('kind', ['Dropout', 'DropPath'])
    def test_masks_go_on_from_the_saved_state(self, kind):
        x = np.ones((64, 3), np.float32)
        first = build_dropout(dict(type=kind, drop_prob=0.5)).set_train()
        run(first, x)
        state = first.state.asnumpy()
        second = build_dropout(dict(type=kind, drop_prob=0.5)).set_train()
        second.state.set_data(ms.Tensor(state))
        expected = run(first, x)
        assert (expected != run(first, x)).any()
        np.testing.assert_array_equal(run(second, x), expected)

    @pytest.mark.parametrize('kind', ['Dropout', 'DropPath'])
    def test_nothing_is_dropped_in_evaluation(self, kind):
        np.testing.assert_array_equal(run(build_dropout(dict(type=kind)).set_train(False)), X)


class Scaled(nn.Cell):
    """A norm of a user's own."""

    def __init__(self, num_features, power=1.0):
        super().__init__()
        self.gamma = ms.Parameter(ms.ops.ones((num_features,)), 'gamma')
        self.power = power

    def construct(self, x):
        return x * self.gamma.reshape((1, -1, 1, 1)) ** self.power


class TestTraits:
    @pytest.fixture(autouse=True)
    def users_norm(self, monkeypatch):
        monkeypatch.setitem(NORM_LAYERS.module_dict, 'Scaled', Scaled)
        monkeypatch.setattr('msseg.utils.layer_traits._TRAITS', dict(_traits()))
        register_traits(Scaled, is_norm=True, precision='full', names=('ScaledNorm',))

    def test_a_users_norm_is_used_by_name_and_known_as_a_norm(self):
        name, layer = build_norm_layer(dict(type='Scaled', power=2.0), 6)
        assert name == 'norm_layer' and traits_of(layer).is_norm

    @pytest.mark.parametrize('kind', ['Scaled', 'BN', 'GN', 'LN'])
    def test_weight_decay_of_norms(self, kind):
        layer = build_norm_layer(dict(ARGUMENTS.get(kind, {}), type=kind), 6)[1]
        constructor = DefaultOptimizerConstructor(norm_decay_mult=0.0)
        factors = [decay for _, _, decay in constructor.multipliers(layer)]
        assert factors == [0.0] * len(layer.trainable_params())

    @pytest.mark.parametrize('make', [SyncBatchNorm2d, nn.SyncBatchNorm, nn.BatchNorm2d])
    def test_synchronised_norms_are_norms(self, make):
        traits = traits_of(make.__new__(make))
        assert traits.is_norm and traits.keeps_statistics and traits.precision == 'full'

    def test_statistics_of_all_kinds_are_frozen(self):
        layer = SyncBatchNorm2d(6)
        freeze_statistics(layer)
        assert layer.use_batch_statistics is False

    def test_products_of_a_users_norm_stay_in_full_precision(self):
        network = nn.SequentialCell(build_conv_layer(None, 6, 6, 1), Scaled(6))
        use_low_precision(network, ms.float16)
        assert run(network[0]).dtype == np.float16 and run(network).dtype == np.float32

    def test_traits_belong_to_layers(self):
        with pytest.raises(TypeError, match='expected a subclass of mindspore.nn.Cell'):
            register_traits(int, is_norm=True)


def _traits():
    from msseg.utils import layer_traits

    return layer_traits._TRAITS


@pytest.mark.parametrize(
    ('registry', 'build'), [(BACKBONES, build_backbone), (NECKS, build_neck), (HEADS, build_head)]
)
class TestInitCfg:
    @pytest.fixture(autouse=True)
    def part(self, registry, monkeypatch):
        class Part(nn.Cell):
            def __init__(self, init_cfg=None):
                super().__init__()
                self.conv = nn.Conv2d(2, 2, 1)
                self.init_cfg = init_cfg

        monkeypatch.setitem(registry.module_dict, 'Part', Part)

    def test_is_applied_to_every_part(self, registry, build):
        rule = dict(type='Constant', val=0.25, layer='Conv2d')
        assert (build(dict(type='Part', init_cfg=rule)).conv.weight.asnumpy() == 0.25).all()

    def test_pretrained_weights_are_for_backbones(self, registry, build):
        cfg = dict(type='Part', init_cfg=dict(type='Pretrained', checkpoint='x.pth'))
        if registry is BACKBONES:
            assert build(cfg).pretrained == 'x.pth'
        else:
            with pytest.raises(ValueError, match='Pretrained loads a backbone'):
                build(cfg)


def test_the_gradient_of_slopes_is_the_same_each_time(graph_mode):
    """Threads of MindSpore's own operator add it up in an order that changes."""

    class Product(nn.Cell):
        def __init__(self):
            super().__init__()
            self.layer = build_activation_layer(dict(type='PReLU', num_parameters=8))

        def construct(self, x):
            return (self.layer(x) * x).sum()

    network = Product()
    x = np.random.default_rng(0).normal(size=(2, 8, 64, 80)).astype(np.float32)
    gradient = ms.grad(network, None, network.trainable_params())
    results = [gradient(ms.Tensor(x))[0].asnumpy().copy() for _ in range(40)]
    assert len({result.tobytes() for result in results}) == 1
    expected = (np.minimum(x, 0) * x).sum((0, 2, 3), dtype=np.float64)
    np.testing.assert_allclose(results[0], expected, rtol=1e-5)

"""CGNet's maps, options and refusals."""

import numpy as np
import pytest
from mindspore import nn

from msseg.export.passes import fold_graph
from msseg.models import build_backbone
from msseg.models.analysis.read_graph import read_graph
from msseg.models.backbones.cgnet import InputInjection
from tests.test_export.graphs import run
from tests.test_models.family_checks import (
    assert_norm_eval_keeps_statistics_and_trains_scales,
    assert_recomputing_in_a_graph_changes_nothing,
    image,
)

SMALL = dict(type='CGNet', num_channels=(4, 8, 16), num_blocks=(2, 3), reductions=(4, 4))


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (33, 41)])
def test_maps_are_halved_rounding_up(height, width):
    backbone = build_backbone(SMALL).set_train(False)
    sizes = [(-(-height // s), -(-width // s)) for s in (2, 4, 8)]
    shapes = [(1, c, *size) for c, size in zip((7, 19, 32), sizes, strict=True)]
    assert [m.shape for m in backbone(image(height, width))] == shapes
    assert backbone.out_channels == [7, 19, 32]


def test_the_image_is_halved_with_zeros_around_it():
    x = image(6, 5).asnumpy()
    got = InputInjection(3, 1)(image(6, 5)).asnumpy()
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    for i in range(3):
        for j in range(3):
            mean = padded[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].mean((2, 3))
            np.testing.assert_allclose(got[:, :, i, j], mean, atol=1e-6)


def test_slopes_start_at_0_one_for_each_channel():
    slopes = {
        name: layer.w.asnumpy()
        for name, layer in build_backbone(SMALL).cells_and_names()
        if isinstance(layer, nn.PReLU)
    }
    assert len(slopes['stem.0.activate']) == 4
    assert len(slopes['norm_prelu_1.1']) == 19
    assert len(slopes['level2.1.conv1x1.activate']) == 8
    assert len(slopes['level2.1.activate']) == 16
    assert not any(each.any() for each in slopes.values())


def test_another_activation_follows_the_convolutions_only():
    backbone = build_backbone(dict(SMALL, act_cfg=dict(type='LeakyReLU')))
    assert isinstance(backbone.stem[0].activate, nn.LeakyReLU)
    assert isinstance(backbone.level1[1].conv1x1.activate, nn.LeakyReLU)
    assert isinstance(backbone.level1[1].activate, nn.PReLU)


def test_names_stay_when_the_network_has_run():
    backbone = build_backbone(SMALL)
    names = [p.name for p in backbone.get_parameters()]
    backbone(image(32, 32, 2))
    assert [p.name for p in backbone.get_parameters()] == names
    assert {'level1.0.f_glo.fc.2.bias', 'level2.0.bottleneck.weight'} < set(names)
    assert 'level2.1.bottleneck.weight' not in names


class LastMap(nn.Cell):
    def __init__(self):
        super().__init__()
        self.backbone = build_backbone(SMALL)

    def construct(self, x):
        return self.backbone(x)[-1]


def test_onnx_runtime_gives_the_same_map():
    network, x = LastMap().set_train(False), image(33, 41)
    expected = network(x).asnumpy()
    graph = read_graph(network, x.shape)
    fold_graph(graph)
    np.testing.assert_allclose(run(graph, x.asnumpy()), expected, rtol=1e-4, atol=1e-5)


def test_norm_eval():
    assert_norm_eval_keeps_statistics_and_trains_scales(SMALL, image(32, 32))


def test_recomputing_changes_nothing():
    assert_recomputing_in_a_graph_changes_nothing(SMALL, image(32, 48, n=2))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(num_channels=(4, 8)), r'num_channels is \(4, 8\).*3 to 3 of them'),
        (dict(num_channels=(4, 8, 9)), 'num_channels is 9, expected an even number'),
        (dict(reductions=(9, 4)), 'reductions is 9, expected at most the 8 channels'),
        (dict(num_blocks=(0, 1)), r'num_blocks is \(0, 1\)'),
        (dict(dilations=(1, 2, 3)), r'dilations is \(1, 2, 3\)'),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message) as error:
        build_backbone(dict(SMALL, **options))
    assert '\n' not in str(error.value)

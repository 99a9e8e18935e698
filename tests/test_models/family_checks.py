"""Checks that tests of backbones share."""

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.models import build_backbone


def image(height, width, n=1, channels=3):
    rng = np.random.default_rng(0)
    return ms.Tensor(rng.normal(size=(n, channels, height, width)), ms.float32)


def norms(cell):
    return [layer for _, layer in cell.cells_and_names() if isinstance(layer, nn.BatchNorm2d)]


class Squares(nn.Cell):
    """Mean square of all feature maps."""

    def __init__(self, backbone):
        super().__init__(auto_prefix=False)
        self.backbone = backbone

    def construct(self, x):
        total = 0.0
        for feature_map in self.backbone(x):
            total = total + (feature_map * feature_map).mean()
        return total


def train_once(config, x, mode):
    """Value, gradients and running statistics of a step in training, the same weights each time."""
    ms.set_context(mode=mode)
    ms.set_seed(0)
    np.random.seed(0)
    backbone = build_backbone(config)
    network = Squares(backbone).set_train()
    weights = backbone.trainable_params()
    value, gradients = ms.value_and_grad(network, None, weights)(x)
    named = {p.name: g.asnumpy() for p, g in zip(weights, gradients, strict=True)}
    statistics = {p.name: p.asnumpy() for p in backbone.get_parameters() if 'moving' in p.name}
    return float(value), named, statistics


def assert_recomputing_in_a_graph_changes_nothing(config, x):
    """A compiled step with ``with_cp`` against one without it, operator by operator."""
    value, gradients, statistics = train_once(config, x, ms.PYNATIVE_MODE)
    again, recomputed, after = train_once(dict(config, with_cp=True), x, ms.GRAPH_MODE)
    np.testing.assert_allclose(again, value, rtol=1e-5)
    assert set(gradients) == set(recomputed)
    largest = max(abs(each).max() for each in gradients.values())
    for name, gradient in gradients.items():
        np.testing.assert_allclose(recomputed[name], gradient, atol=1e-4 * largest, err_msg=name)
    for name, statistic in statistics.items():
        np.testing.assert_allclose(after[name], statistic, rtol=1e-4, atol=1e-6, err_msg=name)


def assert_norm_eval_keeps_statistics_and_trains_scales(config, x):
    backbone = build_backbone(dict(config, norm_eval=True)).set_train()
    before = [layer.moving_mean.asnumpy().copy() for layer in norms(backbone)]
    backbone(x)
    for layer, mean in zip(norms(backbone), before, strict=True):
        np.testing.assert_array_equal(layer.moving_mean.asnumpy(), mean)
        assert layer.gamma.requires_grad


def assert_frozen(backbone, layers, statistics):
    """Exactly these layers are not trained, and exactly those keep their running statistics."""
    for parameter in backbone.get_parameters():
        expected = parameter.name.split('.')[0] not in layers and 'moving' not in parameter.name
        assert parameter.requires_grad == expected, parameter.name
    for name, layer in backbone.cells_and_names():
        if isinstance(layer, nn.BatchNorm2d):
            expected = False if name.split('.')[0] in statistics else None
            assert layer.use_batch_statistics is expected, name

import mindspore as ms
import pytest
from mindspore import nn

from msseg.apis.build import set_precision
from msseg.apis.train_settings import PrecisionSettings


@pytest.mark.parametrize(
    ('cfg', 'scale'),
    [
        ({}, None),
        ({'optimizer_config': {'type': 'OptimizerHook'}}, None),
        ({'fp16': {}}, 512.0),
        ({'fp16': {'loss_scale': 'dynamic'}}, 'dynamic'),
        ({'optimizer_config': {'type': 'Fp16OptimizerHook'}}, 512.0),
        ({'optimizer_config': {'type': 'Fp16OptimizerHook', 'loss_scale': 128.0}}, 128.0),
        (
            {
                'fp16': {},
                'optimizer_config': {
                    'type': 'GradientCumulativeFp16OptimizerHook',
                    'loss_scale': {'init_scale': 8.0},
                },
            },
            {'init_scale': 8.0},
        ),
    ],
)
def test_both_ways_of_asking_for_float16(cfg, scale):
    assert PrecisionSettings.of(cfg) == PrecisionSettings(
        'float32' if scale is None else 'float16', scale
    )


def test_unknown_optimizer_hook():
    with pytest.raises(KeyError, match="'Fp16Optimizer', .*Did you mean 'Fp16OptimizerHook'"):
        PrecisionSettings.of({'optimizer_config': {'type': 'Fp16Optimizer'}})


def test_one_precision_at_a_time():
    with pytest.raises(ValueError, match='fp16 and bf16 are both set'):
        PrecisionSettings.of({'fp16': {}, 'bf16': {}})


def test_float32_is_left_alone():
    layer = nn.Conv2d(1, 1, 1)
    set_precision(layer, PrecisionSettings())
    assert layer(ms.ops.ones((1, 1, 2, 2))).dtype == ms.float32

"""What training reads of a config, once."""

import dataclasses

import mindspore as ms
import pytest
from mindspore import nn

from msseg.apis import train_settings
from msseg.apis.build import set_precision
from msseg.apis.train_settings import (
    HookSettings,
    LoaderSettings,
    PrecisionSettings,
    StepSettings,
    TrainSettings,
    scale_lr,
)
from msseg.config import Config

CONFIG = """
optimizer = dict(type='SGD', lr=0.01, momentum=0.9)
data = dict(samples_per_gpu=2, train_dataloader=dict(samples_per_gpu=3))
"""


def config(more=''):
    return Config.fromstring(CONFIG + more, '.py')


def test_nothing_is_scaled_unless_it_is_enabled():
    for more in ('', 'auto_scale_lr = dict(enable=False, base_batch_size=16)'):
        assert scale_lr(config(more))['lr'] == 0.01


@pytest.mark.parametrize('devices', [1, 4])
def test_the_rate_is_proportional_to_the_batch_of_all_devices(monkeypatch, devices):
    monkeypatch.setattr(train_settings, 'get_world_size', lambda: devices)
    cfg = config('auto_scale_lr = dict(enable=True, base_batch_size=16)')
    assert scale_lr(cfg) == {'type': 'SGD', 'lr': 0.01 * 3 * devices / 16, 'momentum': 0.9}
    assert cfg.optimizer.lr == 0.01  # what is saved must not be scaled again


@pytest.mark.parametrize('base', ['None', '0', '1.5', 'True'])
def test_a_base_that_is_no_batch_size(base):
    cfg = config(f'auto_scale_lr = dict(enable=True, base_batch_size={base})')
    with pytest.raises(ValueError, match=f'auto_scale_lr.* base_batch_size is {base}, expected'):
        scale_lr(cfg)


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


WHOLE = """
optimizer = dict(type='SGD', lr=0.01)
optimizer_config = dict(cumulative_iters=4, grad_clip=dict(max_norm=1.0))
lr_config = dict(policy='poly')
runner = dict(type='IterBasedRunner', max_iters=8)
custom_hooks = [dict(type='EMAHook'), dict(type='NaNGuardHook', policy='skip')]
log_config = dict(interval=5)
evaluation = dict(metric=['mIoU', 'mDice'], interval=2)
data = dict(workers_per_gpu=3, val_dataloader=dict(workers_per_gpu=1))
load_from = 'a.ckpt'
work_dir = 'run'
"""


def test_a_config_is_read_into_parts_that_stay_as_they_are():
    cfg = Config.fromstring(WHOLE, '.py')
    settings = TrainSettings.of(cfg)
    assert settings.step == StepSettings(
        cfg.optimizer, {'max_norm': 1.0}, cumulative_iters=4, skip_nonfinite=True
    )
    assert settings.hooks == HookSettings(
        schedule={'policy': 'poly'},
        guards=[cfg.custom_hooks[1]],
        custom=[cfg.custom_hooks[0]],
        loggers=[{'type': 'TextLoggerHook'}],
        log_interval=5,
    )
    assert settings.loader == LoaderSettings(workers_per_gpu=3)
    assert settings.evaluation.metrics == ['mIoU', 'mDice']
    assert settings.evaluation.hook == {'interval': 2}
    assert settings.evaluation.loader.for_evaluation['workers_per_gpu'] == 1
    assert (settings.start.resume_from, settings.start.load_from) == (None, 'a.ckpt')
    assert [str(folder) for folder in settings.start.folders] == ['run']
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.seed = 1
    cfg.evaluation.interval = 7
    assert settings.evaluation.hook == {'interval': 2}


@pytest.mark.parametrize('key', ['optimizer', 'lr_config', 'runner', 'data'])
def test_a_part_that_is_missing_is_named(key):
    cfg = Config.fromstring(WHOLE, '.py')
    del cfg[key]
    with pytest.raises(KeyError, match=repr(key)):
        TrainSettings.of(cfg)


def test_loggers_get_the_config_by_dotted_key_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv('SOME_API_KEY', 'the long secret')
    path = tmp_path / 'a.py'
    path.write_text(
        "optimizer = dict(type='SGD', lr=0.1, paramwise_cfg=dict())\n"
        "lr_config = dict(policy='poly')\nrunner = dict(type='IterBasedRunner', max_iters=3)\n"
        'data = dict(samples_per_gpu=2, workers_per_gpu=0)\nload_from = None\n'
        "log_config = dict(hooks=[dict(type='MlflowLoggerHook', tracking_uri='http://a:b@host/')])\n"
        "custom_hooks = [dict(type='Mine', password='1234', note='has the long secret')]\n"
    )
    shown = TrainSettings.of(Config.fromfile(path)).shown
    assert shown['optimizer.lr'] == 0.1 and shown['optimizer.paramwise_cfg'] == '{}'
    assert shown['runner.max_iters'] == 3 and shown['load_from'] == 'None'
    hooks = shown['log_config.hooks'] + shown['custom_hooks']
    assert "'http://<hidden>@host/'" in hooks and 'has <SOME_API_KEY>' in hooks
    assert '1234' not in str(shown) and 'the long secret' not in str(shown)

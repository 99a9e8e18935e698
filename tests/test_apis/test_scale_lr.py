import pytest

from msseg.apis import train_settings
from msseg.apis.train_settings import scale_lr
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

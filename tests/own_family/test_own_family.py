"""A family of a user's own does everything that msseg's does, by ``custom_imports`` alone."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.apis import build_model, load_config
from msseg.apis.test import test_from_config as run_test
from msseg.checks.config import check_config
from msseg.models.analysis.complexity import count_complexity
from msseg.runner.checkpoint import load_checkpoint
from msseg.runner.load_weights import load_weights
from msseg.runner.optimizer import build_optimizer, get_lr
from tests.small_run import CONFIG, ROOT
from tests.test_convert.torch_files import save_torch
from tests.tiny import write_discs

HERE = Path(__file__).parent
MODEL = """
custom_imports = dict(imports=['own_family'])
model = dict(
    type='EncoderDecoder', backbone=dict(type='OwnTransformer'),
    decode_head=dict(
        type='OwnHead', in_channels=[16, 16], in_index=[0, 1], channels=8, num_classes=2,
        loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'))
data['test'] = data['val']
optimizer = dict(
    type='AdamW', lr=1e-3, weight_decay=0.05, constructor='OwnLayerDecay',
    paramwise_cfg=dict(num_layers=2, decay_rate=0.5))
evaluation = dict(interval=6, by_epoch=False)
"""


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('own')
    data = write_discs(folder / 'data', 6)
    shutil.copy(HERE / 'own_family.py', folder)
    (folder / 'own.py').write_text(CONFIG.replace('{root}', str(data)) + MODEL)
    return folder


def tool(folder, *arguments):
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    result = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture(scope='module')
def trained(folder):
    tool(folder, 'tools/train.py', folder / 'own.py', '--work-dir', folder / 'run',
         '--seed', 1, '--device', 'CPU')  # fmt: skip
    return folder / 'run' / 'iter_6.ckpt'


@pytest.fixture(scope='module')
def cfg(folder):
    return load_config(str(folder / 'own.py'))


def numbers(path):
    checkpoint = load_checkpoint(path)
    return {**checkpoint.weights, **checkpoint.state}


def test_a_run_that_was_cut_off_goes_on_bit_for_bit(folder, trained):
    work_dir = folder / 'resumed'
    work_dir.mkdir()
    shutil.copy(trained.with_name('iter_2.ckpt'), work_dir)
    options = ['--work-dir', work_dir, '--auto-resume', '--device', 'CPU']
    text = tool(folder, 'tools/train.py', folder / 'own.py', *options)
    assert 'at iteration 2' in text
    straight, resumed = numbers(trained), numbers(work_dir / 'iter_6.ckpt')
    assert set(straight) == set(resumed) and len(straight) > 60
    assert all(np.array_equal(straight[name], resumed[name]) for name in straight)


def test_check_config_finds_nothing_about_the_model(folder):
    report = check_config(str(folder / 'own.py'))
    # all splits are of one folder here, and nothing else is found
    assert [finding.kind for finding in report.findings] == ['shared_by_splits']


@pytest.mark.parametrize('test_cfg', [{}, dict(mode='slide', crop_size=(32, 32), stride=(24, 24))])
@pytest.mark.parametrize('aug_test', [False, True], ids=['one view', 'scales and flips'])
def test_it_is_tested(cfg, trained, test_cfg, aug_test):
    cfg = load_config(cfg.filename, {f'model.test_cfg.{key}': v for key, v in test_cfg.items()})
    scores = run_test(cfg, trained, metrics=['mIoU'], aug_test=aug_test, device='CPU')
    assert 0 <= scores.as_dict()['mIoU'] <= 1


def test_its_multiplications_are_counted(cfg):
    height, width, dims, tokens = 48, 64, 16, 6 * 8
    patches = tokens * dims * 3 * 8 * 8
    linear = tokens * dims * (3 * dims + dims + 2 * dims + 2 * dims)
    attention = 2 * tokens * tokens * dims
    lateral, upsampled, classes = 2 * tokens * dims * 8, tokens * 8 * 8 * 4, 4 * tokens * 8 * 2
    expected = patches + 2 * (linear + attention) + lateral + upsampled + classes
    parts = count_complexity(build_model(cfg), (height, width))
    assert sum(part.macs for part in parts) == expected


def test_rates_fall_with_the_distance_from_the_head(cfg):
    model = build_model(cfg)
    optimizer = build_optimizer(model, cfg.optimizer)
    assert sorted(set(get_lr(optimizer))) == pytest.approx([1e-3 / 8, 1e-3 / 4, 1e-3 / 2, 1e-3])
    members = sum(len(group['params']) for group in optimizer.param_groups)
    assert members == len(model.trainable_params())


@pytest.mark.parametrize('suffix', ['mindir', 'onnx'])
def test_it_is_exported(folder, trained, suffix):
    text = tool(folder, 'tools/export.py', folder / 'own.py', trained, '--out',
                folder / f'own.{suffix}', '--size', 48, 64, '--device', 'CPU')  # fmt: skip
    assert 'compared with the checkpoint: 100.0000 % of pixels equal' in text


def test_weights_from_pytorch_fill_it(cfg, tmp_path):
    model, rng = build_model(cfg), np.random.default_rng(0)
    leaves = {'gamma': 'weight', 'beta': 'bias'}
    arrays, expected = {}, {}
    for parameter in model.trainable_params():
        layer, _, leaf = parameter.name.rpartition('.')
        values = rng.normal(size=parameter.shape).astype(np.float32)
        arrays[f'{layer}.{leaves.get(leaf, leaf)}'] = expected[parameter.name] = values
    path = tmp_path / 'own.pth'
    save_torch(path, arrays, wrap=lambda state: {'state_dict': state, 'meta': {}})
    account = load_weights(model, load_checkpoint(path))
    assert not account.of_kind('missing', 'unexpected', 'shape mismatch')
    loaded = {p.name: p.asnumpy() for p in model.get_parameters()}
    assert all(np.array_equal(loaded[name], values) for name, values in expected.items())


def test_the_position_table_follows_the_image(cfg):
    network = build_model(cfg).backbone
    network.set_train(False)
    for size in ((40, 40), (48, 64)):
        maps = network(ms.Tensor(np.zeros((1, 3, *size), np.float32)))
        assert [m.shape for m in maps] == [(1, 16, size[0] // 8, size[1] // 8)] * 2


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'in_index': [0, 5]}, 'model.decode_head: in_index 5 is out of range, there are 2'),
        ({'in_channels': [16, 8]}, 'model.decode_head: in_channels is 8 for in_index 1, but'),
        ({'act_cfg.type': 'GEUL'}, 'model.decode_head.act_cfg: GEUL is not in the activation'),
    ],
)
def test_its_mistakes_are_refused_when_it_is_built(cfg, options, message):
    options = {f'model.decode_head.{key}': value for key, value in options.items()}
    with pytest.raises((ValueError, KeyError)) as raised:
        build_model(load_config(cfg.filename, options))
    assert raised.value.args[0].startswith(message)

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import in_mmsegmentation, models
from tests.test_tools.bad_input_cases import SMALL

ROOT = Path(__file__).parents[2]
STAND_IN = """
import sys
assert sys.argv[1] == 'answer' and 'type=' in open(sys.argv[2]).read()
assert sys.argv[3:] == '--threads 1 --image 64 96 --batch 1 64 64'.split(), sys.argv
print('a warning')
print('ready', flush=True)
for line in sys.stdin:
    assert line.strip() in ('predict', 'step')
    print('done', flush=True)
    if LIMITED:
        break
"""


def arguments(monkeypatch, tmp_path, is_limited=False, network='bisenetv2'):
    other = tmp_path / 'other.py'
    other.write_text(STAND_IN.replace('LIMITED', str(is_limited)))
    monkeypatch.setattr(models, '_OTHER_SIDE', other)
    monkeypatch.setattr(models.os, 'sched_setaffinity', lambda process, cores: None)
    parser = argparse.ArgumentParser()
    models.add_arguments(parser)
    text = f'--pytorch {sys.executable} --networks {network} --cores 1 --rounds 2'
    return parser.parse_args(f'{text} --image 64 96 --batch 1 64 64'.split())


def test_networks_and_the_other_side_take_turns(monkeypatch, tmp_path, capsys):
    seen = []
    for action in ('predict', 'step', 'onnx'):
        here = lambda cfg, args, action=action: lambda: seen.append(action)  # noqa: E731
        monkeypatch.setitem(models._ACTIONS, action, here)
    found = models.run(arguments(monkeypatch, tmp_path))
    assert list(found) == [('bisenetv2', action) for action in ('predict', 'step', 'onnx')]
    assert all(len(times.base_s) == len(times.candidate_s) == 2 for times in found.values())
    assert seen == ['predict'] * 3 + ['step'] * 3 + ['onnx'] * 3
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith('bisenetv2, predict of 64x96: ') and 'the limit of 1 ' in first
    assert second.startswith('bisenetv2, step of 1x64x64: ') and 'the limit of 1.2 ' in second
    assert third.startswith('bisenetv2, onnx of 64x96: ') and 'the limit of 0.8 ' in third


def test_another_side_that_ends_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(models._ACTIONS, 'predict', lambda cfg, args: lambda: None)
    with pytest.raises(RuntimeError, match='ended with status 0'):
        models.run(arguments(monkeypatch, tmp_path, is_limited=True))


def test_a_network_of_a_1x_file_asks_for_its_own_python(monkeypatch, tmp_path):
    args = arguments(monkeypatch, tmp_path, network='pidnet-s')
    with pytest.raises(
        ValueError, match='demo/pidnet-s_nuclei.py: name its Python by --pytorch-1x'
    ):
        models.run(args)


@pytest.mark.parametrize('name', models.NETWORKS)
def test_its_configs_are_loaded_without_pretrained_weights(name):
    cfg = models.NETWORKS[name].load()
    assert 'pretrained' not in cfg.model and 'init_cfg' not in cfg.model.backbone
    assert 'fp16' not in cfg and 'Fp16OptimizerHook' not in cfg.pretty_text


def test_this_side_predicts_and_trains(monkeypatch, tmp_path):
    args = arguments(monkeypatch, tmp_path)
    cfg = models.Config.fromstring(SMALL, '.py')
    assert models._prediction(cfg, args)().shape == (1, 2, 64, 96)
    assert models._step(cfg, args)().size == 1
    assert models._exported(cfg, args)().shape == (1, 64, 96)


def test_the_other_side_gets_plain_norms_and_its_own_data_set():
    layers = dict(norm_cfg=dict(type='SyncBN'), heads=[dict(norm_cfg=dict(type='SyncBN', eps=1))])
    in_mmsegmentation.plain_batch_norm(layers)
    assert layers == dict(norm_cfg=dict(type='BN'), heads=[dict(norm_cfg=dict(type='BN', eps=1))])
    split = dict(type='NucleiDataset', pipeline=[dict(type='MultiScaleFlipAug'), dict(type='X')])
    in_mmsegmentation.custom_dataset(split, ['a', 'b'])
    assert (split['type'], split['classes'], split['img_suffix']) == (
        'CustomDataset',
        ['a', 'b'],
        '.jpg',
    )
    assert split['pipeline'] == [dict(type='MultiScaleFlipAug', img_scale=None), dict(type='X')]


def test_the_other_sides_options_are_shown_without_pytorch():
    command = [sys.executable, '-I', 'benchmarks/in_mmsegmentation.py', 'train', '--help']
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert '--work-dir' in run.stdout

"""tools/test.py and tools/train.py take PyTorch's files directly."""

import runpy
import sys
from pathlib import Path

import pytest

from msseg.config import Config
from msseg.models import build_segmentor
from tests.test_convert.torch_files import save_torch
from tests.tiny import write_config, write_discs

ROOT = Path(__file__).resolve().parents[2]
TORCH_LEAVES = dict(
    gamma='weight', beta='bias', moving_mean='running_mean', moving_variance='running_var'
)


@pytest.fixture
def run(monkeypatch, capfd):
    def run_tool(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments), '--device', 'CPU'])
        try:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        except SystemExit as end:
            assert not end.code, capfd.readouterr().err
        return capfd.readouterr().out

    return run_tool


@pytest.fixture
def files(tmp_path):
    """A config, and PyTorch's file of its model, which does not have dropout's counter."""
    dropout = "\nmodel['decode_head'][1]['dropout_ratio'] = 0.05\n"
    config = write_config(tmp_path, write_discs(tmp_path / 'data', count=2), dropout)
    arrays = {}
    for parameter in build_segmentor(Config.fromfile(config).model).get_parameters():
        layer, _, leaf = parameter.name.rpartition('.')
        if layer == 'decode_head.1.dropout':
            continue
        arrays[f'module.{layer}.{TORCH_LEAVES.get(leaf, leaf)}'] = parameter.asnumpy()
    path = save_torch(tmp_path / 'foreign.pth', arrays, lambda state: {'state_dict': state})
    total = f'{len(arrays)} of {len(arrays)} parameters of the model match'
    return config, path, f"loaded {path} (names of style 'mmseg')", total


def test_testing(run, files):
    config, path, *expected = files
    text = run('test.py', config, path, '--eval', 'mIoU')
    assert all(line in text for line in expected)
    assert 'per class results' in text


def test_training_starts_from_it(run, files, tmp_path):
    config, path, *expected = files
    options = ['--cfg-options', 'runner.max_iters=1', 'log_config.interval=1']
    more = ['--work-dir', tmp_path / 'run', '--no-validate', *options]
    text = run('train.py', config, '--load-from', path, *more)
    assert all(line in text for line in expected)
    assert 'loss: ' in text

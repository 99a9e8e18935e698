"""tools/print_config.py prints configs, explains keys and reports mistakes in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from msseg.config import Config

ROOT = Path(__file__).parents[2]
CONFIG = 'configs/ocrnet/ocrnet_hr48_512x1024_80k_cityscapes.py'


def run(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, 'tools/print_config.py', *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_printed_config_is_the_config(monkeypatch):
    monkeypatch.chdir(ROOT)
    done = run(CONFIG)
    assert done.returncode == 0, done.stderr
    assert Config.fromstring(done.stdout, '.py')._cfg_dict == Config.fromfile(CONFIG)._cfg_dict


def test_options_are_printed_and_explained():
    options = ['--cfg-options', 'model.decode_head.*.num_classes=2', 'evaluation.save_best=mIoU']
    printed = run(CONFIG, *options).stdout
    assert printed.count('num_classes=2') == 2 and "save_best='mIoU'" in printed
    explained = run(CONFIG, '--explain', 'model.decode_head[1].num_classes', *options).stdout
    assert explained == 'model.decode_head[1].num_classes = 2  # --cfg-options\n'


@pytest.mark.parametrize(
    ('key', 'line'),
    [
        (
            'model.decode_head.1.in_channels',
            'model.decode_head.1.in_channels = [48, 96, 192, 384]  '
            '# configs/_base_/models/ocrnet_hr48.py',
        ),
        ('runner', "runner.type = 'IterBasedRunner'  # configs/_base_/schedules/schedule_40k.py"),
        ('runner', 'runner.max_iters = 80000  # configs/_base_/schedules/schedule_80k.py'),
        ('model.decode_head', "model.decode_head.0.type = 'FCNHead'  # configs/_base_/models/ocr"),
        ('optimizer_config', 'optimizer_config = {}  # configs/_base_/schedules/schedule_40k.py'),
    ],
)
def test_explain_names_value_and_file(key, line):
    assert line in run(CONFIG, '--explain', key).stdout


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['configs/nothing.py'], "error: config file 'configs/nothing.py' does not exist"),
        ([CONFIG, '--explain', 'modle'], "the config has no key 'modle'. Did you mean 'model'?"),
        ([CONFIG, '--cfg-options', 'optimizer.lrr=1'], "Did you mean 'lr'?"),
        ([CONFIG, '--cfg-options', 'evaluation.save_bst=mIoU'], "Did you mean 'save_best'?"),
        ([CONFIG, '--cfg-options', 'model.decode_head.num_classes=2'], 'is a list of 2'),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_1(arguments, message):
    done = run(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not done.stdout


def test_a_config_of_mmsegmentation_1x_is_printed_translated(tmp_path):
    config = tmp_path / 'theirs.py'
    config.write_text(
        "default_scope = 'mmseg'\n"
        "optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))\n"
    )
    done = run(str(config))
    assert done.returncode == 0, done.stderr
    comments = [line for line in done.stdout.splitlines() if line.startswith('#')]
    assert comments[0].startswith('# translated from MMSegmentation 1.x: optim_wrapper -> optimi')
    assert comments[1].startswith('# ignored, as they mean nothing here: default_scope')
    assert Config.fromstring(done.stdout, '.py').optimizer == dict(type='SGD', lr=0.1)

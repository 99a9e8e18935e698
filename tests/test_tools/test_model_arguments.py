"""``[CONFIG] CHECKPOINT [INPUT…]`` of the command lines."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest

from msseg.commands.model_arguments import add_model_arguments, parse_model_arguments
from msseg.runner.checkpoint import save_checkpoint
from tests.test_runner.line_model import Line

TOOL = str(Path(__file__).resolve().parents[2] / 'tools' / 'test.py')


def parse(monkeypatch, line, inputs):
    parser = argparse.ArgumentParser()
    add_model_arguments(parser, inputs)
    parser.add_argument('--out')
    monkeypatch.setattr(sys, 'argv', ['tool', *line.split()])
    args = parse_model_arguments(parser)
    return args.config, args.checkpoint, getattr(args, 'inputs', None), args.out


@pytest.mark.parametrize(
    ('line', 'inputs', 'expected'),
    [
        ('a.py b.ckpt', '', ('a.py', 'b.ckpt', None, None)),
        ('b.ckpt', '', (None, 'b.ckpt', None, None)),
        ('run --out x', '', (None, 'run', None, 'x')),
        ('a.yaml latest i j --out x', 'images', ('a.yaml', 'latest', ['i', 'j'], 'x')),
        ('a.json b.ckpt --out x i', 'images', ('a.json', 'b.ckpt', ['i'], 'x')),
        ('b.ckpt --out x i j', 'images', (None, 'b.ckpt', ['i', 'j'], 'x')),
        ('run i', 'images', (None, 'run', ['i'], None)),
        ('unet_nuclei best', '', ('unet_nuclei', 'best', None, None)),
        ('unet/none b.ckpt', 'images', (None, 'unet/none', ['b.ckpt'], None)),
    ],
)
def test_config_checkpoint_and_inputs_are_told_apart(monkeypatch, line, inputs, expected):
    assert parse(monkeypatch, line, inputs) == expected


@pytest.mark.parametrize(
    ('line', 'inputs', 'message'),
    [
        ('a.py', '', 'the checkpoint is missing after a.py: name a file, a work dir, or latest'),
        ('a.ckpt b.ckpt', '', 'two checkpoints are given, a.ckpt and b.ckpt; a config ends in .py'),
        ('b.ckpt a.py', '', 'the config comes first: a.py b.ckpt'),
        ('a.py b.ckpt', 'images', 'INPUT is missing after b.ckpt'),
        ('a.py', 'images', 'the checkpoint is missing after a.py'),
        ('a.py b c', '', 'unrecognized arguments: c'),
        ('ocrnet_nucleii best', '', "Did you mean 'ocrnet_nuclei'?"),
        ('unet_nuclei', '', 'the checkpoint is missing after unet_nuclei'),
    ],
)
def test_what_is_missing_is_named(monkeypatch, capsys, line, inputs, message):
    with pytest.raises(SystemExit) as end:
        parse(monkeypatch, line, inputs)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(('options', 'metrics'), [([], ['mIoU']), (['--show-dir', 'x'], [])])
def test_a_work_dir_is_tested_with_its_own_config_by_miou(tmp_path, monkeypatch, options, metrics):
    path = tmp_path / 'iter_4.ckpt'
    config = "model = dict(type='EncoderDecoder')\n"
    save_checkpoint(path, Line(), meta={'config': config, 'iter': 4})
    calls = []
    monkeypatch.setattr('msseg.utils.stop_signals.hear_interrupts', lambda: None)
    monkeypatch.setattr(
        'msseg.apis.test_from_config', lambda cfg, file, **more: calls.append((cfg, file, more))
    )
    monkeypatch.setattr(sys, 'argv', [TOOL, str(tmp_path), *options])
    runpy.run_path(TOOL, run_name='__main__')
    ((cfg, file, more),) = calls
    assert (cfg.model.type, file, more['metrics']) == ('EncoderDecoder', path, metrics)

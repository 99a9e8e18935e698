"""What the command lines say to wrong input: one line, exit status 1, before training starts."""

import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from msseg.config import Config
from msseg.models import build_segmentor
from msseg.runner.checkpoint import save_checkpoint
from tests.tiny import write_config, write_discs

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a tool in this process; return its exit status and the lines on stderr."""

    def run_tool(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
        errors = capfd.readouterr().err
        assert 'Traceback' not in errors
        return end.value.code, [line for line in errors.splitlines() if line]

    return run_tool


@pytest.fixture
def tiny(tmp_path):
    """The folder of a data set; and a function that writes a config for it and returns its path."""
    root = write_discs(tmp_path / 'data', count=2)
    return root, lambda more='': write_config(tmp_path, root, more)


def expect_one_line(result, *phrases):
    status, lines = result
    assert status == 1
    assert len(lines) == 1, lines
    assert lines[0].startswith('error: ')
    for phrase in phrases:
        assert str(phrase) in lines[0]


def train(run, tmp_path, config, *arguments):
    return run('train.py', config, '--work-dir', tmp_path / 'run', '--device', 'CPU', *arguments)


def test_missing_config(run, tmp_path):
    result = run('train.py', tmp_path / 'absent.py')
    expect_one_line(result, tmp_path / 'absent.py')


@pytest.mark.parametrize(
    ('more', 'phrases'),
    [
        ("model['type'] = 'EncodrDecoder'", ['model', 'EncodrDecoder', "'EncoderDecoder'"]),
        ("model['backbone']['norm_evl'] = True", ['backbone', "'norm_evl'", "'norm_eval'"]),
        ("optimizer['momentm'] = 0.9", ['optimizer', "'momentm'", "'momentum'", 'tiny.py']),
        ("lr_config['policy'] = 'ploy'", ['lr_config', "'ploy'", "'poly'"]),
        ("evaluation['metric'] = 'mIou'", ["'mIou'", "'mIoU'"]),
        ("evaluation['save_best'] = 'IoU.disk'", ["'IoU.disk'", "'IoU.disc'"]),
        ("model['decode_head'][1]['num_classes'] = 3", ['decode_1', 'num_classes=3', '2 classes']),
        ("model['decode_head'][1]['in_index'] = (0, 1, 2, 4)", ['decode_head[1]', 'in_index', '4']),
        ("data['train']['img_dir'] = 'image'", ['CustomDataset', 'image']),
        ("data['train']['split'] = 'none.txt'", ['none.txt']),
        ('del optimizer', ["'optimizer'", 'tiny.py']),
        ("data['val']['pipeline'] = [dict(type='LoadImage')]", ["'LoadImageFromFile'"]),
    ],
)
def test_wrong_settings(run, tmp_path, tiny, more, phrases):
    _, config = tiny
    expect_one_line(train(run, tmp_path, config(more)), *phrases)


def test_key_defined_by_two_bases(run, tmp_path):
    for name in ('a', 'b'):
        (tmp_path / f'{name}.py').write_text('optimizer = dict(lr=1)\n')
    (tmp_path / 'both.py').write_text("_base_ = ['a.py', 'b.py']\n")
    result = train(run, tmp_path, tmp_path / 'both.py')
    expect_one_line(result, "'optimizer'", 'a.py', 'b.py')


def test_wrong_option(run, tmp_path, tiny):
    _, config = tiny
    result = train(run, tmp_path, config(), '--cfg-options', 'optimizer.lrr=0.1')
    expect_one_line(result, 'optimizer.lrr', "'lr'")


def test_empty_split(run, tmp_path, tiny):
    root, config = tiny
    (root / 'empty.txt').write_text('\n')
    result = train(run, tmp_path, config("data['train']['split'] = 'empty.txt'"))
    expect_one_line(result, root / 'empty.txt')


def test_image_without_label(run, tmp_path, tiny):
    root, config = tiny
    (root / 'labels' / 'disc_1.png').unlink()
    expect_one_line(train(run, tmp_path, config()), root / 'labels' / 'disc_1.png')


def spoil_size(root):
    cv2.imwrite(str(root / 'labels' / 'disc_0.png'), np.zeros((40, 64), np.uint8))


def spoil_range(root):
    label = np.zeros((48, 64), np.uint8)
    label[:4] = 7
    cv2.imwrite(str(root / 'labels' / 'disc_0.png'), label)


def spoil_colours(root):
    cv2.imwrite(str(root / 'labels' / 'disc_0.png'), np.zeros((48, 64, 3), np.uint8))


def spoil_image(root):
    path = root / 'images' / 'disc_0.png'
    path.write_bytes(path.read_bytes()[:500])


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize(
    ('spoil', 'phrases'),
    [
        (spoil_size, ['labels/disc_0.png', '48', '40']),
        (spoil_range, ['labels/disc_0.png', '7', '256 px']),
        (spoil_colours, ['labels/disc_0.png', 'label_map']),
        (spoil_image, ['images/disc_0.png']),
    ],
    ids=['size mismatch', 'label out of range', 'coloured label', 'truncated image'],
)
def test_wrong_files(run, tmp_path, tiny, spoil, phrases, workers):
    root, config = tiny
    spoil(root)
    options = ['--cfg-options', f'data.workers_per_gpu={workers}']
    expect_one_line(train(run, tmp_path, config(), *options), *phrases)


def test_work_dir_that_cannot_be_written(run, tmp_path, tiny):
    _, config = tiny
    (tmp_path / 'run').write_text('a file in the way')
    expect_one_line(train(run, tmp_path, config()), tmp_path / 'run', '--work-dir')
    assert (tmp_path / 'run').read_text() == 'a file in the way'


def test_device_that_is_not_there(run, tmp_path, tiny):
    _, config = tiny
    expect_one_line(run('train.py', config(), '--device', 'Ascend'), "'Ascend'", 'not available')


@pytest.mark.parametrize('option', ['--load-from', '--resume-from'])
def test_checkpoint_that_is_none(run, tmp_path, tiny, option):
    _, config = tiny
    (tmp_path / 'bad.ckpt').write_bytes(b'no checkpoint')
    result = train(run, tmp_path, config(), option, tmp_path / 'bad.ckpt')
    expect_one_line(result, tmp_path / 'bad.ckpt')
    result = train(run, tmp_path, config(), option, tmp_path / 'absent.ckpt')
    expect_one_line(result, tmp_path / 'absent.ckpt')


def test_pretrained_weights_that_are_not_there(run, tmp_path, tiny):
    _, config = tiny
    more = "model['pretrained'] = 'open-mmlab://msra/hrnetv2_w18_small'"
    result = train(run, tmp_path, config(more))
    expect_one_line(result, 'open-mmlab://msra/hrnetv2_w18_small', 'pretrained=None')


def save_random_weights(path, config, num_classes=2):
    """Write a checkpoint of the tiny model with random weights."""
    model = Config.fromfile(config).model
    for head in model.decode_head:
        head.num_classes = num_classes
    save_checkpoint(path, build_segmentor(model))
    return path


def test_testing_a_checkpoint_that_does_not_fit(run, tmp_path, tiny):
    _, config = tiny
    checkpoint = save_random_weights(tmp_path / 'five.ckpt', config(), num_classes=5)
    result = run('test.py', config(), checkpoint, '--eval', 'mIoU', '--device', 'CPU')
    expect_one_line(result, checkpoint, 'parameters of the model match', 'conv_seg')


@pytest.mark.parametrize(
    ('arguments', 'phrases'),
    [
        ([], ['nothing to do', '--eval']),
        (['--eval', 'mIuO'], ["'mIuO'", "'mIoU'"]),
        (['--show-dir', 'shown', '--opacity', '0'], ['--opacity']),
        (['--out', 'labels.pkl'], ["'labels.pkl'", '.npz']),
        (['--eval', 'mIoU', '--cfg-options', 'model.test_cfg.mode=slid'], ["'slid'", "'slide'"]),
    ],
)
def test_wrong_options_of_testing(run, tmp_path, tiny, arguments, phrases):
    _, config = tiny
    checkpoint = save_random_weights(tmp_path / 'random.ckpt', config())
    result = run('test.py', config(), checkpoint, '--device', 'CPU', *arguments)
    expect_one_line(result, *phrases)

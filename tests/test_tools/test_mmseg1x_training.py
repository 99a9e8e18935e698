"""tools/train.py and tools/test.py take a config file of MMSegmentation 1.x as it is."""

import json
import logging
import runpy
import sys
from pathlib import Path

import pytest

from tests.small_run import CONFIG, PARTS
from tests.tiny import write_discs

ROOT = Path(__file__).resolve().parents[2]
ONE = """
from mmengine.config import read_base
from mmseg.datasets import BaseSegDataset
from mmseg.datasets.transforms import PackSegInputs, RandomCrop
from torch.optim import SGD

custom_imports = dict(imports=['small_parts', 'mmpretrain.models'])
model = dict(
    type='EncoderDecoder', pretrained=None, backbone=dict(type='OneConv'),
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True,
        size=(32, 32)),
    decode_head=dict(
        type='mmseg.FCNHead', in_channels=4, in_index=0, channels=4, num_convs=0,
        concat_input=False, dropout_ratio=0, num_classes=2, norm_cfg=dict(type='BN'),
        align_corners=False, loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'))
dataset = dict(
    type=BaseSegDataset, data_root=r'{root}', img_suffix='.png',
    data_prefix=dict(img_path='images', seg_map_path='labels'),
    metainfo=dict(classes=('ground', 'disc')))
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
            dict(type=RandomCrop, crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5),
            dict(type=PackSegInputs)],
        **dataset))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 48), keep_ratio=True),
            dict(type='LoadAnnotations'), dict(type=PackSegInputs)],
        **dataset))
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type=SGD, lr=0.05, momentum=0.9))
param_scheduler = [
    dict(type='PolyLR', power=0.9, eta_min=1e-4, begin=0, end=6, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=1000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2))
randomness = dict(seed=0)
"""


@pytest.fixture
def run(monkeypatch, capfd):
    def run_tool(tool, *arguments):
        # as in a process of its own: handlers of earlier tests write elsewhere
        monkeypatch.setattr(logging.getLogger('msseg'), 'handlers', [])
        logging.getLogger('msseg').setLevel(logging.NOTSET)
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments), '--device', 'CPU'])
        try:
            runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')
        except SystemExit as end:
            assert not end.code, capfd.readouterr().err
        return capfd.readouterr().out

    return run_tool


def test_it_trains_as_its_twin_of_0x_and_is_tested(run, tmp_path, monkeypatch):
    root = str(write_discs(tmp_path / 'data', 6))
    (tmp_path / 'small_parts.py').write_text(PARTS)
    monkeypatch.syspath_prepend(tmp_path)
    losses = {}
    for name, text in {'one': ONE, 'zero': CONFIG}.items():
        config, work_dir = tmp_path / f'{name}.py', tmp_path / name
        config.write_text(text.replace('{root}', root))
        printed = run('train.py', config, '--work-dir', work_dir, '--seed', '0', '--no-validate')
        assert ('translated from MMSegmentation 1.x' in printed) == (name == 'one')
        log = next(work_dir.glob('*.log.json')).read_text().splitlines()[1:]
        losses[name] = [(line['lr'], line['loss']) for line in map(json.loads, log)]
    assert len(losses['one']) == 6
    assert losses['one'] == losses['zero']
    tested = run('test.py', tmp_path / 'one.py', tmp_path / 'one' / 'iter_6.ckpt')
    assert 'mIoU' in tested and 'disc' in tested

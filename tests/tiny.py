"""A data set and a network so small that a test can train on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

CONFIG = """
norm_cfg = dict(type='BN', requires_grad=True)
head = dict(
    in_channels=[4, 8, 16, 32], in_index=(0, 1, 2, 3), input_transform='resize_concat',
    dropout_ratio=-1, num_classes=2, norm_cfg=norm_cfg, align_corners=False)
model = dict(
    type='CascadeEncoderDecoder', num_stages=2, pretrained=None,
    backbone=dict(type='HRNet', norm_cfg=norm_cfg, norm_eval=False, extra=dict(
        stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(1,),
                    num_channels=(4,)),
        stage2=dict(num_modules=1, num_branches=2, block='BASIC', num_blocks=(1, 1),
                    num_channels=(4, 8)),
        stage3=dict(num_modules=1, num_branches=3, block='BASIC', num_blocks=(1, 1, 1),
                    num_channels=(4, 8, 16)),
        stage4=dict(num_modules=1, num_branches=4, block='BASIC', num_blocks=(1, 1, 1, 1),
                    num_channels=(4, 8, 16, 32)))),
    decode_head=[
        dict(type='FCNHead', channels=60, kernel_size=1, num_convs=1, concat_input=False,
             loss_decode=dict(type='CrossEntropyLoss', loss_weight=0.4), **head),
        dict(type='OCRHead', channels=16, ocr_channels=8,
             loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0), **head)],
    train_cfg=dict(), test_cfg=dict(mode='whole'))
norm = dict(type='Normalize', mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True)
train_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
    dict(type='Resize', img_scale=(64, 48), ratio_range=(0.8, 1.5)),
    dict(type='RandomCrop', crop_size=(32, 32), cat_max_ratio=0.95),
    dict(type='RandomFlip', prob=0.5), norm, dict(type='Pad', size=(32, 32)),
    dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_semantic_seg'])]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(64, 48), flip=False, transforms=[
        dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'), norm,
        dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])])]
dataset = dict(type='CustomDataset', data_root=r'{root}', img_suffix='.png',
               classes=('ground', 'disc'), palette=[[0, 0, 0], [255, 200, 0]])
data = dict(
    samples_per_gpu=4, workers_per_gpu=0,
    train=dict(img_dir='images', ann_dir='labels', pipeline=train_pipeline, **dataset),
    val=dict(img_dir='images', ann_dir='labels', pipeline=test_pipeline, **dataset),
    test=dict(img_dir='images', ann_dir='labels', pipeline=test_pipeline, **dataset))
del head, norm, dataset
optimizer = dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=0.0005)
optimizer_config = dict()
lr_config = dict(policy='poly', power=0.9, min_lr=1e-4, by_epoch=False)
runner = dict(type='IterBasedRunner', max_iters=8)
checkpoint_config = dict(interval=4, by_epoch=False)
evaluation = dict(interval=8, by_epoch=False, metric='mIoU', save_best='mIoU')
log_config = dict(interval=2, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
"""

# What to append where the backbone does not matter: its graph is compiled in a third of the time.
ON_RESNET = """
model['backbone'] = dict(
    type='ResNet', depth=18, stem_channels=4, base_channels=4, num_stages=2, strides=(1, 2),
    dilations=(1, 1), out_indices=(0, 1), norm_cfg=norm_cfg, norm_eval=False)
for _head in model['decode_head']:
    _head.update(in_channels=[4, 8], in_index=(0, 1))
model['decode_head'][0]['channels'] = 12
"""


def write_discs(root: Path, count: int = 6, size: tuple[int, int] = (48, 64)) -> Path:
    """Write grey images with a bright disc, and labels of it, to images/ and labels/."""
    rng = np.random.default_rng(0)
    for folder in ('images', 'labels'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for index in range(count):
        image = rng.integers(40, 90, (*size, 3)).astype(np.uint8)
        label = np.zeros(size, np.uint8)
        centre = (int(rng.integers(16, size[1] - 16)), int(rng.integers(16, size[0] - 16)))
        cv2.circle(label, centre, 12, 1, -1)
        image[label == 1] += 120
        label[:2] = 255
        cv2.imwrite(str(root / 'images' / f'disc_{index}.png'), image)
        cv2.imwrite(str(root / 'labels' / f'disc_{index}.png'), label)
    return root


def write_config(folder: Path, root: Path, more: str = '') -> Path:
    """Write a config that trains a tiny OCRNet on `write_discs`' data; `more` is appended."""
    path = folder / 'tiny.py'
    path.write_text(CONFIG.replace('{root}', str(root)) + more)
    return path

"""Each fault planted in a config is found, named, explained and traced; a sound one has none.

A fault is the text that a config adds to a sound one, with the kind it is to be found as, the keys
that are to be named, and phrases of what is to be said. Nothing else may be found.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from msseg.checks.config import check_config, format_report
from msseg.checks.config.rules import RULES
from tests.test_checks.test_config.nuclei_config import write_configs


@dataclass
class Fault:
    """What to plant and what must be said of it."""

    name: str
    text: str
    kind: str
    keys: list[str]
    phrases: list[str]


TEST_TRANSFORMS = 'pipeline[1].transforms'
NO_NORMALIZE = """
_transforms = [dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'),
               dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])]
data = dict(test=dict(pipeline={1: dict(transforms=_transforms)}))
"""
# What must be found, at least, and the name it must have.
NAMED = {
    'unknown_type': 'unknown type',
    'misspelt_argument': 'misspelt argument',
    'num_classes': 'wrong num_classes',
    'in_index': 'in_index out of range',
    'in_channels': 'in_channels that does not fit',
    'ignore_index': 'ignore_index that differs',
    'seg_pad_val': 'seg_pad_val that differs',
    'crop_size': 'crop larger than the padded size',
    'norm_scale': 'mean/std on the wrong scale',
    'norm_missing': 'missing img_norm_cfg in test',
    'batch_norm': 'samples_per_gpu 1 with BN',
    'warmup': 'warm-up longer than the run',
    'evaluation_interval': 'evaluation interval longer than the run',
    'unknown_score': 'save_best on an unknown key',
    'data_path': 'unreachable data path',
    'duplicate_base_key': 'duplicate base key',
}
FAULTS = [
    Fault(
        'unknown type',
        "model = dict(decode_head={1: dict(type='OCRHed')})",
        'unknown_type',
        ['model.decode_head[1].type'],
        ['OCRHed is not in the head registry', "Did you mean 'OCRHead'?", 'custom_imports'],
    ),
    Fault(
        'unknown type of a transform',
        "data = dict(val=dict(pipeline={0: dict(type='LoadImageFromFiles')}))",
        'unknown_type',
        ['data.val.pipeline[0].type'],
        ["Did you mean 'LoadImageFromFile'?"],
    ),
    Fault(
        'unknown type of a loss',
        "model = dict(decode_head={0: dict(loss_decode=dict(type='CrossEntropy'))})",
        'unknown_type',
        ['model.decode_head[0].loss_decode.type'],
        ["Did you mean 'CrossEntropyLoss'?"],
    ),
    Fault(
        'unknown type of normalisation',
        "model = dict(backbone=dict(norm_cfg=dict(type='BNN')))",
        'unknown_type',
        ['model.backbone.norm_cfg.type'],
        ["Did you mean 'BN'?"],
    ),
    Fault(
        'unknown type of the runner',
        "runner = dict(type='IterBasedRuner')",
        'unknown_type',
        ['runner.type'],
        ["Did you mean 'IterBasedRunner'?"],
    ),
    Fault(
        'unknown policy',
        "lr_config = dict(policy='polly')",
        'unknown_type',
        ['lr_config.policy'],
        ["Did you mean 'poly'?"],
    ),
    Fault(
        'misspelt argument',
        'model = dict(decode_head={0: dict(dropout_ration=0.1)})',
        'misspelt_argument',
        ['model.decode_head[0].dropout_ration'],
        ["FCNHead takes no 'dropout_ration'", "Did you mean 'dropout_ratio'?"],
    ),
    Fault(
        'misspelt arguments',
        'optimizer = dict(momentun=0.9)\nevaluation = dict(intervall=2)',
        'misspelt_argument',
        ['optimizer.momentun', 'evaluation.intervall'],
        ["Did you mean 'momentum'?", "Did you mean 'interval'?"],
    ),
    Fault(
        'wrong num_classes in one head',
        'model = dict(decode_head={1: dict(num_classes=19)})',
        'num_classes',
        ['model.decode_head[1].num_classes'],
        ['19, but data.train (NucleiDataset) has 2 classes: background, nucleus'],
    ),
    Fault(
        'in_index out of range',
        'model = dict(decode_head={0: dict(in_index=(0, 1, 2, 4))})',
        'in_index',
        ['model.decode_head[0].in_index'],
        ['in_index 4 is out of range, there are 4 feature maps of [4, 8, 16, 32] channels'],
    ),
    Fault(
        'in_channels that does not fit',
        'model = dict(decode_head={1: dict(in_channels=[4, 8, 16, 64])})',
        'in_channels',
        ['model.decode_head[1].in_channels'],
        ['in_channels is 64 for in_index 3, but that feature map has 32 channels'],
    ),
    Fault(
        'ignore_index of a head',
        'model = dict(decode_head={1: dict(ignore_index=254)})',
        'ignore_index',
        ['model.decode_head[1].ignore_index'],
        ['254, but data.train.ignore_index is 255 (default)'],
    ),
    Fault(
        'ignore_index of the data sets',
        '_own = dict(ignore_index=100)\n'
        '_train = dict(ignore_index=100, pipeline={3: _own, 6: dict(seg_pad_val=100)})\n'
        'data = dict(train=_train, val=_own, test=_own)',
        'ignore_index',
        ['model.decode_head[0].ignore_index', 'model.decode_head[1].ignore_index'],
        ['255, but data.train.ignore_index is 100 ('],
    ),
    Fault(
        'ignore_index of a loss',
        "model = dict(decode_head={1: dict(loss_decode=dict(_delete_=True, type='DiceLoss', "
        'ignore_index=100))})',
        'ignore_index',
        ['model.decode_head[1].loss_decode.ignore_index'],
        ['100, but data.train.ignore_index is 255'],
    ),
    Fault(
        'seg_pad_val that differs',
        'data = dict(train=dict(pipeline={6: dict(seg_pad_val=0)}))',
        'seg_pad_val',
        ['data.train.pipeline[6].seg_pad_val'],
        ['0, but data.train.ignore_index is 255'],
    ),
    Fault(
        'crop larger than the padded size',
        'data = dict(train=dict(pipeline={3: dict(crop_size=(32, 48))}))',
        'crop_size',
        ['data.train.pipeline[3].crop_size'],
        ['(32, 48), but data.train.pipeline[6].size is (32, 32)', '(height, width)'],
    ),
    Fault(
        'mean and std on the wrong scale',
        '_norm = dict(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])\n'
        '_test = dict(pipeline={1: dict(transforms={2: _norm})})\n'
        'data = dict(train=dict(pipeline={5: _norm}), val=_test, test=_test)',
        'norm_scale',
        [f'data.{where}.{name}' for name in ('mean', 'std')
         for where in ('train.pipeline[5]', f'val.{TEST_TRANSFORMS}[2]',
                       f'test.{TEST_TRANSFORMS}[2]')],
        ['[0.229, 0.224, 0.225], but images have values from 0 to 255', 'multiply'],
    ),
    Fault(
        'missing normalisation in test',
        NO_NORMALIZE,
        'norm_missing',
        ['data.test.pipeline'],
        ['no Normalize, but data.train.pipeline[5] is one'],
    ),
    Fault(
        'normalisation without numbers in test',
        f'{NO_NORMALIZE}_transforms.insert(2, dict(type="Normalize"))',
        'norm_missing',
        [f'data.test.{TEST_TRANSFORMS}[2]'],
        ['without mean and std'],
    ),
    Fault(
        'one image a batch',
        'data = dict(samples_per_gpu=1)',
        'batch_norm',
        ['data.samples_per_gpu'],
        ['1, but model.backbone.norm_cfg is BN'],
    ),
    Fault(
        'one image a batch on one device',
        "_sync = dict(type='SyncBN')\n"
        "model = dict(backbone=dict(norm_cfg=_sync), decode_head={'*': dict(norm_cfg=_sync)})\n"
        'data = dict(train_dataloader=dict(samples_per_gpu=1))',
        'batch_norm',
        ['data.train_dataloader.samples_per_gpu'],
        ['SyncBN, which is BN on one device'],
    ),
    Fault(
        'warm-up longer than the run',
        "lr_config = dict(warmup='linear', warmup_iters=500)",
        'warmup',
        ['lr_config.warmup_iters'],
        ['500 iterations, but runner.max_iters is 8'],
    ),
    Fault(
        'warm-up in epochs, the run in iterations',
        "lr_config = dict(warmup='linear', warmup_iters=2, warmup_by_epoch=True)\n"
        'runner = dict(max_iters=90)',
        'warmup',
        ['lr_config.warmup_iters'],
        ['2 epochs, but runner.max_iters is 90', '2 epochs'],
    ),
    Fault(
        'evaluation interval longer than the run',
        'evaluation = dict(interval=1000)',
        'evaluation_interval',
        ['evaluation.interval'],
        ['1000 iterations, but runner.max_iters is 8'],
    ),
    Fault(
        'evaluation by epochs longer than the run',
        "runner = dict(_delete_=True, type='EpochBasedRunner', max_epochs=3)\n"
        'evaluation = dict(by_epoch=True, interval=1, start=5)',
        'evaluation_interval',
        ['evaluation.start'],
        ['5 epochs, but runner.max_epochs is 3'],
    ),
    Fault(
        'save_best on an unknown key',
        "evaluation = dict(save_best='mIOU')",
        'unknown_score',
        ['evaluation.save_best'],
        ["'mIOU', but reported are ['aAcc', 'mIoU',", "Did you mean 'mIoU'?"],
    ),
    Fault(
        'save_best of a metric that is not asked for',
        "evaluation = dict(save_best='mDice')",
        'unknown_score',
        ['evaluation.save_best'],
        ["'mDice', but reported are"],
    ),
    Fault(
        'a run ended by an unknown key',
        "custom_hooks = [dict(type='EarlyStoppingHook', monitor='decode_0.loss_ce')]",
        'unknown_score',
        ['custom_hooks[0].monitor'],
        ["'decode_0.loss_ce', but reported are"],
    ),
    Fault(
        'unreachable folder of images',
        "data = dict(train=dict(img_dir='images/trian'))",
        'data_path',
        ['data.train.img_dir'],
        ["has no 'trian'. Did you mean 'train'?"],
    ),
    Fault(
        'unreachable root',
        "data = dict(val=dict(data_root='/nowhere/nuclei'))",
        'data_path',
        ['data.val.data_root'],
        ["'/nowhere/nuclei': there is no such folder"],
    ),
    Fault(
        'unreachable list',
        "data = dict(test=dict(split='names.txt'))",
        'data_path',
        ['data.test.split'],
        ['names.txt', 'no such file'],
    ),
    Fault(
        'duplicate base key',
        "_base_ = ['base.py', 'more.py']",
        'duplicate_base_key',
        ['optimizer', 'runner'],
        ['its bases base.py and more.py define it'],
    ),
    # ------------------------------------------------- beyond what must be found
    Fault(
        'misspelt key',
        'log_confg = dict(interval=5)',
        'misspelt_key',
        ['log_confg'],
        ["Did you mean 'log_config'?"],
    ),
    Fault('missing key', 'optimizer = None', 'missing_key', ['optimizer'], ['is not set']),
    Fault(
        'no dict', 'evaluation = 500', 'no_dict', ['evaluation'], ['is 500, expected a dict']
    ),
    Fault(
        'other classes in validation',
        "data = dict(val=dict(classes=['nucleus']))",
        'classes_differ',
        ['data.val'],
        ['has 1 classes: nucleus; data.train (NucleiDataset) has 2 classes'],
    ),
    Fault(
        'classes of validation in another order',
        "data = dict(train=dict(classes=['background', 'nucleus']), "
        "val=dict(classes=['nucleus', 'background']))",
        'classes_differ',
        ['data.val'],
        ['has 2 classes: nucleus, background; data.train', 'in another order, all are confused'],
    ),
    Fault(
        'grey images',
        '_grey = dict(mean=[127.5], std=[64.0], to_rgb=False)\n'
        '_load = {0: dict(color_type="grayscale")}\n'
        '_test = dict(pipeline={**_load, 1: dict(transforms={2: _grey})})\n'
        'data = dict(train=dict(pipeline={**_load, 5: _grey}), val=_test, test=_test)',
        'image_channels',
        ['data.train.pipeline[5].mean', f'data.val.{TEST_TRANSFORMS}[2].mean',
         f'data.test.{TEST_TRANSFORMS}[2].mean'],
        ['of 1 channels, but model.backbone.in_channels is 3 (default)'],
    ),
    Fault(
        'other bands than channels',
        'data = dict(train=dict(pipeline={0: dict(bands=[1, 1])}))',
        'image_channels',
        ['data.train.pipeline[0].bands'],
        ['[1, 1], but mean of Normalize has 3 numbers'],
    ),
    Fault(
        'other normalisation in validation',
        'data = dict(val=dict(pipeline={1: dict(transforms={2: dict(to_rgb=False)})}))',
        'norm_differs',
        [f'data.val.{TEST_TRANSFORMS}[2].to_rgb'],
        ['False, but data.train.pipeline[5].to_rgb is True'],
    ),
    Fault(
        'unknown metric',
        "evaluation = dict(metric='mIuO')",
        'unknown_metric',
        ['evaluation.metric'],
        ["Did you mean 'mIoU'?"],
    ),
    Fault(
        'weights that are not there',
        "model = dict(pretrained='open-mmlab://msra/hrnetv2_w18')",
        'weights_path',
        ['model.pretrained'],
        ['get it from https://', 'hrnetv2_w18'],
    ),
    Fault(
        'values that are refused',
        "optimizer = dict(lr=-1)\nlr_config = dict(warmup='linaer', warmup_iters=2)\n"
        "data = dict(samples_per_gpu=0, train=dict(pipeline={4: dict(prob=2)}))\n"
        "custom_hooks = [dict(type='EMAHook', momentum=2.0)]\n"
        'checkpoint_config = dict(interval=0)\nseed = 2**40\n'
        'log_config = dict(interval=0)\nmodel = dict(test_cfg=dict(mode="slid"))',
        'wrong_value',
        ['optimizer.lr', 'lr_config.warmup', 'data.samples_per_gpu', 'seed',
         'data.train.pipeline[4].prob', 'custom_hooks[0].momentum', 'checkpoint_config.interval',
         'log_config.interval', 'model.test_cfg.mode'],
        ["Did you mean 'linear'?", 'samples_per_gpu is 0', 'prob is 2, expected a number from 0',
         'EMAHook'],
    ),
    Fault(
        'a phase that is not done, and windows that leave gaps',
        'workflow = [("train", 1), ("val", 1)]\n'
        'model = dict(test_cfg=dict(mode="slide", crop_size=(32, 32), stride=(32, 48)))',
        'refused',
        ['workflow', 'model.test_cfg'],
        ["only [('train', 1)] is done", 'stride is (32, 48), larger than crop_size (32, 32)'],
    ),
    Fault(
        'a custom key that is in no name',
        "optimizer = dict(paramwise_cfg=dict(custom_keys={'bakbone': dict(lr_mult=0.1)}))",
        'unused_custom_key',
        ['optimizer.paramwise_cfg.custom_keys.bakbone'],
        ["'bakbone' is part of no trainable parameter. Did you mean 'backbone'?"],
    ),
    Fault(
        'rates that fall with the depth of a backbone that has none',
        "optimizer = dict(constructor='LayerDecayOptimizerConstructor',\n"
        '                 paramwise_cfg=dict(num_layers=12, layer_decay_rate=0.9))',
        'refused',
        ['optimizer'],
        ['HRNet has no method layer_depth', 'another decay_type or constructor'],
    ),
    Fault(
        'a folder that cannot be',
        "checkpoint_config = dict(out_dir='/proc/x')",
        'data_path',
        ['checkpoint_config.out_dir'],
        ["'/proc/x': /proc is no folder to write to"],
    ),
    Fault(
        'pipelines that are none',
        "data = dict(train=dict(pipeline=None), val=dict(pipeline=['LoadImageFromFile']))",
        'wrong_value',
        ['data.train.pipeline', 'data.val.pipeline'],
        ['pipeline is None, expected a list, each a dict', "is ['LoadImageFromFile']"],
    ),
    Fault(
        'hooks that are no dicts',
        "custom_hooks = ['EMAHook']",
        'no_dict',
        ['custom_hooks'],
        ["['EMAHook']", 'expected'],
    ),
    Fault(
        'an unknown level',
        "log_level = 'LOUD'",
        'refused',
        ['log_level'],
        ["log_level is 'LOUD'"],
    ),
    Fault(
        'a number that is no level',
        'log_level = 5',
        'refused',
        ['log_level'],
        ["log_level is 5, expected one of ['DEBUG', ", '[10, 20, 30, 40, 50]'],
    ),
    Fault(
        'two averages of the weights',
        "custom_hooks = [dict(type='EMAHook'), dict(type='EMAHook', momentum=0.01)]",
        'refused',
        ['custom_hooks[1]'],
        ['EMAHook: EMAHook keeps tensors under the same names', 'use one such hook'],
    ),
    Fault(
        'a sampler in train_cfg',
        'model = dict(train_cfg=dict(sampler=5))',
        'unread',
        ['model.train_cfg.sampler'],
        ['is 5, but CascadeEncoderDecoder and its heads never read it'],
    ),
    Fault(
        'values that heads refuse',
        'model = dict(decode_head={0: dict(num_convs=-1), 1: dict(scale=0)})',
        'wrong_value',
        ['model.decode_head[0].num_convs', 'model.decode_head[1].scale'],
        ['FCNHead: num_convs is -1', 'OCRHead: scale is 0'],
    ),
    Fault(
        'too few heads',
        'model = dict(num_stages=3)',
        'refused',
        ['model'],
        ['num_stages is 3, but decode_head has 2 heads'],
    ),
]  # fmt: skip


def found(report):
    return {finding.kind: finding for finding in report.findings}


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_found_named_explained_and_traced(fault, tmp_path):
    path = write_configs(tmp_path, fault.text)
    (tmp_path / 'more.py').write_text(
        "optimizer = dict(type='SGD', lr=0.1)\nrunner = dict(type='IterBasedRunner', max_iters=8)\n"
    )
    report = check_config(path, with_step=False)

    findings = found(report)
    assert list(findings) == [fault.kind], format_report(report)
    finding = findings[fault.kind]
    assert sorted(finding.places) == sorted(fault.keys)
    text = format_report(report)
    for phrase in (*fault.phrases, finding.title, finding.why, finding.todo):
        assert phrase in text, text
    assert f'{finding.severity}: {RULES[fault.kind].title} ({len(fault.keys)})' in text
    if fault.kind not in ('refused', 'missing_key', 'classes_differ', 'norm_missing'):
        assert str(path) in text  # which file set it


def test_all_that_must_be_found_is_planted_here():
    assert {fault.kind for fault in FAULTS} >= set(NAMED)
    assert {kind: RULES[kind].title for kind in NAMED} == NAMED

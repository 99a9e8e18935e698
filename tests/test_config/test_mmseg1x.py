"""Configs of MMSegmentation 1.x are translated: tables of the page, twins, refusals."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest

from msseg.config import Config, ConfigDict
from msseg.config.mmseg1x import is_1x, translate
from msseg.utils.errors import UserError

PAGE = (Path(__file__).parents[2] / 'docs' / 'mmsegmentation_1x.md').read_text(encoding='utf-8')
_DATASET = 'train_dataloader.dataset'
_ROW = re.compile(r'^\| `(.+?)` \| `(.+?)` \|$', re.MULTILINE)

ONE = """
    default_scope = 'mmseg'
    env_cfg = dict(cudnn_benchmark=True)
    vis_backends = [dict(type='LocalVisBackend')]
    visualizer = dict(type='SegLocalVisualizer', vis_backends=vis_backends, name='visualizer')
    log_processor = dict(by_epoch=False)
    load_from = None
    resume = False
    data_preprocessor = dict(
        type='SegDataPreProcessor', mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True, pad_val=0,
        seg_pad_val=255, size=(32, 32))
    model = dict(
        type='EncoderDecoder', data_preprocessor=data_preprocessor,
        backbone=dict(type='mmseg.ResNet', depth=18, norm_cfg=dict(type='SyncBN')),
        decode_head=dict(type='FCNHead', num_classes=2), test_cfg=dict(mode='whole'))
    train_pipeline = [
        dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
        dict(type='RandomResize', scale=(64, 48), ratio_range=(0.5, 2.0), keep_ratio=True),
        dict(type='RandomCrop', crop_size=(32, 32), cat_max_ratio=0.75),
        dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'),
        dict(type='PackSegInputs')]
    test_pipeline = [
        dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 48), keep_ratio=True),
        dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
    tta_pipeline = [
        dict(type='LoadImageFromFile', backend_args=None),
        dict(type='TestTimeAug', transforms=[
            [dict(type='Resize', scale_factor=r, keep_ratio=True) for r in (0.5, 1.0)],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]])]
    dataset = dict(type='CustomDataset', data_root='data', metainfo=dict(classes=('a', 'b')))
    train_dataloader = dict(
        batch_size=2, num_workers=4, persistent_workers=True,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        dataset=dict(
            type='RepeatDataset', times=5,
            dataset=dict(
                data_prefix=dict(img_path='img/train', seg_map_path='ann/train'),
                pipeline=train_pipeline, **dataset)))
    val_dataloader = dict(
        batch_size=1, num_workers=4, persistent_workers=True,
        sampler=dict(type='DefaultSampler', shuffle=False),
        dataset=dict(
            data_prefix=dict(img_path='img/val', seg_map_path='ann/val'), ann_file='val.txt',
            pipeline=test_pipeline, **dataset))
    test_dataloader = val_dataloader
    val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
    test_evaluator = val_evaluator
    tta_model = dict(type='SegTTAModel')
    optimizer = dict(type='SGD', lr=0.01, momentum=0.9)
    optim_wrapper = dict(type='OptimWrapper', optimizer=optimizer, clip_grad=None)
    param_scheduler = [
        dict(type='LinearLR', start_factor=1e-6, begin=0, end=10, by_epoch=False),
        dict(type='PolyLR', eta_min=1e-4, power=0.9, begin=10, end=60, by_epoch=False)]
    train_cfg = dict(type='IterBasedTrainLoop', max_iters=60, val_interval=20)
    val_cfg = dict(type='ValLoop')
    test_cfg = dict(type='TestLoop')
    default_hooks = dict(
        timer=dict(type='IterTimerHook'),
        logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
        param_scheduler=dict(type='ParamSchedulerHook'),
        checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=20, save_best='mIoU'),
        sampler_seed=dict(type='DistSamplerSeedHook'),
        visualization=dict(type='SegVisualizationHook'))
"""
ZERO = """
    normalize = dict(type='Normalize', mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True)
    model = dict(
        type='EncoderDecoder',
        backbone=dict(type='ResNet', depth=18, norm_cfg=dict(type='SyncBN')),
        decode_head=dict(type='FCNHead', num_classes=2), test_cfg=dict(mode='whole'))
    dataset = dict(type='CustomDataset', data_root='data', classes=('a', 'b'))
    last = [
        dict(type='RandomFlip'), normalize, dict(type='ImageToTensor', keys=['img']),
        dict(type='Collect', keys=['img'])]
    test_pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='MultiScaleFlipAug', img_scale=(64, 48), flip=False,
             transforms=[dict(type='Resize', keep_ratio=True), *last])]
    data = dict(
        samples_per_gpu=2, workers_per_gpu=4,
        train=dict(type='RepeatDataset', times=5, dataset=dict(
            img_dir='img/train', ann_dir='ann/train',
            pipeline=[
                dict(type='LoadImageFromFile'), dict(type='LoadAnnotations'),
                dict(type='Resize', img_scale=(64, 48), ratio_range=(0.5, 2.0), keep_ratio=True),
                dict(type='RandomCrop', crop_size=(32, 32), cat_max_ratio=0.75),
                dict(type='RandomFlip', prob=0.5), dict(type='PhotoMetricDistortion'), normalize,
                dict(type='Pad', size=(32, 32), pad_val=0, seg_pad_val=255),
                dict(type='DefaultFormatBundle'),
                dict(type='Collect', keys=['img', 'gt_semantic_seg'])], **dataset)),
        val=dict(img_dir='img/val', ann_dir='ann/val', split='val.txt', pipeline=test_pipeline,
                 **dataset),
        test=dict(img_dir='img/val', ann_dir='ann/val', split='val.txt', pipeline=test_pipeline,
                  **dataset))
    aug_test = dict(pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='MultiScaleFlipAug', img_ratios=[0.5, 1.0], rounds_sizes=True, flip=True,
             flip_direction='horizontal',
             transforms=[dict(type='Resize', keep_ratio=True), *last])])
    optimizer = dict(type='SGD', lr=0.01, momentum=0.9)
    optimizer_config = dict()
    lr_config = dict(
        policy='poly', power=0.9, min_lr=1e-4, by_epoch=False, warmup='linear', warmup_iters=10,
        warmup_ratio=1e-6, begin=10)
    runner = dict(type='IterBasedRunner', max_iters=60)
    checkpoint_config = dict(by_epoch=False, interval=20)
    evaluation = dict(interval=20, metric='mIoU', save_best='mIoU')
    log_config = dict(interval=50, hooks=[dict(type='TextLoggerHook', by_epoch=False)])
    load_from = None
"""


def plain_rows(heading: str) -> list[tuple[str, str]]:
    section = PAGE.partition(f'### {heading}\n')[2]
    return _ROW.findall(re.split(r'\n##', section)[0])


def assignment(text: str) -> tuple[str, object]:
    key, _, value = text.partition('=')
    return key, value_of(value)


def value_of(text: str) -> object:
    return eval(text, {'dict': dict, '__builtins__': {}})


@pytest.fixture(scope='module')
def raw(tmp_path_factory):
    """The settings of ONE as its file has them, with both sections of data alike."""
    namespace: dict = {}
    exec(re.sub(r'^    ', '', ONE, flags=re.MULTILINE), namespace)
    values = {k: v for k, v in namespace.items() if not k.startswith('__')}
    loader = values['train_dataloader']
    loader['dataset'] = loader['dataset']['dataset']
    loader['dataset']['pipeline'] = [loader['dataset']['pipeline'][i] for i in (0, 1, 6)]
    return values


def translated(values: dict, **changes: object) -> ConfigDict:
    cfg = Config(copy.deepcopy(values))
    for key, value in changes.items():
        value = {'_delete_': True, **value} if isinstance(value, dict) else value
        cfg.merge_from_dict({key: value})
    return translate(cfg._cfg_dict)[0]


def same(value: object) -> object:
    if isinstance(value, dict):
        return {key: same(child) for key, child in value.items()}
    return [same(child) for child in value] if isinstance(value, (list, tuple)) else value


# ------------------------------------------------------------ the page's tables


@pytest.mark.parametrize('row', plain_rows('Keys'), ids=lambda row: row[0][:60])
def test_a_key_of_the_page(raw, row):
    key, value = assignment(row[0])
    place, expected = assignment(row[1])
    found, _ = Config(translated(raw, **{key: value})).find(place)
    assert same(found) == same(expected)


@pytest.mark.parametrize('row', plain_rows('Transforms'), ids=lambda row: row[0][:60])
def test_a_transform_of_the_page(raw, row):
    pipeline = [value_of(row[0]), dict(type='PackSegInputs')]
    out = translated(raw, **{'train_dataloader.dataset.pipeline': pipeline})
    assert same(out.data.train.pipeline[:1]) == same([value_of(row[1])])


@pytest.mark.parametrize('row', plain_rows('Schedules'), ids=lambda row: row[0][:60])
def test_a_schedule_of_the_page(raw, row):
    out = translated(raw, param_scheduler=value_of(row[0]))
    assert same(out.lr_config) == same(value_of(row[1]))


def test_the_page_has_its_tables():
    counts = [len(plain_rows(heading)) for heading in ('Keys', 'Transforms', 'Schedules')]
    assert counts[0] > 40 and counts[1:] == [12, 12]


# ------------------------------------------------------------ whole files


def test_a_file_is_its_twin_of_0x(load):
    one, zero = load(ONE), load(ZERO)
    for key in zero:
        if key not in ('normalize', 'last', 'test_pipeline', 'dataset'):
            assert same(one[key]) == same(zero[key]), key
    assert {*one} - {*zero} == set()
    assert zero.translation_report == ()


def test_the_printed_translation_is_a_config_of_this_project(load):
    cfg = load(ONE)
    again = Config.fromstring(cfg.pretty_text, '.py')
    assert same(again._cfg_dict) == same(cfg._cfg_dict)
    assert again.translation_report == ()


def test_a_file_loads_by_the_strict_check_and_says_once_what_became_of_it(load, caplog):
    from msseg.apis import load_config

    load(ONE.replace("depth=18, norm_cfg=dict(type='SyncBN')", 'depth=18'))
    with caplog.at_level('INFO'):
        load_config('config.py', parts=('data', 'lr_config', 'runner', 'evaluation', 'optimizer'))
    lines = [r.getMessage() for r in caplog.records if '1.x' in r.getMessage()]
    assert len(lines) == 1
    assert 'optim_wrapper -> optimizer, optimizer_config' in lines[0]
    ignored = [r.getMessage() for r in caplog.records if 'mean nothing here' in r.getMessage()]
    assert len(ignored) == 1
    assert all(key in ignored[0] for key in ('env_cfg', 'train_dataloader.persistent_workers'))


def test_every_key_knows_the_file_that_set_it(load):
    child = "_base_ = './base.py'\ntrain_dataloader = dict(batch_size=7)\n"
    cfg = load(child, base=ONE)
    assert cfg.data.samples_per_gpu == 7
    assert cfg.explain('data.samples_per_gpu') == 'config.py'
    for key in ('data.workers_per_gpu', 'lr_config.power', 'data.val.pipeline.1.img_scale'):
        assert cfg.explain(key) == 'base.py'


def test_bases_in_an_installed_package_are_found_without_importing_it(write, load, monkeypatch):
    write('their_package/__init__.py', "raise RuntimeError('imported')")
    write('their_package/.mim/configs/a/one.py', ONE)
    monkeypatch.syspath_prepend('.')
    cfg = load("_base_ = 'their_package::a/one.py'\ntrain_cfg = dict(max_iters=7)\n")
    assert cfg.runner.max_iters == 7
    with pytest.raises(FileNotFoundError, match=r"Did you mean 'a/one.py'"):
        load("_base_ = 'their_package::a/ones.py'\n")
    with pytest.raises(FileNotFoundError, match="no package 'nobodys' .*; name the file by its"):
        load("_base_ = 'nobodys::a.py'\n")


def test_attributes_of_the_base_are_its_values(load):
    child = """
        _base_ = './base.py'
        crop = _base_.data_preprocessor.size
        train_dataloader = dict(dataset=dict(times=_base_.train_dataloader.dataset.times * 2))
    """
    cfg = load(child, base=ONE)
    assert cfg.crop == (32, 32) and cfg.data.train.times == 10


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ({'optim_wrapper': {}}, True),
        ({'model': {'data_preprocessor': {}}}, True),
        ({'train_cfg': {'type': 'IterBasedTrainLoop'}}, True),
        ({'default_scope': 'mmseg'}, True),
        ({'train_cfg': {}, 'model': {'train_cfg': {}}}, False),
        ({'model': 3, 'train_cfg': None}, False),
        ({'data': {}, 'visualizer': 1, 'default_hooks': {}}, False),
        ({'visualizer': 1}, False),
    ],
)
def test_configs_of_1x_are_told_from_others(values, expected):
    assert is_1x(values) == expected


def test_a_part_of_a_config_is_translated_alone(load):
    cfg = load("model = dict(type='EncoderDecoder', data_preprocessor=dict(mean=[1.0], std=[1.0]))")
    assert cfg._cfg_dict == {'model': {'type': 'EncoderDecoder'}}


def test_classes_and_scopes_in_dicts_become_names(load):
    text = """
        class MyHead: pass
        class Wide(dict): pass
        model = dict(type='EncoderDecoder', data_preprocessor=None,
                     backbone=dict(type='ConvNeXt', _scope_='mmpretrain'),
                     decode_head=dict(type=MyHead, loss=Wide(type='mmdet.DiceLoss')))
    """
    model = load(text).model
    assert model.backbone == {'type': 'mmcls.ConvNeXt'}
    assert (model.decode_head.type, model.decode_head.loss.type) == ('MyHead', 'mmdet.DiceLoss')


# ------------------------------------------------------------ the rest of the rules


def test_default_hooks_that_a_file_leaves_out_are_mmengines(raw):
    values = {key: value for key, value in raw.items() if key != 'default_hooks'}
    out = translated(values)
    assert out.checkpoint_config == {'interval': 1}
    assert out.log_config.interval == 10
    without = translated(raw, **{'default_hooks.checkpoint': None})
    assert 'checkpoint_config' not in without


def test_an_interval_longer_than_the_run_evaluates_its_end(raw):
    out = translated(raw, **{'train_cfg.val_interval': 1000})
    assert (out.evaluation.interval, out.runner.max_iters) == (60, 60)


def test_a_run_without_validation_names_the_option(load):
    cfg = load("_base_ = './base.py'\nval_dataloader = None\nval_evaluator = None\n", base=ONE)
    assert 'val' not in cfg.data
    assert 'val_dataloader=None -> --no-validate' in cfg.translation_report[0]


def test_joined_data_sets_are_evaluated_together(raw):
    part = raw['val_dataloader']['dataset']
    joined = dict(type='ConcatDataset', datasets=[part, part])
    out = translated(raw, **{'val_dataloader.dataset': joined})
    assert out.data.val.separate_eval is False
    assert [each.img_dir for each in out.data.val.datasets] == ['img/val'] * 2
    out = translated(raw, **{'train_dataloader.dataset': joined})
    assert 'separate_eval' not in out.data.train


def test_mixed_images_are_packed_after_mixing(raw):
    inner = {**raw['train_dataloader']['dataset'], 'pipeline': [dict(type='LoadImageFromFile')]}
    steps = [dict(type='RandomMosaic', prob=1.0, img_scale=(32, 32)), dict(type='PackSegInputs')]
    mixed = dict(type='MultiImageMixDataset', dataset=inner, pipeline=steps)
    train = translated(raw, **{'train_dataloader.dataset': mixed}).data.train
    assert [step.type for step in train.dataset.pipeline] == ['LoadImageFromFile']
    assert [step.type for step in train.pipeline] == [
        'RandomMosaic', 'Normalize', 'Pad', 'DefaultFormatBundle', 'Collect',
    ]  # fmt: skip


def test_boundaries_are_drawn_by_the_head(raw):
    steps = raw['train_dataloader']['dataset']['pipeline']
    steps = [*steps[:-1], dict(type='GenerateEdge', edge_width=6), steps[-1]]
    changes = {'train_dataloader.dataset.pipeline': steps}
    out = translated(raw, **changes, **{'model.decode_head.type': 'PIDHead'})
    assert out.model.decode_head.edge_width == 6
    assert 'GenerateEdge' not in [step.type for step in out.data.train.pipeline]
    with pytest.raises(ValueError, match='ignore_index'):
        steps[-2]['ignore_index'] = 0
        translated(raw, **changes, **{'model.decode_head.type': 'PIDHead'})


def test_patches_of_vision_transformers_have_no_bias_unless_set(raw):
    out = translated(raw, **{'model.backbone': dict(type='VisionTransformer')})
    assert out.model.backbone.patch_bias is False
    backbone = dict(type='mmseg.VisionTransformer', patch_bias=True)
    assert translated(raw, **{'model.backbone': backbone}).model.backbone.patch_bias is True
    assert 'patch_bias' not in translated(raw).model.backbone


def test_dice_is_that_of_whole_images(raw):
    losses = [dict(type='DiceLoss', loss_weight=3.0), dict(type='CrossEntropyLoss')]
    out = translated(raw, **{'model.decode_head.loss_decode': losses})
    dice = dict(type='ImageDiceLoss', loss_weight=3.0)
    assert out.model.decode_head.loss_decode == [dice, losses[1]]


def test_class_weights_divide_the_loss(raw):
    loss = dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0])
    losses = [loss, dict(loss, use_sigmoid=True), dict(type='CrossEntropyLoss')]
    out = translated(raw, **{'model.decode_head.loss_decode': losses})
    flags = [each.get('avg_by_class_weight', False) for each in out.model.decode_head.loss_decode]
    assert flags == [True, False, False]


def test_a_pipeline_without_a_flip_collects_nothing_of_it(raw):
    pack = [dict(type='PackSegInputs')]
    for flips, is_default in ([], False), ([dict(type='RandomFlip', prob=0.5)], True):
        steps = translated(raw, **{f'{_DATASET}.pipeline': [*flips, *pack]}).data.train.pipeline
        assert ('meta_keys' not in steps[-1]) == is_default
    from msseg.datasets.pipelines import Collect, DefaultFormatBundle
    from msseg.datasets.pipelines.loading import describe_image

    steps = translated(raw, **{f'{_DATASET}.pipeline': pack}).data.train.pipeline
    image = np.zeros((4, 4, 3), np.float32)
    sample = describe_image(image, 'a.png', 'a.png') | {'gt_semantic_seg': image[..., 0]}
    arguments = {key: value for key, value in steps[-1].items() if key != 'type'}
    assert 'img_metas' in Collect(**arguments)(DefaultFormatBundle()(sample))


def test_steps_keep_their_side_of_the_resize_in_tests(raw):
    kinds = ('LoadImageFromFile', 'CLAHE', 'Resize', 'ResizeToMultiple', 'PackSegInputs')
    steps = [dict(type=kind) for kind in kinds]
    steps[2]['scale_factor'] = 0.5
    pipeline = translated(raw, **{'val_dataloader.dataset.pipeline': steps}).data.val.pipeline
    assert [step.type for step in pipeline] == ['LoadImageFromFile', 'CLAHE', 'MultiScaleFlipAug']
    assert pipeline[-1].img_ratios == [0.5]
    inside = [step.type for step in pipeline[-1].transforms]
    assert inside[:3] == ['Resize', 'ResizeToMultiple', 'RandomFlip']


def test_images_without_a_mean_are_not_normalised(raw):
    plain = dict(type='SegDataPreProcessor', size=(32, 32))
    kinds = [
        s.type for s in translated(raw, **{'model.data_preprocessor': plain}).data.train.pipeline
    ]
    assert 'Normalize' not in kinds and 'Pad' in kinds
    swapped = {**plain, 'rgb_to_bgr': True}
    step = translated(raw, **{'model.data_preprocessor': swapped}).data.train.pipeline[2]
    assert step == dict(type='Normalize', mean=[0.0] * 3, std=[1.0] * 3, to_rgb=True)
    grey = {**plain, 'mean': [5.0], 'std': [2.0], 'bgr_to_rgb': True}
    step = translated(raw, **{'model.data_preprocessor': grey}).data.train.pipeline[2]
    assert step.to_rgb is False  # colours are swapped where there are three


def test_names_of_classes_as_mmengine_dumps_them(raw):
    norm = dict(type='torch.nn.modules.batchnorm.SyncBatchNorm')
    hook = dict(type='mmengine.hooks.checkpoint_hook.CheckpointHook', interval=7)
    changes = {'model.backbone.norm_cfg': norm, 'default_hooks.checkpoint': hook}
    out = translated(raw, **changes)
    assert out.model.backbone.norm_cfg.type == 'SyncBN'
    assert out.checkpoint_config == {'interval': 7}


def test_resuming_from_a_named_checkpoint(raw):
    out = translated(raw, load_from='a.pth', resume=True)
    assert out.resume_from == 'a.pth' and 'load_from' not in out


@pytest.mark.parametrize(
    ('key', 'value', 'advice'),
    [
        ('train_dataloader.sampler.type', 'ClassAwareSampler', "set it to 'InfiniteSampler' or"),
        ('train_dataloader.num_batch_per_epoch', 3, 'remove it'),
        ('train_dataloader.collate_fn', dict(type='my_collate'), "set it to 'pseudo_collate' or"),
        ('train_dataloader.batch_sampler', dict(type='X'), 'remove it'),
        ('val_dataloader.sampler.type', 'InfiniteSampler', "set it to 'DefaultSampler'"),
        (f'{_DATASET}.data_prefix.depth_map_path', 'd', 'images and labels only'),
        (f'{_DATASET}.indices', [1, 2], 'list the images in ann_file'),
        (f'{_DATASET}.backend_args', dict(backend='petrel'), 'files are read from disks'),
        ('model.data_preprocessor.batch_augments', [{}], 'set it to None'),
        ('model.data_preprocessor.type', 'MyPreProcessor', 'write its steps into the pipelines'),
        ('model.data_preprocessor.size_divisor', 32, 'give one of size and size_divisor'),
        ('train_cfg.type', 'MyLoop', 'the loops here count'),
        ('train_cfg.dynamic_intervals', [(9, 1)], 'set it to None'),
        ('val_cfg.fp16', True, 'the precision of training'),
        ('optim_wrapper.type', 'DeepSpeedOptimWrapper', "set it to 'OptimWrapper' or"),
        ('optim_wrapper.clip_grad', dict(type='value', clip_value=1), 'give max_norm'),
        ('val_evaluator.nan_to_num', 0, 'left out of the means'),
        ('val_evaluator.type', 'DepthMetric', 'IoUMetric and CityscapesMetric'),
        ('val_evaluator.ignore_index', 0, 'give ignore_index to the data set'),
        ('default_hooks.checkpoint.save_best', ['mIoU', 'aAcc'], 'name one score'),
        ('default_hooks.ema', dict(type='EMAHook', update_buffers=True), 'not averaged here'),
        ('default_hooks.ema', dict(type='EMAHook', begin_iter=9), 'set it to 0'),
    ],
)  # fmt: skip
def test_what_would_change_training_or_scores_is_refused(raw, key, value, advice):
    with pytest.raises(UserError) as raised:
        translated(raw, **{key: value})
    error = raised.value
    assert 'no counterpart here' in error.problem and advice in error.advice
    assert key.rpartition('.')[2] in error.key or key.endswith(error.key.rpartition('.')[0])
    assert error.file == '--cfg-options'


@pytest.mark.parametrize(
    ('step', 'advice'),
    [
        (dict(type='Resize', scale=9, interpolation='nearest'), "set it to 'bilinear'"),
        (dict(type='Resize', scale=9, backend='pillow'), "set it to 'cv2'"),
        (dict(type='Resize', scale_factor=(1, 2)), 'give one number'),
        (dict(type='RandomFlip', prob=[0.3, 0.2], direction='vertical'), 'a RandomFlip for each'),
        (dict(type='RandomFlip', prob=0.3, direction='diagonal'), 'a RandomFlip for each'),
        (dict(type='RandomFlip', prob=0.3, direction='vertical', swap_seg_labels=[(0, 1)]),
         'by horizontal flips only'),
        (dict(type='Pad', size=9, padding_mode='reflect'), "set it to 'constant'"),
        (dict(type='Pad', pad_to_square=True), 'give size or size_divisor'),
        (dict(type='RandomResize', scale=9, resize_type='Mine'), "set it to 'Resize'"),
        (dict(type='RandomResize', scale=[(3, 9), (9, 3)]), 'the long edge'),
        (dict(type='LoadImageFromFile', backend_args=dict(backend='s3')), 'copy them to one'),
        (dict(type='LoadAnnotations', with_bbox=True), 'remove it'),
        (dict(type='PackSomethingElse'), 'end the pipeline with'),
    ],
)  # fmt: skip
def test_transforms_that_would_compute_something_else_are_refused(raw, step, advice):
    with pytest.raises(UserError, match=re.escape(advice)) as raised:
        end = [] if step['type'].startswith('Pack') else [dict(type='PackSegInputs')]
        translated(raw, **{f'{_DATASET}.pipeline': [step, *end]})
    assert raised.value.key.startswith(f'{_DATASET}.pipeline')


@pytest.mark.parametrize(
    ('groups', 'advice'),
    [
        ([[dict(type='RandomFlip', prob=p) for p in (0.0, 0.5)]], 'give a RandomFlip of prob=0.0'),
        (
            [[dict(type='RandomFlip', prob=0.0), *(dict(type='RandomFlip', prob=1.0, direction=d)
                                                   for d in ('horizontal', 'vertical'))]],
            'give a RandomFlip of prob=0.0',
        ),
        ([[dict(type='Resize', scale=9), dict(type='Resize', scale_factor=0.5)]], 'all of them'),
        (
            [[dict(type='Resize', scale=9, keep_ratio=k) for k in (True, False)]],
            'give all scales the same',
        ),
        ([[dict(type='CLAHE'), dict(type='Rerange')]], 'keep one transform'),
    ],
)  # fmt: skip
def test_views_that_cannot_be_averaged_are_refused(raw, groups, advice):
    steps = [dict(type='LoadImageFromFile'), dict(type='TestTimeAug', transforms=groups)]
    with pytest.raises(UserError, match=advice):
        translated(raw, tta_pipeline=steps)


@pytest.mark.parametrize(
    ('schedulers', 'advice'),
    [
        ([dict(type='ReduceOnPlateauLR')], 'use one of LinearLR, ConstantLR, PolyLR'),
        ([dict(type='PolyLR'), dict(type='PolyLR')], 'keep one policy'),
        ([dict(type='LinearLR', by_epoch=False)], 'give begin=0 and end'),
        ([dict(type='LinearLR', begin=3, end=9, by_epoch=False)], 'give begin=0 and end'),
        ([dict(type='LinearLR', end=9, end_factor=0.5, by_epoch=False)], 'ends at the full rate'),
        ([dict(type='PolyLR', begin=3, end=9, convert_to_iter_based=True)], 'leave it out'),
        ([dict(type='CosineAnnealingLR', T_max=9, by_epoch=False)], 'until the end'),
        ([dict(type='PolyLR', param_name='x')], 'remove it'),
    ],
)
def test_schedules_that_are_not_translated_are_refused(raw, schedulers, advice):
    with pytest.raises(UserError, match=re.escape(advice)):
        translated(raw, param_scheduler=schedulers)


def test_epochs_that_are_counted_in_iterations(raw):
    epochs = dict(type='EpochBasedTrainLoop', max_epochs=9)
    warmup = dict(type='LinearLR', end=1, convert_to_iter_based=True)
    policy = dict(type='PolyLR', end=9, convert_to_iter_based=True)
    out = translated(raw, train_cfg=epochs, param_scheduler=[warmup, policy]).lr_config
    assert (out.by_epoch, out.warmup_by_epoch, out.warmup_iters) == (False, True, 1)
    assert 'end' not in out


def test_a_misspelt_key_is_an_error_unless_the_right_one_is_there_too(load):
    with pytest.raises(KeyError, match="unknown top-level key 'optim_wraper'.*'optim_wrapper'"):
        load(ONE.replace('optim_wrapper =', 'optim_wraper ='))
    cfg = load("_base_ = './base.py'\nmodels = dict(a=1)\n", base=ONE)
    assert 'models' not in cfg
    assert 'models (nothing reads it; model is set)' in cfg.translation_report[1]


def test_keys_of_0x_have_no_effect_as_there(load):
    cfg = load("_base_ = './base.py'\nfp16 = dict()\nlr_config = dict(policy='step')\n", base=ONE)
    assert 'fp16' not in cfg and cfg.lr_config.policy == 'poly'
    assert 'fp16 (MMSegmentation 1.x does not read it)' in cfg.translation_report[1]


def test_values_of_a_wrong_kind_are_named(load):
    with pytest.raises(TypeError, match=r'train_dataloader is 3 \(set in config.py\), expected a'):
        load('train_dataloader = 3')
    with pytest.raises(TypeError, match=r'param_scheduler is .*, expected a dict or a list of'):
        load("param_scheduler = ['poly']")


def test_options_in_the_other_language_name_the_key_here(load):
    from msseg.apis import load_config

    load(ONE)
    with pytest.raises(KeyError, match='optim_wrapper.optimizer.lr: .*; set optimizer and optimi'):
        load_config('config.py', {'optim_wrapper.optimizer.lr': 0.1}, parts=())
    cfg = load_config('config.py', {'optimizer.lr': 0.5, 'model.pretrained': None}, parts=())
    assert cfg.optimizer.lr == 0.5


# ------------------------------------------------------------ nonsense


def paths(value, path=()):
    yield path
    pairs = value.items() if isinstance(value, dict) else ()
    for key, child in enumerate(value) if isinstance(value, (list, tuple)) else pairs:
        yield from paths(child, (*path, key))


def put(value, path, junk):
    if not path:
        return junk
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[path[0]] = put(copied[path[0]], path[1:], junk)
    return copied


@pytest.mark.parametrize('junk', [None, 'x', [{}]], ids=repr)
def test_nonsense_anywhere_is_translated_or_refused_in_one_line(raw, junk):
    """What is translated all the same is refused by the checks that follow."""
    steps = [
        dict(type='RandomChoiceResize', scales=[(9, 9)], resize_type='ResizeShortestEdge',
             max_size=9),
        dict(type='Pad', size=(9, 9), pad_val=dict(img=1)),
        dict(type='Resize', scale_factor=(1, 1)),
        dict(type='PackSegInputs'),
    ]  # fmt: skip
    values = {key: raw[key] for key in raw if key not in ('dataset', 'train_pipeline')}
    values['custom_hooks'] = [dict(type='EMAHook'), dict(type='EarlyStoppingHook', min_delta=0.1)]
    values = put(values, ('train_dataloader', 'dataset', 'pipeline'), steps)
    refused = 0
    for path in paths(values):
        try:
            translate(Config(put(values, path, junk) if path else values)._cfg_dict)
        except UserError as error:
            refused += 1
            assert '\n' not in str(error)
    assert refused > 20

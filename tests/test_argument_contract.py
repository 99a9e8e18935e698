"""Nonsense given to any argument of any registered part, and to any option, is one line."""

import logging
import math
import shutil
import sys
from types import ModuleType

import numpy as np
import pytest
from mindspore import Parameter, Tensor, nn
from mindspore.nn.utils import no_init_parameters

from msseg.apis.config_schema import get_schema
from msseg.config import Config
from msseg.config.checking import find_problems
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import BACKBONES, HEADS, LOSSES, NECKS, PIXEL_SAMPLERS, SEGMENTORS
from msseg.models.layers import (
    ACTIVATION_LAYERS,
    DROP_LAYERS,
    NORM_LAYERS,
    TRANSFORMER_LAYERS,
    UPSAMPLE_LAYERS,
)
from msseg.runner import HOOKS, OPTIMIZER_CONSTRUCTORS, OPTIMIZERS, RUNNERS
from msseg.runner.train_step import TrainStep
from msseg.utils.arguments import constructors, type_hints
from msseg.utils.cli import USER_ERRORS
from tests.test_datasets.data_folder import CLASSES, write_images
from tests.test_datasets.test_pipelines.test_contract import CONFIGS
from tests.test_models.model_configs import tiny_hrnet, tiny_ocrnet
from tests.tiny_families import knet_stage

REGISTRIES = (
    BACKBONES, NECKS, HEADS, LOSSES, PIXEL_SAMPLERS, SEGMENTORS, NORM_LAYERS, DATASETS, PIPELINES,
    HOOKS, OPTIMIZERS, OPTIMIZER_CONSTRUCTORS, RUNNERS, ACTIVATION_LAYERS, DROP_LAYERS,
    UPSAMPLE_LAYERS, TRANSFORMER_LAYERS,
)  # fmt: skip
NONSENSE = {
    'nan': math.nan, 'inf': math.inf, '-1': -1, 'word': 'maybe', 'fraction': 1.5, 'huge': 10**400,
}  # fmt: skip
WORDS = {
    'loss_name', 'monitor', 'log_dir', 'out_dir', 'img_suffix', 'seg_map_suffix', 'pretrained',
    'save_best', 'work_dir', 'load_from', 'resume_from', 'log_level', 'metric', 'imports', 'type',
    'priority', 'img_dir', 'ann_dir', 'split', 'data_root', 'classes', 'class_weight', 'array',
    'out_suffix', 'exp_name', 'tracking_uri', 'run_name',
}  # fmt: skip
# A number below 0 is a colour, an angle, an offset, a label, or stands for "none" or "all".
NEGATIVE = {
    'ignore_index', 'in_index', 'end_level', 'frozen_stages', 'dropout_ratio', 'seg_pad_val',
    'ignore_label', 'pad_val', 'BEiT.out_indices', 'MAE.out_indices',
    'interval', 'max_keep_ckpts', 'min_value', 'fill_in', 'seg_fill_in', 'log_level', 'priority',
    'VisionTransformer.out_indices', 'nodata', 'fill',
}  # fmt: skip
FRACTIONS = {
    'boundary_threshold', 'dropout_ratio', 'loss_weight', 'gamma', 'exponent', 'smooth', 'jitter',
    'eps', 'momentum',
    'lr', 'weight_decay', 'clip_limit', 'pad_val', 'fill_in', 'min_value', 'max_value', 'degree',
    'brightness_delta', 'scale_factor', 'img_ratios', 'min_delta', 'worker_timeout', 'power',
    'min_lr', 'min_lr_ratio', 'loss_scale', 'init_scale', 'growth_factor', 'max_norm', 'norm_type',
    'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult', 'widen_factor', 'ratio', 'temperature',
    'normalization_factor', 'mlp_ratio', 'qk_scale', 'init_values', 'init_std',
    'layer_scale_init_value', 'nodata', 'fill', 'band_delta',
}  # fmt: skip
OF_ACTIVATIONS = {
    'ELU.alpha', 'HSigmoid.bias', 'HSigmoid.divisor', 'HSigmoid.max_value', 'HSigmoid.min_value',
    'LeakyReLU.negative_slope', 'PReLU.init',
}  # fmt: skip
# Numbers below 0 count from the end.
OF_STAGES = {
    f'{scope}{name}.out_indices' for scope in ('', 'mmcls.') for name in ('ConvNeXt', 'PoolFormer')
}
INFINITE = {'worker_timeout', 'norm_type'}
MEANT = {
    'word': WORDS, '-1': NEGATIVE | OF_ACTIVATIONS | OF_STAGES,
    'fraction': FRACTIONS | OF_ACTIVATIONS,
    'inf': INFINITE,
}  # fmt: skip
# Arguments of constructors that no config gives.
INTERNAL = {
    'params', 'train_step', 'model', 'loader', 'logger', 'meta', 'evaluate', 'reported', 'coverage',
    'dataset', 'datasets', 'keys', 'meta_keys', 'work_dir',
}  # fmt: skip


class Step:
    optimizer = None


class Lengths:
    iters_per_epoch, global_batch = 3, 1


def write_data_yaml(root):
    for folder, source in (('images', 'img'), ('masks', 'ann')):
        shutil.copytree(root / source / 'train', root / 'yaml' / folder)
    (root / 'yaml' / 'data.yaml').write_text(f'train: images\nnames: {[*CLASSES]}\n')
    return str(root / 'yaml' / 'data.yaml')


@pytest.fixture(scope='module')
def needed(tmp_path_factory):
    """What must be given to build each part, by its name."""
    root = tmp_path_factory.mktemp('data')
    write_images(root, 1)
    folder = dict(data_root=str(root), img_dir='img/train', ann_dir='ann/train', pipeline=[])
    (root / 'names.txt').write_text('image0\n')
    head = dict(in_channels=4, channels=4, num_classes=3, in_index=0)
    lists = dict(head, in_channels=[4], in_index=[0])
    sets = {
        name: dict(folder, img_suffix='.jpg', seg_map_suffix='.png') for name in names(DATASETS)
    }
    for name in sorted(sets):
        if getattr(DATASETS.get(name), 'needs_split', False):
            sets[name]['split'] = 'names.txt'
    sets['CustomDataset']['classes'] = CLASSES
    part = DATASETS.build(dict(sets['CustomDataset'], type='CustomDataset'))
    sets['YamlDataset'] = dict(data=write_data_yaml(root), pipeline=[])
    sets['ConcatDataset'] = dict(datasets=[part])
    sets['RepeatDataset'] = dict(dataset=part, times=2)
    sets['ClassBalancedDataset'] = dict(dataset=part, oversample_thr=0.5)
    sets['MultiImageMixDataset'] = dict(dataset=part, pipeline=[])
    weight = dict(params=[dict(params=[Parameter(Tensor(np.ones(1, np.float32)), 'w')])], lr=0.1)
    run = dict(train_step=Step(), model=nn.Cell(), loader=Lengths(), work_dir=root,
               logger=logging.getLogger('x'), max_iters=3)  # fmt: skip
    deconv = dict(in_channels=2, out_channels=2, kernel_size=2)
    stdc = dict(stdc_type='STDCNet1', in_channels=3, channels=(8, 8, 256, 512, 1024),
                bottleneck_type='cat', norm_cfg=dict(type='BN'), act_cfg=None)  # fmt: skip
    parts = {
        **sets,
        **dict.fromkeys(('deconv', 'deconv2d'), deconv),
        **dict.fromkeys(('InterpConv', 'DeconvModule'), dict(in_channels=2, out_channels=2)),
        **CONFIGS,
        **{name: dict(num_features=4) for name in names(NORM_LAYERS)},
        **dict.fromkeys(names(OPTIMIZERS), weight),
        **dict.fromkeys(names(RUNNERS), run),
        **dict.fromkeys(('ResNet', 'ResNetV1c', 'ResNetV1d'), dict(depth=18)),
        **dict.fromkeys(('ResNeXt', 'ResNeSt'), dict(depth=50)),
        'LearningRateDecayOptimizerConstructor': dict(num_layers=2, decay_rate=0.5),
        'LayerDecayOptimizerConstructor': dict(num_layers=2, layer_decay_rate=0.5),
        'GN': dict(num_features=4, num_groups=2),
        **dict.fromkeys(('ConvNeXt', 'mmcls.ConvNeXt'), dict(arch=dict(depths=[1], channels=[4]))),
        'HRNet': {k: v for k, v in tiny_hrnet().items() if k != 'type'},
        'ANNHead': dict(head, in_channels=(4, 4), in_index=(0, 1), project_channels=2),
        **dict.fromkeys(('APCHead', 'ASPPHead', 'DMHead'), head),
        **dict.fromkeys(('DDRHead', 'PIDHead'), head),
        'DAHead': dict(head, pam_channels=2),
        'DepthwiseSeparableASPPHead': dict(head, c1_in_channels=4, c1_channels=2),
        'FPN': dict(in_channels=[4, 8], out_channels=4, num_outs=2),
        'EMAHead': dict(head, ema_channels=4, num_bases=3, num_stages=2),
        'EncHead': lists,
        'Feature2Pyramid': dict(embed_dim=4),
        'MLANeck': dict(in_channels=[4], out_channels=4),
        'MultiLevelNeck': dict(in_channels=[4], out_channels=4),
        'FPNHead': dict(lists, feature_strides=[4]),
        'PointHead': lists,
        'PSAHead': dict(head, mask_size=(3, 3)),
        'PSPHead': head,
        **dict.fromkeys(('SegformerHead', 'UPerHead', 'LightHamHead'), lists),
        **dict.fromkeys(('FCNHead', 'DepthwiseSeparableFCNHead', 'SETRUPHead'), head),
        'DPTHead': dict(
            head,
            in_channels=[4] * 4,
            in_index=[0, 1, 2, 3],
            input_transform='multiple_select',
            embed_dims=4,
            post_process_channels=(2, 3, 4, 5),
        ),  # fmt: skip
        'SETRMLAHead': dict(lists, mla_channels=4),
        'SegmenterMaskTransformerHead': dict(head, num_layers=1, num_heads=1, embed_dims=4),
        'CCHead': dict(head, channels=8),
        'ISAHead': dict(head, isa_channels=2),
        **dict.fromkeys(('NLHead', 'GCHead', 'DNLHead'), head),
        'BiSeNetV1': dict(backbone_cfg=dict(type='ResNet', depth=18)),
        'ICNet': dict(
            backbone_cfg=dict(type='ResNetV1c', depth=18, norm_cfg=dict(type='BN')),
            layer_channels=(128, 512),
        ),
        'STDCNet': stdc,
        'STDCContextPathNet': dict(
            backbone_cfg=dict(stdc, type='STDCNet'), ffm_cfg=dict(in_channels=384, out_channels=8)
        ),
        'STDCHead': dict(head, num_classes=2),
        'OCRHead': dict(head, ocr_channels=4),
        'IterativeDecodeHead': dict(
            num_stages=1,
            kernel_generate_head=dict(head, type='FCNHead', channels=8),
            kernel_update_head=[knet_stage()],
        ),
        'LRASPPHead': dict(
            head,
            in_channels=(4, 4),
            in_index=(0, 1),
            branch_channels=(4,),
            input_transform='multiple_select',
        ),  # fmt: skip
        'LovaszLoss': dict(per_image=True),
        'EncoderDecoder': dict(
            backbone=tiny_hrnet(), decode_head=dict(head, type='FCNHead', concat_input=False)
        ),
        'CascadeEncoderDecoder': {k: v for k, v in tiny_ocrnet().items() if k != 'type'},
        'EvalHook': dict(evaluate=dict, reported=['mIoU']),
        'LrUpdaterHook': dict(policy='poly'),
    }
    return {**parts, 'EpochBasedRunner': {**run, 'max_iters': None, 'max_epochs': 2}}


@pytest.fixture
def trackers(monkeypatch):
    """Packages that need not be installed: hooks import them, and use them in a run alone."""
    for name in ('mlflow', 'swanlab', 'wandb'):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))


def names(registry):
    own = [n for n, entry in registry.module_dict.items() if entry.__module__.startswith('msseg')]
    return sorted(own)


def is_meant(argument, kind):
    return argument in MEANT.get(kind, ())


ENTRIES = [(registry, name) for registry in REGISTRIES for name in names(registry)]


@pytest.mark.parametrize(('registry', 'name'), ENTRIES, ids=[name for _, name in ENTRIES])
@pytest.mark.usefixtures('trackers')
def test_nonsense_for_an_argument_is_one_line(registry, name, needed):
    entry = registry.get(name)
    with no_init_parameters():
        registry.build({'type': name, **needed.get(name, {})})
    taken = []
    own = [f for f in constructors(entry) if f.__module__.startswith('msseg')]
    for argument in sorted({name for f in own for name in type_hints(f)} - INTERNAL):
        for kind, value in NONSENSE.items():
            cfg = {'type': name, **needed.get(name, {}), argument: value}
            try:
                with no_init_parameters():
                    registry.build(cfg)
            except USER_ERRORS as error:
                assert '\n' not in str(error) and len(str(error)) < 600, str(error)[:1000]
                continue
            if not (is_meant(argument, kind) or is_meant(f'{name}.{argument}', kind)):
                taken.append((argument, kind))
    assert taken == [], f'{name} takes what makes no sense; refuse it, or say here what it means'


@pytest.mark.parametrize(('registry', 'name'), ENTRIES, ids=[name for _, name in ENTRIES])
def test_every_hint_can_be_read(registry, name):
    for function in constructors(registry.get(name)):
        if function.__module__.startswith('msseg'):
            named = {k for k in function.__annotations__ if k not in ('return', 'kwargs')}
            assert named - {'policy_args'} <= {*type_hints(function)}


OPTIONS = {
    'data': {},
    'data.train_dataloader': {},
    'optimizer': dict(type='SGD', lr=0.1),
    'optimizer_config': {},
    'optimizer_config.grad_clip': {},
    'lr_config': dict(policy='poly'),
    'runner': dict(type='IterBasedRunner'),
    'checkpoint_config': {},
    'evaluation': {},
    'log_config': {},
    'fp16': {},
    'fp16.loss_scale': {},
    'auto_scale_lr': {},
    'custom_imports': {},
    'model.test_cfg': {},
}


@pytest.mark.parametrize('section', OPTIONS)
def test_nonsense_for_an_option_is_found_in_the_config(section):
    schema = get_schema()
    path = tuple(section.split('.'))
    keys = schema.accepts(path, OPTIONS[section]).keys
    assert keys
    for key in sorted(keys - {'train', 'val', 'test', 'hooks', 'policy', 'type'}):
        for kind, value in NONSENSE.items():
            node = {**OPTIONS[section], key: value}
            for name in reversed(path):
                node = {name: node}
            found = list(find_problems(Config(node), schema))
            assert found or is_meant(key, kind), f'{section}.{key}={kind} passes'
            assert all('\n' not in str(problem.error) for problem in found)


@pytest.mark.parametrize('key', ['seed', 'work_dir', 'load_from', 'load_partial_backbone'])
def test_nonsense_at_the_top_is_found_in_the_config(key):
    for kind, value in NONSENSE.items():
        found = list(find_problems(Config({key: value}), get_schema()))
        assert found or is_meant(key, kind), f'{key}={kind} passes'


def test_the_training_step_counts_whole_iterations():
    with pytest.raises(ValueError, match='cumulative_iters is 1.5'):
        TrainStep(nn.Cell(), nn.Cell(), cumulative_iters=1.5)

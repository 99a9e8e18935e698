"""The table of what consumes which key: users' typical keys pass, typical mistakes do not."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from msseg.apis.config_schema import TOP_LEVEL, get_schema, load_config
from msseg.registry import Registry
from msseg.runner.schedules import POLICIES

CONFIG = 'configs/ocrnet/ocrnet_hr18s_512x1024_40k_cityscapes.py'


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])


@pytest.fixture
def child(tmp_path):
    """`child(text)` writes a config that inherits from `CONFIG`."""

    def write(text: str) -> str:
        (tmp_path / 'child.py').write_text(f'_base_ = {str(Path(CONFIG).resolve())!r}\n{text}')
        return str(tmp_path / 'child.py')

    return write


@pytest.mark.parametrize(
    'options',
    [
        {'evaluation.save_best': 'mIoU', 'evaluation.start': 100},
        {'optimizer_config.grad_clip.max_norm': 35, 'optimizer_config.grad_clip.norm_type': 2},
        {'checkpoint_config.max_keep_ckpts': 3},
        {'lr_config.warmup': 'linear', 'lr_config.warmup_iters': 10, 'lr_config.min_lr': 0},
        {'lr_config._delete_': True, 'lr_config.policy': 'step', 'lr_config.step': [1, 2]},
        {'optimizer._delete_': True, 'optimizer.type': 'AdamW', 'optimizer.lr': 1e-3},
        {'optimizer.paramwise_cfg.custom_keys': {'head': {'lr_mult': 10.0}}},
        {'optimizer.paramwise_cfg.norm_decay_mult': 0.0},
        {'data.train_dataloader.samples_per_gpu': 4, 'data.val_dataloader.workers_per_gpu': 0},
        {'data.train.num_samples': 5, 'data.val.classes': ['a']},
        {'data.train.pipeline.3.cat_max_ratio': 0.9},
        {'model.test_cfg.mode': 'slide', 'model.test_cfg.crop_size': (4, 4)},
        {'model.test_cfg.merge': 'exp_logits', 'model.test_cfg.swap_seg_labels': [(0, 1)]},
        {'model.backbone.norm_eval': True, 'model.backbone.frozen_stages': 1},
        {'model.decode_head.*.sampler.type': 'OHEMPixelSampler'},
        {'model.decode_head.1.loss_decode.class_weight': [1.0] * 19},
        {'model.backbone.norm_cfg.type': 'BN', 'model.backbone.norm_cfg.eps': 1e-3},
        {'custom_hooks': [{'type': 'NaNGuardHook', 'priority': 'LOW'}]},
        {'runner._delete_': True, 'runner.type': 'EpochBasedRunner', 'runner.max_epochs': 3},
        {'seed': 1, 'work_dir': 'x', 'load_from': 'y', 'log_level': 'DEBUG'},
    ],
)
def test_what_users_set_on_the_command_line_passes_and_is_there(options):
    cfg = load_config(CONFIG, options)
    for key, value in options.items():
        if not key.endswith('_delete_'):
            assert cfg.find(key.replace('*', '0'))[0] == value


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        ({'optimizer.momentun': 0.9}, KeyError, "an argument of SGD. Did you mean 'momentum'"),
        ({'evaluation.save_bst': 'mIoU'}, KeyError, "of evaluation. Did you mean 'save_best'"),
        ({'optimizer_config.grad_clip.maxnorm': 1}, KeyError, "Did you mean 'max_norm'"),
        ({'lr_config.powr': 1}, KeyError, "policy 'poly'. Did you mean 'power'"),
        ({'lr_config.gamma': 1}, KeyError, "nor is it an argument of policy 'poly'"),
        ({'checkpoint_config.max_keep': 1}, KeyError, "Did you mean 'max_keep_ckpts'"),
        ({'model.decode_head.0.num_clases': 2}, KeyError, "Did you mean 'num_classes'"),
        (
            {'model.decode_head.1.type': 'OCRHed'},
            KeyError,
            r'decode_head\[1\]: OCRHed is not in .*',
        ),
        ({'data.train.type': 'CityscapeDataset'}, KeyError, "Did you mean 'CityscapesDataset'"),
        ({'data.sample_per_gpu': 2}, KeyError, "Did you mean 'samples_per_gpu'"),
        ({'optimizer.type': 'SDG'}, KeyError, "SDG is not in the optimizer.*Did you mean 'SGD'"),
        ({'lr_config.policy': 'pol'}, KeyError, "policy is 'pol', expected.*Did you mean 'poly'"),
        (
            {'lr_config.policy': 3},
            KeyError,
            "lr_config.policy is 3, expected a name such as 'poly'",
        ),
        ({'model.decode_head.num_classes': 2}, TypeError, 'is a list of 2'),
    ],
)
def test_mistakes_on_the_command_line_are_errors(options, error, message):
    with pytest.raises(error, match=message):
        load_config(CONFIG, options)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('optimzer = dict(lr=1)', "unknown top-level key 'optimzer' .*child.py.*'optimizer'"),
        (
            'evaluation = dict(intervall=1)',
            r"evaluation takes no 'intervall' \(set in .*child.py\)",
        ),
        (
            'data = dict(train=dict(pipeline={3: dict(cat_max_ration=0.9)}))',
            r"data.train.pipeline\[3\]: RandomCrop takes no 'cat_max_ration' .*'cat_max_ratio'",
        ),
        (
            'data = dict(test=dict(pipeline={1: dict(transforms={0: dict(keep_ration=1)})}))',
            r"data.test.pipeline\[1\].transforms\[0\]: Resize takes no 'keep_ration'.*'keep_ratio'",
        ),
        (
            'log_config = dict(hooks=[dict(type="TextLogerHook")])',
            r"log_config.hooks\[0\]: TextLogerHook is not in the hook.*'TextLoggerHook'",
        ),
        ('model = dict(backbone=dict(norm_eva=True))', "HRNet takes no 'norm_eva'.*'norm_eval'"),
        ('model = dict(test_cfg=dict(mod="slide"))', "inference takes no 'mod'.*'mode'"),
        ('model = dict(test_cfg=dict(merg="softmax"))', "inference takes no 'merg'.*'merge'"),
        (
            'data = dict(train=dict(_delete_=True, type="RepeatDataset", times=2, '
            'dataset=dict(type="CityscapesDataset", pipline=[])))',
            "data.train.dataset: CityscapesDataset takes no 'pipline'.*'pipeline'",
        ),
    ],
)
def test_mistakes_in_a_file_are_errors_naming_it(child, text, message):
    with pytest.raises((KeyError, TypeError), match=message):
        load_config(child(text))


def test_a_component_of_ones_own_is_imported_before_the_check(child, tmp_path):
    (tmp_path / 'own_schema_hook.py').write_text(
        'from msseg.runner import HOOKS, Hook\n'
        '@HOOKS.register_module()\n'
        'class OwnSchemaHook(Hook):\n'
        '    def __init__(self, volume):\n'
        '        pass\n'
    )
    text = (
        "custom_imports = dict(imports=['own_schema_hook'])\n"
        "custom_hooks = [dict(type='OwnSchemaHook', {}=3)]"
    )
    load_config(child(text.format('volume')))
    with pytest.raises(TypeError, match="OwnSchemaHook takes no 'volum'.*'volume'"):
        load_config(child(text.format('volum')))


def test_keys_without_meaning_are_dropped_and_reported(child, caplog):
    text = "cudnn_benchmark = True\ndist_params = dict(backend='nccl')\n"
    with caplog.at_level(logging.INFO, 'msseg'):
        cfg = load_config(child(text + 'evaluation = dict(efficient_test=True, pre_eval=True)'))
    report = [r.getMessage() for r in caplog.records if 'mean nothing here' in r.getMessage()]
    assert len(report) == 1
    for name in ('cudnn_benchmark=True', 'dist_params=', 'evaluation.pre_eval=True'):
        assert name in report[0]
    assert not {'cudnn_benchmark', 'dist_params'} & set(cfg)
    assert 'pre_eval' not in cfg.evaluation


def test_an_option_that_changes_a_mere_variable_is_warned_about(caplog):
    cfg = load_config(CONFIG, {'norm_cfg.type': 'BN'})
    assert 'norm_cfg is a variable of the config file' in caplog.text
    assert cfg.model.backbone.norm_cfg.type == 'SyncBN'


def test_the_table_knows_every_registry_and_key():
    schema = get_schema()
    assert all(isinstance(registry, Registry) for registry in schema.registries)
    assert {path.split('.')[0] for path in schema.by_path} <= set(TOP_LEVEL)
    assert {key.split('.')[0] for key in schema.meaningless} <= set(TOP_LEVEL)


def test_the_page_on_configs_lists_every_top_level_key():
    page = Path('docs/config.md').read_text(encoding='utf-8')
    assert [key for key in TOP_LEVEL if f'| `{key}` | {TOP_LEVEL[key]} |' not in page] == []


def test_the_page_on_configs_lists_the_keys_that_no_class_takes():
    page = Path('docs/config.md').read_text(encoding='utf-8')
    table = page.partition('## Keys inside them')[2].partition('## Writing')[0]
    missing = []
    for path, rule in get_schema().by_path.items():
        nodes = [{'policy': name} for name in POLICIES] if path == 'lr_config' else [{}]
        accepted = [accepts.keys or () for node in nodes if (accepts := rule(node)) is not None]
        rows = '\n'.join(row for row in table.splitlines() if path.split('.')[0] in row)
        for key in set().union(*accepted):
            if not re.search(rf'\b{key}\b', rows):
                missing.append(f'{path}.{key}')
    assert missing == []


def test_the_page_for_users_of_mmsegmentation_lists_what_is_ignored():
    page = Path('docs/from_mmsegmentation.md').read_text(encoding='utf-8')
    names = {key.rpartition('.')[2] for key in get_schema().meaningless}
    assert [name for name in sorted(names) if f'`{name}`' not in page] == []

"""Strict checking: misspelt keys are errors that name the right one and the file."""

from __future__ import annotations

import logging

import pytest

from msseg.config import Config
from msseg.config.checking import (
    Schema,
    check_config,
    check_options,
    drop_meaningless,
    find_problems,
    registered,
    takes,
    takes_anything,
)
from msseg.registry import Registry

HEADS = Registry('head')
HOOKS = Registry('hook')


class BaseHead:
    def __init__(self, num_classes, norm_cfg=None, loss=None, extra=None):
        pass


@HEADS.register_module()
class OCRHead(BaseHead):
    def __init__(self, ocr_channels, **kwargs):
        super().__init__(**kwargs)


@HEADS.register_module('AnyHead')
def any_head(**kwargs):
    pass


@HOOKS.register_module()
class EMAHook:
    def __init__(self, momentum=0.1):
        pass


SCHEMA = Schema(
    top_level=dict(model='', optimizer='', lr_config='', evaluation='', custom_hooks='', cudnn=''),
    by_path={
        'evaluation': takes('evaluation', 'interval', 'save_best', 'clip'),
        'evaluation.clip': takes('clip', 'max_norm'),
        'optimizer.custom_keys': takes_anything,
        'custom_hooks': registered(HOOKS, without=['momentum'], priority=int | str),
    },
    by_key={'decode_head': registered(HEADS), 'norm_cfg': takes('norm_cfg', 'type', 'eps')},
    registries=(HEADS, HOOKS),
    lists=frozenset({'custom_hooks'}),
    meaningless={'cudnn': 'a PyTorch setting', 'evaluation.pre_eval': 'always so'},
)

HEAD = "dict(type='OCRHead', ocr_channels=4, num_classes=2)"


@pytest.mark.parametrize(
    'text',
    [
        f"model = dict(type='Net', decode_head=[{HEAD}, dict(type='AnyHead', x=1)])",
        'model = dict(decode_head=dict(num_classes=2, anything=1))',
        "model = dict(decode_head=dict(type='OCRHead', norm_cfg=dict(type='BN', eps=1)))",
        "model = dict(unknown=dict(type='NotRegistered', x=1), other=dict(x=1))",
        'evaluation = dict(interval=1, pre_eval=True)\ncudnn = True',
        'optimizer = dict(custom_keys=dict(backbone=dict(lr_mult=2)))',
        "custom_hooks = [dict(type='EMAHook', priority=1)]",
        "my_variable = dict(type='OCRHead', typo=1)\n_optimzer = 3",
        'evaluation = None',
    ],
)
def test_what_is_taken_passes(load, text):
    cfg = load(text)
    check_config(cfg, SCHEMA)
    assert list(find_problems(cfg, SCHEMA)) == []


@pytest.mark.parametrize(
    ('text', 'error', 'message'),
    [
        (
            f"model = dict(decode_head=[{HEAD}, dict(type='OCRHead', num_clases=2)])",
            TypeError,
            r"model.decode_head\[1\]: OCRHead takes no 'num_clases' \(set in config.py\)\. "
            "Did you mean 'num_classes'",
        ),
        (
            "model = dict(decode_head=dict(type='OCRHaed'))",
            KeyError,
            r'model.decode_head: OCRHaed is not in the head registry \(set in config.py\)\. '
            "Did you mean 'OCRHead'.*custom_imports",
        ),
        (
            "model = dict(anything=dict(type='OCRHead', zzz=1))",
            TypeError,
            r"model.anything: OCRHead takes no 'zzz' .*expected one of \['extra', .*, 'type'\]",
        ),
        (
            "model = dict(decode_head=dict(type='AnyHead', norm_cfg=dict(type='BN', esp=1)))",
            TypeError,
            "model.decode_head.norm_cfg: norm_cfg takes no 'esp'.*mean 'eps'",
        ),
        (
            'evaluation = dict(intervall=1)',
            TypeError,
            "evaluation takes no 'intervall'.*'interval'",
        ),
        (
            "custom_hooks = [dict(type='EMAHook', momentum=1)]",
            TypeError,
            r"custom_hooks\[0\]: EMAHook takes no 'momentum'",
        ),
        (
            'optimzer = dict(lr=1)',
            KeyError,
            r"unknown top-level key 'optimzer' \(set in config.py\)\. Did you mean 'optimizer'\? "
            '.*such as _optimzer',
        ),
        ('lr_confg = 1', KeyError, "Did you mean 'lr_config'"),
    ],
)
def test_what_is_not_taken_is_an_error(load, text, error, message):
    with pytest.raises(error, match=message):
        check_config(load(text), SCHEMA)


def test_the_error_names_the_file_that_set_the_value(load):
    cfg = load("_base_ = 'base.py'\nb = 1", base=f'model = dict(decode_head=[{HEAD}])')
    cfg.merge_from_dict({'model.decode_head.0.ocr_chanels': 3})
    with pytest.raises(TypeError, match=r"takes no 'ocr_chanels' \(set in --cfg-options\)"):
        check_config(cfg, SCHEMA)
    with pytest.raises(TypeError, match=r"takes no 'x' \(set in base.py\)"):
        check_config(
            load("_base_ = 'base.py'", base='evaluation = dict(x=1)'),
            SCHEMA,
        )


def test_parts_limit_the_check(load):
    cfg = load('model = dict()\nevaluation = dict(x=1)')
    check_config(cfg, SCHEMA, ['model', 'optimizer'])
    with pytest.raises(TypeError, match="evaluation takes no 'x'"):
        check_config(cfg, SCHEMA, ['model', 'evaluation'])


def options(cfg: Config, **values) -> Config:
    changes = {key.replace('__', '.').replace('.all.', '.*.'): v for key, v in values.items()}
    after = Config(cfg._cfg_dict.deepcopy())
    after.merge_from_dict(changes)
    check_options(cfg, after, changes, SCHEMA)
    return after


@pytest.fixture
def cfg(load) -> Config:
    return load(
        f"""
        model = dict(type='Net', decode_head=[{HEAD}, {HEAD}], sizes=dict(a=1), none=None)
        optimizer = dict(custom_keys=dict(), lr=1)
        evaluation = dict(interval=1)
        data_root = 'data'
        """
    )


@pytest.mark.parametrize(
    'values',
    [
        dict(model__sizes__a=2),
        dict(model__decode_head__0__num_classes=3),
        dict(model__decode_head__all__norm_cfg__type='BN'),
        dict(model__decode_head__1__extra__free__form=1),
        dict(model__decode_head__1__type='AnyHead', model__decode_head__1__whatever=1),
        dict(model__none__x=1),
        dict(evaluation__save_best='mIoU'),
        dict(evaluation__clip__max_norm=1),
        dict(optimizer__custom_keys__backbone=dict(lr_mult=1)),
        {'optimizer._delete_': True, 'optimizer.lr': 2},
        dict(lr_config__policy='poly'),
        dict(cudnn=False),
        dict(evaluation__pre_eval=True),
    ],
)
def test_options_for_what_exists_or_is_taken_pass(cfg, values, caplog):
    assert options(cfg, **values)._cfg_dict != cfg._cfg_dict
    assert caplog.messages == []


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(optimzer__lr=1), "optimzer.lr: 'optimzer' is neither in the config.*'optimizer'"),
        (dict(optimizer__lrr=1), "optimizer has no 'lrr'.*nor is it known to be read.*mean 'lr'"),
        (dict(evaluation__save_bst=1), "nor is it an argument of evaluation.*'save_best'"),
        (dict(evaluation__clip__max_nrm=1), "evaluation.clip has no 'max_nrm'.*'max_norm'"),
        (dict(model__sizes__aa=1), "model.sizes has no 'aa'.*mean 'a'"),
        (dict(model__decode_head__all__num_clases=1), 'an argument of OCRHead.*num_classes'),
        (dict(model__backbne__depth=1), "model has no 'backbne'"),
    ],
)
def test_options_for_what_nothing_reads_are_errors(cfg, values, message):
    with pytest.raises(KeyError, match=message):
        options(cfg, **values)


def test_options_below_an_absent_key_are_checked_too(load):
    after = load("evaluation = dict(save_bst='mIoU')")
    with pytest.raises(KeyError, match="evaluation has no 'save_bst' in the config.*'save_best'"):
        check_options(Config({}), after, ['evaluation.save_bst'], SCHEMA)


def test_an_option_for_a_variable_is_warned_about(cfg, caplog):
    options(cfg, data_root='elsewhere')
    assert 'data_root is a variable of the config file, and nothing reads it' in caplog.text


def test_meaningless_keys_are_removed_and_reported_in_one_line(load, caplog):
    cfg = load('cudnn = True\nevaluation = dict(interval=1, pre_eval=True)')
    with caplog.at_level(logging.INFO, 'msseg'):
        drop_meaningless(cfg, SCHEMA)
    assert cfg._cfg_dict == dict(evaluation=dict(interval=1))
    assert [record.getMessage() for record in caplog.records] == [
        'ignored, as they mean nothing here: cudnn=True (a PyTorch setting), '
        'evaluation.pre_eval=True (always so)'
    ]
    caplog.clear()
    drop_meaningless(cfg, SCHEMA)
    assert not caplog.records


def test_all_problems_are_found_where_the_check_raises_the_first(load):
    cfg = load(
        """
        optimzer = dict()
        model = dict(decode_head=[dict(type='OCRHed', norm_cfg=dict(typ=1)),
                                  dict(type='OCRHead', num_clases=2)])
        evaluation = dict(clip=3, intervall=1)
        """
    )
    problems = list(find_problems(cfg, SCHEMA))
    assert [(problem.kind, problem.key) for problem in problems] == [
        ('key', 'optimzer'),
        ('type', 'type'),
        ('argument', 'typ'),
        ('argument', 'num_clases'),
        ('value', 'clip'),
        ('argument', 'intervall'),
    ]
    assert problems[1].node is cfg.model.decode_head[0]
    with pytest.raises(KeyError, match='optimzer'):
        check_config(cfg, SCHEMA)

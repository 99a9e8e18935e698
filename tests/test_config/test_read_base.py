"""Pure-Python configs: bases below ``with read_base()``, and classes that become names."""

from __future__ import annotations

import sys

import pytest

from msseg.config import Config

BASE = """
    from mmseg.models import FCNHead as Head, SegDataPreProcessor
    from torch.nn import SyncBatchNorm
    import torch.optim as optim
    import torch.nn

    norm_cfg = dict(type=SyncBatchNorm)
    model = dict(
        type='EncoderDecoder',
        data_preprocessor=dict(type=SegDataPreProcessor, mean=[1.0], std=[2.0]),
        backbone=dict(type='ResNet', depth=18, act_cfg=dict(type=torch.nn.ReLU)),
        decode_head=dict(type=Head, norm_cfg=norm_cfg, num_classes=2))
    optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type=optim.SGD, lr=0.1, momentum=0.9))
"""


def test_a_file_is_its_twin_in_the_other_style(load):
    child = """
        from mmengine.config import read_base
        from torch.optim import AdamW
        with read_base():
            from .base import *
        model.backbone.depth = 34
        model.update(dict(decode_head=dict(num_classes=3)))
        model.neck = dict(type='FPN')
        model.neck.pop('num_outs')
        model.neck.out_channels = 8
        optim_wrapper.merge(dict(optimizer=dict(_delete_=True, type=AdamW, lr=0.2)))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=len(model))
    """
    twin = """
        norm_cfg = dict(type='SyncBN')
        model = dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', mean=[1.0], std=[2.0]),
            backbone=dict(type='ResNet', depth=34, act_cfg=dict(type='ReLU')),
            decode_head=dict(type='FCNHead', norm_cfg=norm_cfg, num_classes=3),
            neck=dict(type='FPN', out_channels=8))
        optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.2))
        train_cfg = dict(type='IterBasedTrainLoop', max_iters=5)
    """
    cfg = load(child, base=BASE)
    assert cfg._cfg_dict == load(twin)._cfg_dict
    assert not {'torch', 'mmseg', 'mmengine'} & set(sys.modules)
    with pytest.raises(AttributeError):
        cfg.Head  # noqa: B018


def test_values_know_the_file_that_set_them(load):
    child = (
        'with read_base():\n    from .base import *\nmodel.type = "EncoderDecoder"\nlog_level = 1\n'
    )
    cfg = load(child, base=BASE)
    assert cfg.explain('optimizer.lr') == 'base.py'
    assert cfg.explain('log_level') == 'config.py'


def test_types_of_numbers_are_names(load):
    wrapper = "dict(type='AmpOptimWrapper', dtype=torch.bfloat16, optimizer=dict(type='SGD', lr=1))"
    text = f'from mmengine.config import read_base\nimport torch\noptim_wrapper = {wrapper}\n'
    assert load(text).bf16 == {}


def test_a_base_need_not_import_mmengine(load):
    base = 'from torch.nn import GroupNorm\nfrom torch import nn\nnorm_cfg = dict(type=GroupNorm)\n'
    assert load('with read_base():\n    from .base import *\n', base=base).norm_cfg.type == 'GN'
    assert (
        load('from mmcv.transforms import Resize\nstep = dict(type=Resize)').step.type == 'Resize'
    )


def test_imported_names_do_not_move_the_place_where_bases_are_read(load):
    child = """
        from mmseg.models import FCNHead, PSPHead, ResNet
        import mmengine
        _base_ = './base.py'
        doubled = {{ _base_.count }} * 2
        kind = dict(type=PSPHead)
    """
    cfg = load(child, base='count = 3\n')
    assert (cfg.doubled, cfg.kind.type) == (6, 'PSPHead')


def test_single_names_and_files_further_away(write):
    write('a/b.py', 'crop = (1, 2)\nother = 3\n')
    write('c/d/e.py', 'with read_base():\n    from ...a.b import crop as size\n')
    cfg = Config.fromfile('c/d/e.py')
    assert cfg._cfg_dict == {'size': (1, 2)}


def test_files_of_an_installed_package_are_found_without_importing_it(write, load, monkeypatch):
    write('their_tools/__init__.py', "raise RuntimeError('imported')")
    write('their_tools/configs/one.py', 'lr = 3\n')
    monkeypatch.syspath_prepend('.')
    cfg = load('with read_base():\n    from their_tools.configs.one import *\n')
    assert cfg.lr == 3
    with pytest.raises(ValueError, match=r"config.py, line 2: .*no config file 'their_tools.x'"):
        load('with read_base():\n    from their_tools.x import *\n')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('with read_base():\n    import os\n', 'line 2: a statement below read_base.. is not read'),
        ('with read_base():\n    from . import base\n', r'expected from .file import \*'),
        ('with read_base():\n    from .absent import *\n', "absent.py' does not exist"),
        ('with read_base():\n    from .config import *\n', 'config file inherits from itself'),
        ('from mmseg.models import *\n', r'line 1: from mmseg.models import \* names nothing'),
        (
            'from mmseg.utils import cityscapes_classes as names\nclasses = dict(names=names)\n',
            'mmseg.utils.cityscapes_classes is used as a value; write the value|only classes of',
        ),
        (
            'from mmengine.config import read_base\nimport torch\na = torch.zeros(3)\n',
            r'line 3: .*torch.zeros is called, expected only names',
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(load, text, message):
    with pytest.raises((ValueError, OSError), match=message):
        load(text)


def test_other_files_import_as_before(load):
    with pytest.raises(ImportError, match='imports what is not here'):
        load('import torch\n')


def test_variables_of_the_environment_have_defaults(load, monkeypatch):
    text = "root = '{{$MY_DATA:data/a}}/images'\ncount = {{'$MY_COUNT:3'}}\n"
    cfg = load(text)
    assert (cfg.root, cfg.count) == ('data/a/images', 3)
    monkeypatch.setenv('MY_DATA', '/mnt/b')
    assert load(text).root == '/mnt/b/images'
    with pytest.raises(
        KeyError, match=r'config.py, line 2: .*MY_NAME is not set .*MY_NAME:default'
    ):
        load("a = 1\nb = '{{$MY_NAME:}}'\n")

"""Classes written for MMSegmentation are told what is called here."""

import re
import types

import mindspore as ms
import pytest
from mindspore import nn

from msseg.datasets import CustomDataset
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.models.builder import BACKBONES, HEADS, LOSSES, PIXEL_SAMPLERS, build_head
from msseg.models.decode_heads import BaseDecodeHead, FCNHead
from msseg.models.layers import NORM_LAYERS
from msseg.runner.builder import HOOKS
from msseg.runner.hooks import Hook

HEAD = dict(in_channels=4, channels=4, num_classes=2, num_convs=0, concat_input=False)


def method(self, *arguments):
    """Stand for a method of a user's class."""


def takes_a_batch(self, runner, batch_idx, data_batch=None, *rest, **more):
    """Stand for a hook point of MMEngine."""


@pytest.mark.parametrize(
    ('registry', 'base', 'names', 'message'),
    [
        (
            HEADS,
            BaseDecodeHead,
            {'forward': method},
            r'.*_methods.py, line \d+.: .*calls construct',
        ),
        (HEADS, FCNHead, {'forward': method}, 'Mine defines forward .*: rename it'),
        (LOSSES, nn.Cell, {'forward': method}, 'rename it .see docs/porting.md'),
        (BACKBONES, nn.Cell, {'forward': method}, 'rename it'),
        (HEADS, FCNHead, {'forward_train': method, 'construct': method}, 'construct gives logits'),
        (
            DATASETS,
            CustomDataset,
            {'METAINFO': {}},
            'defines METAINFO: name the classes in CLASSES',
        ),
        (DATASETS, CustomDataset, {'load_data_list': method}, 'write load_annotations'),
        (DATASETS, CustomDataset, {'evaluate': method}, 'leave it out'),
        (PIPELINES, object, {'transform': method}, 'write __call__'),
        (PIXEL_SAMPLERS, nn.Cell, {'sample': method}, 'write construct'),
        (NORM_LAYERS, nn.Cell, {'forward': method}, 'rename it'),
        (HOOKS, Hook, {'after_val_epoch': method}, 'nothing calls it; after_evaluation'),
        (HOOKS, Hook, {'before_train': method}, 'write before_run'),
        (HOOKS, Hook, {'after_train_iter': takes_a_batch}, 'runner alone, and not batch_idx .see'),
    ],
)
def test_what_nothing_would_call_is_refused(registry, base, names, message):
    kind = types.new_class('Mine', (base,), exec_body=lambda body: body.update(names))
    with pytest.raises(TypeError) as raised:
        registry.register_module(module=kind)
    assert re.search(message, str(raised.value))
    assert 'Mine' not in registry


@pytest.mark.parametrize(
    ('registry', 'base', 'names'),
    [
        (HEADS, FCNHead, {'forward': method, 'construct': method}),
        (HEADS, FCNHead, {}),
        (DATASETS, CustomDataset, {'METAINFO': {}, 'CLASSES': ('a',)}),
        (PIPELINES, object, {'transform': method, '__call__': method}),
        (HOOKS, Hook, {'before_train': method, 'before_run': method}),
        (HOOKS, Hook, {'after_iter': lambda self, runner, more=None: None, 'after_all': 3}),
        (HOOKS, Hook, {'before_sending': takes_a_batch}),
    ],
)
def test_what_is_called_may_have_old_names_beside_it(registry, base, names):
    kind = types.new_class('Mine', (base,), exec_body=lambda body: body.update(names))
    try:
        assert registry.register_module(module=kind) is kind
    finally:
        registry.module_dict.pop('Mine', None)


def test_a_class_of_another_framework_is_refused():
    base = type('Module', (), {'__module__': 'torch.nn.modules.module'})
    kind = types.new_class('Mine', (base,))
    with pytest.raises(
        TypeError, match='Mine derives from torch.nn.modules.module.Module, expected'
    ):
        HEADS.register_module(module=kind)


def test_init_weights_of_a_head_is_called_once_it_is_built():
    class Mine(FCNHead):
        calls = 0

        def init_weights(self):
            super().init_weights()
            Mine.calls += 1
            self.found = float(self.conv_seg.weight.asnumpy().std())

    head = build_head(dict(type=Mine, **HEAD))
    assert Mine.calls == 1
    assert head.found > 0
    maps = (ms.ops.zeros((1, 2, 3, 3)), ms.ops.ones((1, 4, 2, 2)))
    assert head._transform_inputs(maps) is head.transform_inputs(maps) is maps[1]

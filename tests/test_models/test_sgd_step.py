"""A step of SGD changes every weight of every part as MMSegmentation's does.

The reference is of float64, see tests/data/make_sgd_steps.py. Here the operators run one by one:
graphs of tiny models take ten times as long to compile, and that they compute the same is tested
family by family.
"""

import gzip
import json

import mindspore as ms
import numpy as np
import pytest

from msseg.checks.selftest.reference import OPTIMIZER, make_batch, summarise
from msseg.convert.names import rename_layers
from msseg.models import BACKBONES, HEADS, NECKS, SEGMENTORS, SegmentorWithLoss, build_segmentor
from msseg.runner.optimizer import build_optimizer
from msseg.runner.train_step import TrainStep
from tests.test_models.reference_weights import load_filled
from tests.test_models.sgd_steps import STORED, comparable
from tests.tiny_families import AUX, BN, FAMILIES, RESNET, fcn, model

# Parts that no tiny family has.
FURTHER = {
    'resnet_v1d': model(fcn(), dict(RESNET, type='ResNetV1d')),
    'multi_level_neck': model(
        fcn(6),
        neck=dict(type='MultiLevelNeck', in_channels=[4, 8], out_channels=6, scales=[0.5, 1]),
    ),
    'mla_neck': model(
        fcn(6),
        dict(RESNET, strides=(1, 1)),
        neck=dict(type='MLANeck', in_channels=[4, 8], out_channels=6, norm_cfg=BN),
    ),
    # MMSegmentation fails with a query that is made smaller
    'ann': model(dict(FAMILIES['ann'].model['decode_head'], query_scales=(1,)), auxiliary_head=AUX),
}
# Why a part or a family has no row.
_NEWER = 'MMSegmentation 0.30 does not have it; tests/test_models/mmseg122.py compares it'
WITHOUT = {
    'EfficientNetLite': 'MMSegmentation has none; test_efficientnet_lite.py has its maps',
    **dict.fromkeys(('ddrnet', 'DDRNet', 'DDRHead', 'pidnet', 'PIDNet', 'PIDHead'), _NEWER),
    **dict.fromkeys(('segnext', 'MSCAN', 'LightHamHead'), _NEWER),
    'PointHead': 'its points are drawn at random',
    'point_rend': 'its points are drawn at random',
    'ConvNeXt': 'the same as mmcls.ConvNeXt',
    'PoolFormer': 'the same as mmcls.PoolFormer',
}
MODELS = {
    **{
        name: (family.size, comparable(family.model))
        for name, family in FAMILIES.items()
        if name not in WITHOUT
    },
    **{name: ((64, 80), comparable(config)) for name, config in FURTHER.items()},
}
ROWS = {
    row['name']: row for row in map(json.loads, gzip.decompress(STORED.read_bytes()).splitlines())
}
RENEW = 'make the reference anew: see tests/data/make_sgd_steps.py'


def types_in(node):
    """All values of ``type`` in a config."""
    if isinstance(node, dict):
        yield node.get('type')
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list)):
            yield from types_in(value)


def compared(row):
    """The names of weights to compare: of one that has two names, the last."""
    names = [name for name, values in row['weights'].items() if len(values) > 1]
    if row['model']['type'] == 'CascadeEncoderDecoder':
        # in MMSegmentation the first head runs, and updates its statistics, twice a step
        names = [
            name for name in names if not name.startswith('decode_head.0.') or 'running' not in name
        ]
    return names


@pytest.mark.parametrize('registry', [BACKBONES, NECKS, HEADS, SEGMENTORS], ids=lambda r: r.name)
def test_every_part_is_in_a_model(registry):
    parts = {
        name for name, part in registry.module_dict.items() if part.__module__.startswith('msseg.')
    }
    tried = {kind for row in ROWS.values() for kind in types_in(row['model'])}
    assert parts - tried - WITHOUT.keys() == set(), RENEW


def test_every_model_has_a_row():
    assert MODELS.keys() == ROWS.keys(), RENEW


@pytest.mark.parametrize('name', ROWS)
def test_every_weight_after_a_step_is_that_of_mmsegmentation(name):
    row = ROWS[name]
    size, config = MODELS[name]
    assert config == row['model'], RENEW
    network = build_segmentor(dict(config, train_cfg={}, test_cfg=dict(mode='whole')))
    stored = row['weights']
    load_filled(network, {key: values[0] for key, values in stored.items()})
    own = {p.name: p for p in network.get_parameters()}
    fates = rename_layers(list(stored), 'mmseg', list(own))
    names = {key: fate.target for key, fate in fates.items()}
    before = {key: own[names[key]].asnumpy().copy() for key in stored}
    optimizer = build_optimizer(network, dict(type='SGD', **OPTIMIZER))
    step = TrainStep(SegmentorWithLoss(network).set_train(), optimizer)
    images, labels = make_batch(size, network.num_classes)
    values = step(ms.Tensor(images), ms.Tensor(labels))
    loss = float(values[step.value_names.index('loss')])
    assert loss == pytest.approx(row['loss'], rel=1e-5)
    wrong = []
    for key in compared(row):
        largest, largest_change, *changes = stored[key][1:]
        got = summarise(key, before[key], own[names[key]].asnumpy())[2:]
        off = float(np.abs(np.subtract(got, changes)).max())
        # A weight without a gradient is decayed here, and is not in PyTorch.
        if off > 1e-3 * largest or (off > 1e-2 * largest_change + 1e-6 * largest and any(changes)):
            wrong.append((key, off / largest, off, largest_change))
    assert wrong == []

"""Settings of single parameters are those of MMSegmentation's optimizers.

tests/data/parameter_groups.jsonl.gz has a line a config file of MMSegmentation 0.30, our own
measurement: ``groups`` are lists of a learning rate, a weight decay, and the parameters' names with
the number of their dimensions; ``options`` are set in the config.
"""

import gzip
import importlib.metadata
import json
from pathlib import Path

import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.config import Config
from msseg.convert.names import rename_layers
from msseg.models import build_segmentor
from msseg.runner.optimizer import group_parameters
from tests.tiny_families import FAMILIES

STORED = Path(__file__).parents[1] / 'data' / 'parameter_groups.jsonl.gz'
ROWS = [json.loads(line) for line in gzip.decompress(STORED.read_bytes()).splitlines()]
LAYER_DECAY = dict(
    type='AdamW', lr=1.0, weight_decay=0.05, constructor='LearningRateDecayOptimizerConstructor'
)


def load(row):
    files = importlib.metadata.distribution('mmsegmentation')
    cfg = Config.fromfile(files.locate_file(f'mmseg/.mim/configs/{row["config"]}'))
    cfg.merge_from_dict(row['options'])
    return cfg


def settings(groups):
    """Learning rate and weight decay by the parameter's name."""
    return {
        p.name: (group['lr'], group['weight_decay']) for group in groups for p in group['params']
    }


def assert_equal(found, row):
    wanted = {name: (lr, decay) for lr, decay, names in row['groups'] for name in names}
    fates = rename_layers(list(wanted), 'mmseg', list(found))
    own = {name: fate.target for name, fate in fates.items()}
    assert found.keys() == set(own.values())
    wrong = {name for name, value in wanted.items() if found[own[name]] != pytest.approx(value)}
    assert wrong == set()


@pytest.mark.parametrize('row', ROWS, ids=lambda row: f'{row["config"]}{row["options"]}')
def test_every_parameter_has_the_settings_of_mmsegmentation(row):
    cfg = load(row)
    with no_init_parameters():
        model = build_segmentor(cfg.model)
    assert_equal(settings(group_parameters(model, cfg.optimizer)), row)


def test_rates_of_a_vision_transformer_fall_with_its_layers():
    model = build_segmentor(FAMILIES['vit'].model)
    count = len(model.backbone.layers)
    paramwise = dict(num_layers=count, decay_rate=0.5)
    found = settings(group_parameters(model, dict(LAYER_DECAY, paramwise_cfg=paramwise)))
    depths = {'cls_token': 0, 'pos_embed': 0, 'patch_embed.projection.bias': 0}
    depths |= {f'layers.{i}.attn.attn.out_proj.weight': i + 1 for i in range(count)}
    rates = {name: found[f'backbone.{name}'][0] for name in depths}
    assert rates == {name: 0.5 ** (count + 1 - depth) for name, depth in depths.items()}
    assert found['decode_head.conv_seg.weight'] == (1.0, 0.05)


@pytest.mark.parametrize('kind', ['layer_wise', 'stage_wise'])
def test_rates_of_swin_fall_with_its_layers_and_stages(kind):
    model = build_segmentor(FAMILIES['swin'].model)
    paramwise = dict(num_layers=4, decay_rate=0.5, decay_type=kind)
    found = settings(group_parameters(model, dict(LAYER_DECAY, paramwise_cfg=paramwise)))
    depths = {
        'patch_embed.norm.gamma': 0,
        'stages.0.blocks.0.norm1.beta': 1,
        'stages.0.blocks.1.attn.w_msa.qkv.weight': 2 if kind == 'layer_wise' else 1,
        'stages.0.downsample.reduction.weight': 2 if kind == 'layer_wise' else 1,
        'stages.1.blocks.0.ffn.layers.1.bias': 3 if kind == 'layer_wise' else 2,
        'stages.1.blocks.1.norm2.gamma': 4 if kind == 'layer_wise' else 2,
        'norm1.gamma': 5,
    }
    rates = {name: found[f'backbone.{name}'][0] for name in depths}
    assert rates == {name: 0.5 ** (5 - depth) for name, depth in depths.items()}
    assert found['decode_head.conv_seg.weight'] == (1.0, 0.05)
    assert found['decode_head.conv_seg.bias'] == (1.0, 0.0)


@pytest.mark.parametrize(
    ('family', 'paramwise', 'message'),
    [
        ('beit', dict(num_layers=3), 'num_layers is 3, expected at least 4.*backbone.layers.3'),
        ('beit', dict(num_layers=4, decay_type='stage_wise'), 'BEiT has no method stage_depth'),
        ('fcn', dict(num_layers=4), 'ResNetV1c has no method layer_depth'),
        ('beit', dict(num_layers=4, decay_rate=1.5), 'decay_rate is 1.5'),
        ('beit', dict(num_layers=4, decay_type='layerwise'), "decay_type.*'layer_wise'"),
        ('beit', dict(num_layers=4, layer_decay_rate=0.9), "'layer_decay_rate'"),
    ],
)
def test_bad_settings_are_one_line(family, paramwise, message):
    with no_init_parameters():
        model = build_segmentor(FAMILIES[family].model)
    cfg = dict(LAYER_DECAY, paramwise_cfg=dict(dict(decay_rate=0.9), **paramwise))
    if 'layer_decay_rate' in paramwise:
        del cfg['paramwise_cfg']['decay_rate']
    with pytest.raises((ValueError, TypeError), match=message) as raised:
        group_parameters(model, cfg)
    assert '\n' not in str(raised.value)

"""Files of other projects become what MMSegmentation 0.30 makes of them, and no name is lost."""

import gzip
import hashlib
import json
import logging
import re
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.apis import convert_checkpoint
from msseg.apis.model_source import load_initial_weights
from msseg.apis.train_settings import StartSettings
from msseg.config import Config
from msseg.convert import convert, detect_style, read_foreign
from msseg.models import build_backbone, build_segmentor
from msseg.models.backbones.beit import BEiTAttention
from tests.test_convert.torch_files import save_torch
from tests.test_models.reference_fill import fill

DATA = Path(__file__).parents[1] / 'data' / 'origins'
with gzip.open(DATA / 'originals.json.gz') as _file:
    CASES = json.load(_file)

VIT = dict(img_size=32, patch_size=8, embed_dims=8, num_layers=2, num_heads=2)
TWINS = dict(embed_dims=(4, 8), num_heads=(1, 2), mlp_ratios=(2, 2), sr_ratios=(4, 2),
             patch_sizes=(4, 2), strides=(4, 2), out_indices=(0, 1), qkv_bias=True,
             norm_after_stage=False)  # fmt: skip
MODELS = {
    'vit': dict(type='VisionTransformer', final_norm=True, **VIT),
    'deit': dict(type='VisionTransformer', **VIT),
    'vit_jax': dict(type='VisionTransformer', final_norm=True, **VIT),
    'mae': dict(type='MAE', **VIT),
    'beit': dict(type='BEiT', **VIT),
    'mit': dict(type='MixVisionTransformer', embed_dims=4, num_layers=[1, 1, 1, 1],
                num_heads=[1, 2, 3, 4], sr_ratios=[4, 2, 1, 1], mlp_ratio=2),
    'swin': dict(type='SwinTransformer', embed_dims=4, depths=[1, 2], num_heads=[1, 2],
                 strides=(4, 2), window_size=4, mlp_ratio=2, out_indices=(0, 1)),
    'twins_pcpvt': dict(type='PCPVT', depths=(1, 2), **TWINS),
    'twins_svt': dict(type='SVT', depths=(2, 2), windiow_sizes=(4, 4), **TWINS),
}  # fmt: skip
STYLES = {'deit': 'vit'}
# What 0.30 passes on under its old name, and no model takes.
LEFT_BY_US = ('head', 'norm.', 'ln1.', 'fc_norm.', 'mask_token', 'decoder_', 'dist_token')
BUFFERS = ('relative_position_index', 'attn_mask')


def arrays_of(case, changed=None):
    shapes = {**CASES[case]['file'], **(changed or {})}
    return {name: fill(name, tuple(shape)) for name, shape in shapes.items()}


def wanted_by(case, **options):
    model = build_backbone({**MODELS[case], **options})
    parameters = model.parameters_and_names()
    return {f'backbone.{name}': tuple(p.shape) for name, p in parameters if p.dtype == ms.float32}


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array, np.float32).tobytes()).hexdigest()[:16]


def in_torch(name):
    layer, _, leaf = name.removeprefix('backbone.').rpartition('.')
    leaf = {'gamma': 'weight', 'beta': 'bias'}.get(leaf, leaf)
    if layer.endswith('in_proj'):
        return f'{layer}_{leaf}'
    return f'{layer}.{leaf}' if layer else leaf


@pytest.mark.parametrize('case', CASES)
def test_weights_are_those_of_mmsegmentations_converter(case):
    wanted, expected = wanted_by(case), dict(CASES[case]['expected'])
    conversion = convert(arrays_of(case), 'auto', wanted, 'backbone.')
    assert conversion.style == STYLES.get(case, case)
    own = {in_torch(name): [list(a.shape), digest(a)] for name, a in conversion.weights.items()}
    if case == 'deit':  # its table has a position too many, which is cut when it is loaded
        assert expected.pop('pos_embed')[0] == [1, 18, 8]
        assert list(conversion.misfits) == ['backbone.pos_embed']
    elif case == 'mae':  # whose biases and factors start with fine-tuning
        missing = {entry.target.rpartition('.')[2] for entry in conversion.of_kind('missing')}
        assert missing == {'gamma_1', 'gamma_2', 'relative_position_bias_table'}
    else:
        # MMSegmentation's Swin Transformer has a norm for each map that it gives
        norms = ('backbone.norm0.', 'backbone.norm1.') if case == 'swin' else ()
        missing = {entry.target for entry in conversion.of_kind('missing', 'shape mismatch')}
        assert missing == {name for name in wanted if name.startswith(norms)}
    assert not conversion.of_kind('unexpected')
    assert {name: expected.get(name) for name in own} == own
    ignored = expected.keys() - own.keys()
    assert all(name.startswith(LEFT_BY_US) or name.endswith(BUFFERS) for name in ignored)


@pytest.mark.parametrize('case', CASES)
def test_every_name_has_an_entry_and_what_is_left_out_a_reason(case):
    arrays = arrays_of(case)
    conversion = convert(arrays, 'auto', wanted_by(case), 'backbone.')
    assert {entry.source for entry in conversion.entries} - {''} == set(arrays)
    assert all(entry.note for entry in conversion.of_kind('left aside'))
    taken = {entry.source for entry in conversion.entries if entry.source and entry.target}
    left = {entry.source for entry in conversion.of_kind('left aside')}
    assert taken | left == set(arrays)


@pytest.mark.parametrize(
    ('name', 'config'),
    [
        ('timm_swin', dict(type='SwinTransformer', embed_dims=4, depths=[2, 1], num_heads=[1, 2],
                           strides=(4, 2), window_size=4, mlp_ratio=2, out_indices=(0, 1))),
        ('timm_convnext', dict(type='ConvNeXt',
                               arch=dict(depths=[1, 2, 1, 1], channels=[4, 6, 8, 10]),
                               out_indices=(0, 1, 2, 3), gap_before_final_norm=False,
                               downsample_norm_cfg=dict(type='LN2d', eps=1e-6))),
    ],
)  # fmt: skip
def test_timms_models_give_timms_maps(name, config):
    """The norms of the maps, which timm does not have, are as initialised."""
    with np.load(DATA / 'timm.npz') as file:
        expected = dict(file)
    head = dict(type='FCNHead', in_channels=8 if 'swin' in name else 6, in_index=1, channels=2,
                num_classes=2)  # fmt: skip
    model = build_segmentor(dict(type='EncoderDecoder', backbone=config, decode_head=head))
    model.set_train(False)
    arrays = {each: fill(each, tuple(shape))
              for each, shape in json.loads(str(expected[f'{name}.names'])).items()}  # fmt: skip
    wanted = {p.name: tuple(p.shape) for p in model.get_parameters() if p.dtype == ms.float32}
    conversion = convert(arrays, 'auto', wanted, 'backbone.')
    assert conversion.style == name
    assert not conversion.of_kind('unexpected', 'shape mismatch')
    missing = {entry.target.rpartition('.')[0] for entry in conversion.of_kind('missing')}
    assert missing == {f'backbone.norm{i}' for i in config['out_indices']}
    for parameter in model.get_parameters():
        if parameter.name in conversion.weights:
            parameter.set_data(ms.Tensor(conversion.weights[parameter.name]))
    image = np.random.RandomState(3).randn(1, 3, 32, 32).astype(np.float32)
    for i, got in enumerate(model.backbone(ms.Tensor(image))):
        feature = expected[f'{name}.{i}'].astype(np.float64)
        centred = feature - feature.mean(1, keepdims=True)
        eps = 1e-6 if 'convnext' in name else 1e-5
        normed = centred / np.sqrt((centred**2).mean(1, keepdims=True) + eps)
        np.testing.assert_allclose(got.asnumpy(), normed, atol=1e-4)


@pytest.mark.parametrize('side', [3, 7])
def test_beits_table_of_biases_is_resized_as_mmsegmentation_does(side):
    with np.load(DATA / 'beit_table.npz') as file:
        table, expected = file['table'], file[f'to_{side}']
    attention = attention_of(side, side)
    got = attention.fit_table('relative_position_bias_table', table)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    wide = attention_of(3, side).fit_table('relative_position_bias_table', table)
    assert wide.shape == (5 * (2 * side - 1) + 3, 2)
    assert attention.fit_table('relative_position_bias_table', table[:-1]) is None


def attention_of(h, w):
    return BEiTAttention(8, 2, (h, w))


def test_the_position_of_deits_token_of_distillation_is_left_out():
    model = build_backbone(MODELS['deit'])
    table = fill('pos_embed', (1, 18, 8))
    expected = np.concatenate((table[:, :1], table[:, 2:]), axis=1)
    np.testing.assert_allclose(model.fit_table('pos_embed', table), expected, atol=1e-6)
    assert model.fit_table('pos_embed', table[:, :16]) is None


def test_swins_absolute_positions_are_resized():
    model = build_backbone({**MODELS['swin'], 'use_abs_pos_embed': True, 'pretrain_img_size': 16})
    table = np.ones((1, 36, 4), np.float32)
    np.testing.assert_allclose(model.fit_table('absolute_pos_embed', table), np.ones((1, 16, 4)))
    assert model.fit_table('absolute_pos_embed', table[:, :35]) is None


def renamed(names, *pairs):
    for old, new in pairs:
        names = {re.sub(old, new, name): array for name, array in names.items()}
    return names


def same_weights(first, second):
    assert first.keys() == second.keys()
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_the_authors_convnext_is_timms_under_other_names():
    with np.load(DATA / 'timm.npz') as file:
        shapes = json.loads(str(file['timm_convnext.names']))
    timm = {name: fill(name, tuple(shape)) for name, shape in shapes.items()}
    authors = renamed(
        timm,
        (r'stem\.', 'downsample_layers.0.'),
        (r'stages\.(\d+)\.downsample\.', r'downsample_layers.\1.'),
        (r'\.blocks\.', '.'),
        ('conv_dw', 'dwconv'),
        (r'mlp\.fc', 'pwconv'),
        (r'head\.norm', 'norm'),
        (r'head\.fc', 'head'),
    )
    first, second = convert(timm), convert(authors)
    assert (first.style, second.style) == ('timm_convnext', 'convnext')
    assert not second.of_kind('unexpected') and same_weights(first.weights, second.weights)
    assert {entry.source for entry in second.of_kind('left aside')} == {
        'norm.weight', 'norm.bias', 'head.weight', 'head.bias',
    }  # fmt: skip


@pytest.mark.parametrize(
    ('case', 'style', 'pairs'),
    [
        ('vit', 'mmcls_vit', [('^blocks', 'layers'), (r'\.norm', '.ln'), ('^norm', 'ln1'),
                              ('proj', 'projection'), ('attn.projection', 'attn.proj'),
                              (r'mlp\.fc1', 'ffn.layers.0.0'), (r'mlp\.fc2', 'ffn.layers.1'),
                              ('^', 'backbone.'), (r'^backbone\.head', 'head.layers.head')]),
        ('twins_svt', 'twins_svt', [('^blocks', 'stages'), (r'mlp\.fc1', 'ffn.layers.0.0'),
                                    (r'mlp\.fc2', 'ffn.layers.1'),
                                    ('pos_block', 'position_encodings'),
                                    (r'proj\.0', 'proj'), (r'(embeds\.\d\.)proj', r'\1projection'),
                                    ('^norm', 'norm_after_stage1'), ('^', 'backbone.'),
                                    (r'^backbone\.head', 'head.fc')]),
    ],
)  # fmt: skip
def test_mmclassifications_names_mean_the_same(case, style, pairs):
    arrays, wanted = arrays_of(case), wanted_by(case)
    first = convert(arrays, 'auto', wanted, 'backbone.')
    second = convert(renamed(arrays, *pairs), 'auto', wanted, 'backbone.')
    assert second.style == style and not second.of_kind('unexpected')
    assert same_weights(first.weights, second.weights)


def test_whole_models_of_segformers_authors():
    saved = read_foreign(DATA / 'segformer' / 'model.safetensors').tensors
    expected = convert(saved).weights
    arrays = {f'backbone.{name}': array for name, array in arrays_of('mit').items()}
    for i in range(4):
        for leaf in ('weight', 'bias'):
            arrays[f'decode_head.linear_c{i + 1}.proj.{leaf}'] = saved[
                f'decode_head.linear_c.{i}.proj.{leaf}'
            ]
    arrays['decode_head.linear_fuse.conv.weight'] = saved['decode_head.linear_fuse.weight']
    arrays['decode_head.linear_fuse.bn.running_var'] = saved['decode_head.batch_norm.running_var']
    arrays['decode_head.linear_pred.bias'] = saved['decode_head.classifier.bias']
    arrays['decode_head.conv_seg.bias'] = np.zeros(3, np.float32)
    conversion = convert(arrays)
    assert conversion.style == 'mit' and not conversion.of_kind('unexpected')
    heads = {n: a for n, a in conversion.weights.items() if n.startswith('decode_head.')}
    assert len(heads) == 11 and all(np.array_equal(expected[n], a) for n, a in heads.items())
    alone = convert(arrays_of('mit')).weights
    assert same_weights(
        alone, {n: conversion.weights[n] for n in conversion.weights.keys() - heads}
    )


def test_vits_file_of_jax_is_read_and_fills_the_model(tmp_path):
    np.savez(tmp_path / 'ViT-Ti_8.npz', **arrays_of('vit_jax'))
    file = read_foreign(tmp_path / 'ViT-Ti_8.npz')
    assert file.format == 'npz'
    conversion = convert(file.tensors, 'auto', wanted_by('vit_jax'), 'backbone.')
    expected = convert(arrays_of('vit_jax'), 'vit_jax', wanted_by('vit_jax'), 'backbone.')
    assert same_weights(conversion.weights, expected.weights)


def test_a_file_of_mae_starts_a_vision_transformer_too():
    for case, style in (('vit', 'vit'), ('mae', 'mae')):
        conversion = convert(arrays_of('mae'), 'auto', wanted_by(case), 'backbone.')
        assert conversion.style == style and not conversion.of_kind('unexpected')
    assert convert(arrays_of('mae')).style == 'mae'
    fine_tuned = {n: a for n, a in arrays_of('mae').items() if not n.startswith('decoder')}
    assert convert(fine_tuned).style == 'vit'
    assert convert(fine_tuned, 'auto', wanted_by('mae'), 'backbone.').style == 'mae'


@pytest.mark.parametrize('case', ['beit', 'mae', 'swin', 'twins_svt', 'vit', 'mit'])
def test_mmsegmentations_own_files_are_not_taken_for_others(case):
    names = [in_torch(name) for name in wanted_by(case)]
    assert detect_style([f'backbone.{name}' for name in names]) == 'mmseg'


@pytest.mark.parametrize('case', ['beit', 'swin', 'twins_pcpvt', 'vit'])
def test_whole_models_of_authors_have_mmsegmentations_heads(case):
    arrays, head = arrays_of(case), 'decode_head.psp_modules.0.1.conv.weight'
    alone = convert(arrays)
    whole = {f'backbone.{name}': array for name, array in arrays.items()}
    whole[head] = fill(head, (2, 2, 1, 1))
    conversion = convert(whole)
    assert conversion.style == alone.style
    assert conversion.weights.pop(head).shape == (2, 2, 1, 1)
    assert same_weights(conversion.weights, alone.weights)


@pytest.mark.parametrize(('case', 'options'), [('vit', dict(img_size=48)), ('mit', {})])
def test_training_starts_from_a_file_of_the_authors(case, options, tmp_path, caplog):
    caplog.set_level(logging.INFO, 'msseg')
    path = save_torch(tmp_path / 'a.pth', arrays_of(case), lambda state: {'model': state})
    backbone = {**MODELS[case], **options, 'pretrained': str(path)}
    channels = build_backbone(MODELS[case]).out_channels
    head = dict(type='FCNHead', in_channels=channels[-1], in_index=len(channels) - 1, channels=2,
                num_classes=2)  # fmt: skip
    model = build_segmentor(dict(type='EncoderDecoder', backbone=backbone, decode_head=head))
    load_initial_weights(model, StartSettings())
    expected = convert(arrays_of(case), 'auto', wanted_by(case), 'backbone.').weights
    for parameter in model.get_parameters():
        if parameter.name in expected and 'pos_embed' not in parameter.name:
            np.testing.assert_array_equal(parameter.asnumpy(), expected[parameter.name])
    assert f"(names of style '{case}')" in caplog.text and 'kept as initialised' not in caplog.text
    if case == 'vit':
        message = 'backbone.pos_embed is resized from (1, 17, 8) to (1, 37, 8)'
        assert message in caplog.messages


def test_a_backbone_that_mmsegmentation_converted_is_converted_too(tmp_path):
    shapes = {in_torch(name): shape for name, shape in wanted_by('swin').items()}
    arrays = {name: fill(name, shape) for name, shape in shapes.items()}
    head = dict(type='FCNHead', in_channels=8, in_index=1, channels=2, num_classes=2)
    cfg = Config(dict(model=dict(type='EncoderDecoder', backbone=MODELS['swin'], decode_head=head)))
    path = save_torch(tmp_path / 'swin_tiny.pth', arrays)
    conversion = convert_checkpoint(path, tmp_path / 'a.ckpt', cfg=cfg)
    assert conversion.style == 'backbone' and len(conversion.weights) == len(arrays)
    assert not conversion.of_kind('unexpected', 'missing')


def stage(index, modules):
    return dict(num_modules=modules, num_branches=index, block='BASIC', num_blocks=(4,) * index,
                num_channels=tuple(32 * 2**i for i in range(index)))  # fmt: skip


HRNET_W32 = dict(
    stage1=dict(num_modules=1, num_branches=1, block='BOTTLENECK', num_blocks=(4,),
                num_channels=(64,)),
    stage2=stage(2, 1), stage3=stage(3, 4), stage4=stage(4, 3),
)  # fmt: skip
MINDCV = {
    'resnet': ('mindcv', dict(type='ResNet', depth=50), ()),
    'resnext': ('mindcv', dict(type='ResNeXt', depth=50, groups=32, base_width=4), ()),
    'hrnet': ('mindcv', dict(type='HRNet', extra=HRNET_W32), ()),
    'convnext': (
        'mindcv_convnext',
        dict(type='ConvNeXt', arch=dict(depths=[1, 2, 1, 1], channels=[4, 6, 8, 10])),
        ('norm3',),
    ),
}  # fmt: skip


@pytest.mark.parametrize('case', MINDCV)
def test_mindcvs_names_fill_the_backbones(case):
    """All but the norms of the maps, which MindCV does not have."""
    style, settings, norms = MINDCV[case]
    with gzip.open(DATA / 'mindcv.json.gz') as file:
        shapes = json.load(file)[case]
    with no_init_parameters():
        model = build_backbone(settings)
    parameters = model.parameters_and_names()
    wanted = {f'backbone.{name}': tuple(p.shape) for name, p in parameters if p.dtype == ms.float32}
    arrays = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    for conversion in (convert(arrays, 'auto', wanted, 'backbone.'), convert(arrays)):
        assert conversion.style == style
        assert not conversion.of_kind('unexpected', 'shape mismatch')
        missing = {entry.target for entry in conversion.of_kind('missing')}
        assert {name.split('.')[1] for name in missing} <= set(norms)
        assert {name.partition('.')[0] for name in conversion.weights} == {'backbone'}

"""Models that transformers' save_pretrained wrote give transformers' logits."""

import json
import logging
import shutil
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.apis import convert_checkpoint
from msseg.apis.architecture import check_architecture
from msseg.apis.model_source import load_initial_weights
from msseg.apis.train_settings import StartSettings
from msseg.config import Config
from msseg.convert import convert, read_foreign
from msseg.models import build_segmentor
from msseg.runner import load_checkpoint, load_weights
from tests.test_convert.torch_files import save_torch
from tests.test_models import huggingface_configs as configs

DATA = Path(__file__).parents[1] / 'data' / 'origins'
MODELS = ('segformer', 'upernet_swin', 'upernet_convnext')
CLASSES = ['road', 'tree', 'sky']


def config_of(name):
    return getattr(configs, name)()


def build(name):
    return build_segmentor(config_of(name)).set_train(False)


def copy_of(name, folder):
    for file in ('model.safetensors', 'config.json'):
        shutil.copy(DATA / name / file, folder)
    return folder / 'model.safetensors'


def edit(path, **values):
    config = json.loads(path.with_name('config.json').read_text())
    path.with_name('config.json').write_text(json.dumps({**config, **values}))


@pytest.mark.parametrize('name', MODELS)
def test_logits_and_class_names_after_conversion(name, tmp_path):
    cfg, path = Config(dict(model=config_of(name))), tmp_path / 'a.ckpt'
    conversion = convert_checkpoint(DATA / name / 'model.safetensors', path, cfg=cfg)
    assert not conversion.of_kind('unexpected')
    assert {entry.note for entry in conversion.of_kind('left aside')} <= {
        'a counter that PyTorch keeps',
        'the norm before the classifier',
    }
    checkpoint = load_checkpoint(path)
    assert checkpoint.meta['CLASSES'] == CLASSES
    model = build(name)
    load_weights(model, checkpoint)
    image = np.random.RandomState(3).randn(1, 3, 44, 64).astype(np.float32)
    logits = model.decode_head(model.backbone(ms.Tensor(image))).asnumpy()
    np.testing.assert_allclose(logits, np.load(DATA / name / 'logits.npy'), atol=1e-4)


@pytest.mark.parametrize('name', MODELS)
def test_load_from_gives_the_same_weights_as_conversion(name):
    model, path = build(name), DATA / name / 'model.safetensors'
    load_initial_weights(model, StartSettings(load_from=str(path), model=config_of(name)))
    wanted = {p.name: tuple(p.shape) for p in model.get_parameters() if p.dtype == ms.float32}
    converted = convert(read_foreign(path).tensors, wanted=wanted).weights
    assert set(converted) == set(wanted)
    for parameter in model.get_parameters():
        if parameter.name in wanted:
            np.testing.assert_array_equal(parameter.asnumpy(), converted[parameter.name])


@pytest.mark.parametrize('name', MODELS)
def test_names_in_memory_mean_the_same(name):
    saved = read_foreign(DATA / name / 'model.safetensors').tensors
    names = json.loads((DATA / name / 'names_in_memory.json').read_text())
    in_memory = convert({name: saved[old] for name, old in names.items()})
    expected = convert(saved).weights
    assert set(in_memory.weights) == set(expected) and not in_memory.of_kind('unexpected')
    for each, array in in_memory.weights.items():
        np.testing.assert_array_equal(array, expected[each])


@pytest.mark.parametrize(
    ('name', 'part', 'key', 'value', 'message'),
    [
        ('segformer', 'backbone', 'num_heads', [1, 1, 1, 1],
         r'model\.backbone\.num_heads = \[1, 2, 3, 4\], not \[1, 1, 1, 1\]'),
        ('segformer', 'backbone', 'norm_cfg', dict(type='LN', eps=1e-6),
         r"model\.backbone\.norm_cfg = \{'eps': 1e-05\}, not \{'type': 'LN', 'eps': 1e-06\}"),
        ('segformer', 'decode_head', 'plain_projections', False,
         r'model\.decode_head\.plain_projections = True, not False'),
        ('upernet_swin', 'backbone', 'window_size', 7, r'window_size = 3, not 7'),
        ('upernet_swin', 'backbone', 'act_cfg', dict(type='ReLU'), r"act_cfg = \{'type': 'GELU'\}"),
        ('upernet_convnext', 'backbone', 'downsample_norm_cfg', dict(type='LN2d', eps=1e-5),
         r"downsample_norm_cfg = \{'eps': 1e-06\}"),
        ('upernet_convnext', 'decode_head', 'align_corners', True, r'align_corners = False, not T'),
        ('upernet_swin', 'decode_head', 'type', 'FCNHead', r"type = 'UPerHead', not 'FCNHead'$"),
    ],
)  # fmt: skip
def test_settings_that_shapes_do_not_show_are_compared(name, part, key, value, message):
    model = config_of(name)
    checkpoint = load_checkpoint(DATA / name / 'model.safetensors')
    check_architecture(checkpoint, model)
    model[part][key] = value
    with pytest.raises(ValueError, match=message):
        check_architecture(checkpoint, model)


def test_an_architecture_may_have_a_name(tmp_path):
    path, model = copy_of('upernet_convnext', tmp_path), config_of('upernet_convnext')
    backbone = json.loads(path.with_name('config.json').read_text())['backbone_config']
    tiny = {'depths': [3, 3, 9, 3], 'hidden_sizes': [96, 192, 384, 768]}
    edit(path, backbone_config={**backbone, **tiny})
    model['backbone']['arch'] = 'tiny'
    check_architecture(load_checkpoint(path), model)
    model['backbone']['arch'] = 'small'
    with pytest.raises(ValueError, match=r"'depths': \[3, 3, 9, 3\].*, not .*\[3, 3, 27, 3\]"):
        check_architecture(load_checkpoint(path), model)


def test_training_warns_of_settings_and_refuses_other_heads_of_the_attention(caplog):
    model, path = config_of('upernet_swin'), DATA / 'upernet_swin' / 'model.safetensors'
    model['backbone']['window_size'] = 4
    model['decode_head']['align_corners'] = True
    caplog.set_level(logging.INFO, 'msseg')
    start = StartSettings(load_from=str(path), model=model)
    load_initial_weights(build_segmentor(model), start)
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and 'window_size = 3, not 4' in warned[0]
    assert 'model.decode_head.align_corners = False, not True' in warned[0]
    assert 'relative_position_bias_table is resized from (25, 1) to (49, 1)' in caplog.text
    model['backbone']['num_heads'] = [1, 1, 1, 1]
    with pytest.raises(ValueError, match=r'num_heads = \[1, 2, 2, 4\]'):
        load_initial_weights(build_segmentor(model), start)


def test_training_with_another_head_takes_the_backbone(tmp_path):
    model = config_of('segformer')
    model['decode_head'] = dict(type='FCNHead', in_channels=16, in_index=3, channels=4,
                                num_classes=5)  # fmt: skip
    network = build_segmentor(model)
    path = DATA / 'segformer' / 'model.safetensors'
    load_initial_weights(network, StartSettings(load_from=str(path), model=model))
    weights = convert(read_foreign(path).tensors).weights
    name = 'backbone.layers.0.0.projection.weight'
    parameters = {p.name: p for p in network.get_parameters()}
    np.testing.assert_array_equal(parameters[name].asnumpy(), weights[name])


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (dict(hidden_sizes=[4, 8, 12, 18]), 'hidden_sizes is .*, expected the same multiple'),
        (dict(mlp_ratios=[2, 2, 2, 4]), 'the same mlp_ratios'),
        (dict(depths=3), 'depths is 3 .*, expected a list of numbers'),
        (dict(model_type='segformer2'), "model_type is 'segformer2'"),
        (dict(hidden_act='swish'), r"act_cfg = \{'type': 'swish'\}"),
    ],
)
def test_models_that_msseg_does_not_have_are_refused(tmp_path, values, message):
    path = copy_of('segformer', tmp_path)
    edit(path, **values)
    with pytest.raises(ValueError, match=message) as caught:
        check_architecture(load_checkpoint(path), config_of('segformer'))
    assert '\n' not in str(caught.value)


def test_class_names_are_those_of_the_config_next_to_it(tmp_path):
    path = copy_of('segformer', tmp_path)
    edit(path, id2label={'0': 'LABEL_0', '1': 'LABEL_1', '2': 'LABEL_2'})
    assert load_checkpoint(path).meta == {}
    edit(path, id2label={'2': 'c', '0': 'a', '1': 'b'})
    assert load_checkpoint(path).meta == {'CLASSES': ['a', 'b', 'c']}
    edit(path, id2label={'0': 'a', '2': 'b'})
    with pytest.raises(ValueError, match=r"id2label in the config\.json .* '0' to '1'"):
        load_checkpoint(path)
    path.with_name('config.json').write_text('{"model_type": ')
    with pytest.raises(ValueError, match=r"config\.json' next to it cannot be read"):
        load_checkpoint(path)
    path.with_name('config.json').write_text('{of another program')
    assert load_checkpoint(path).model_config == {}


def test_without_a_config_next_to_it_nothing_is_compared_and_that_is_said(tmp_path, caplog):
    path = copy_of('segformer', tmp_path)
    path.with_name('config.json').unlink()
    model = config_of('segformer')
    model['backbone']['num_heads'] = [1, 1, 1, 1]
    check_architecture(load_checkpoint(path), model)
    assert 'no config.json is next to' in caplog.text and 'num_heads' in caplog.text


def test_a_model_in_several_files_is_read_by_its_index(tmp_path):
    saved = read_foreign(DATA / 'segformer' / 'model.safetensors')
    shutil.copy(DATA / 'segformer' / 'config.json', tmp_path)
    names, index = list(saved.tensors), tmp_path / 'pytorch_model.bin.index.json'
    places = {name: f'part-{i % 2}.bin' for i, name in enumerate(names)}
    for part in set(places.values()):
        save_torch(tmp_path / part, {n: saved.tensors[n] for n in names if places[n] == part})
    index.write_text(json.dumps({'metadata': {}, 'weight_map': places}))
    whole = read_foreign(index)
    assert set(whole.tensors) == set(names) and whole.meta == saved.meta
    assert whole.model_config == saved.model_config and whole.path == index
    for wrong, message in (
        ({**places, 'x.weight': 'part-0.bin'}, r"lack \['x\.weight'\]"),
        ({'x': '../part-0.bin'}, r"names '\.\./part-0\.bin', expected a file next to it"),
        ({'x': 'part-9.bin'}, r"part-9\.bin' is not a file"),
        ({'x': 3}, 'has no weight_map'),
        ({}, 'lack all weights'),
    ):
        index.write_text(json.dumps({'weight_map': wrong}))
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_foreign(index)
    index.write_text('[]')
    with pytest.raises(ValueError, match='cannot be read'):
        read_foreign(index)

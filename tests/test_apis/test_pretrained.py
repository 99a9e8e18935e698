"""What training starts from, and where it is looked for."""

from hashlib import sha256
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.apis.model_source import find_weights, load_initial_weights
from msseg.apis.train_settings import StartSettings
from msseg.config import Config
from msseg.models import build_segmentor
from msseg.runner.checkpoint import load_checkpoint
from msseg.weights import find_entry
from tests.test_convert.torch_files import save_torch
from tests.test_models.model_configs import tiny_ocrnet
from tests.tiny_families import FAMILIES

DATA = Path(__file__).parents[1] / 'data' / 'parity'
W18 = 'open-mmlab://msra/hrnetv2_w18'


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path))
    return tmp_path


def start_from(model, **settings):
    load_initial_weights(model, StartSettings.of(Config(settings)))
    return {p.name: p.asnumpy() for p in model.get_parameters()}


def backbone_in(name):
    return load_checkpoint(DATA / f'{name}.pth').weights['conv1.weight']


@pytest.mark.parametrize(
    ('name', 'file'),
    [
        ('hrnetv2_w18_small', 'hrnetv2_w18_small-b5a04e21.pth'),
        ('hrnetv2_w18', 'hrnetv2_w18-00eb2006.pth'),
        ('hrnetv2_w32', 'hrnetv2_w32-dc9eeb4f.pth'),
        ('hrnetv2_w40', 'hrnetv2_w40-ed0b031c.pth'),
        ('hrnetv2_w48', 'hrnetv2_w48-d2186c55.pth'),
    ],
)
def test_names_of_mmcvs_model_zoo_stand_for_files_in_the_home_folder(home, name, file):
    source = f'open-mmlab://msra/{name}'
    message = (
        f'model.pretrained is {source!r}, whose file is not on this machine: get it from '
        f'https://download.openmmlab.com/pretrain/third_party/{file} and put it to '
        f"'{home / file}' ({find_entry(source).size}), or have it fetched with --download or "
        'MSSEG_DOWNLOAD=1, or train from scratch deliberately with model.pretrained=None'
    )
    with pytest.raises(FileNotFoundError) as caught:
        find_weights(source, 'model.pretrained')
    assert str(caught.value) == message
    (home / file).touch()
    assert find_weights(source, 'model.pretrained') == home / file


@pytest.mark.parametrize(
    ('source', 'address'),
    [
        (
            'open-mmlab://resnet50_v1c',
            'https://download.openmmlab.com/pretrain/third_party/resnet50_v1c-2cccc1ad.pth',
        ),
        ('torchvision://resnet18', 'https://download.pytorch.org/models/resnet18-f37072fd.pth'),
        (
            'mmcls://mobilenet_v2',
            'https://download.openmmlab.com/mmclassification/v0/mobilenet_v2/'
            'mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth',
        ),
    ],
)
def test_each_origin_of_names_has_an_address(home, source, address):
    with pytest.raises(FileNotFoundError, match=f'get it from {address} and'):
        find_weights(source, 'model.pretrained')


def test_converted_file_in_the_home_folder_will_do(home):
    (home / 'hrnetv2_w18-00eb2006.ckpt').touch()
    assert find_weights(W18, 'model.pretrained') == home / 'hrnetv2_w18-00eb2006.ckpt'


def test_home_folder_is_in_the_users_cache_by_default(monkeypatch, tmp_path):
    monkeypatch.delenv('MSSEG_HOME', raising=False)
    monkeypatch.setenv('HOME', str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f'{tmp_path}/.cache/msseg/hrnetv2_w18-00eb2006'):
        find_weights(W18, 'model.pretrained')


def test_address_stands_for_its_file(home):
    address = 'https://example.com/models/w48.pth?download=1'
    with pytest.raises(FileNotFoundError, match=r'from https://example\.com/models/w48\.pth\?down'):
        find_weights(address, 'load_from')
    place = home / 'example.com' / 'models' / f'{sha256(b"download=1").hexdigest()[:8]}' / 'w48.pth'
    place.parent.mkdir(parents=True)
    place.touch()
    assert find_weights(address, 'load_from') == place


@pytest.mark.parametrize(
    ('source', 'error', 'message'),
    [
        (
            'open-mmlab://msra/hrnetv2_w19',
            ValueError,
            "Did you mean 'open-mmlab://msra/hrnetv2_w18'",
        ),
        ('torchvision://resnet5', ValueError, "Did you mean 'torchvision://resnet50'"),
        ('pavi://resnet50', ValueError, "names that start with 'pavi' are not known"),
        (
            'no/such.pth',
            FileNotFoundError,
            "load_from: checkpoint 'no/such.pth' is not a file: .*load_from=None",
        ),
        (
            'pretrain/jx_vit_large_p16_384-b3be5167.pth',
            FileNotFoundError,
            'msseg weights get timm://vit_large_patch16_384.orig_in21k_ft_in1k fetches the orig',
        ),
    ],
)
def test_wrong_sources(home, source, error, message):
    with pytest.raises(error, match=message):
        find_weights(source, 'load_from')


def test_pretrained_fills_the_backbone_alone(home):
    (home / 'hrnetv2_w18-00eb2006.pth').write_bytes(
        (DATA / 'official-hrnet-ocr-tiny.pth').read_bytes()
    )
    model = build_segmentor(tiny_ocrnet() | {'pretrained': W18})
    before = model.decode_head[1].conv_seg.weight.asnumpy().copy()
    after = start_from(model)
    expected = backbone_in('official-hrnet-ocr-tiny')
    np.testing.assert_array_equal(after['backbone.conv1.weight'], expected)
    np.testing.assert_array_equal(after['decode_head.1.conv_seg.weight'], before)


def test_another_familys_classifier_fills_the_backbone(home):
    """A file of torchvision has the names of the backbone alone, and a classifier."""
    head = dict(type='FCNHead', in_channels=32, channels=4, num_classes=3)
    backbone = dict(type='ResNet', depth=18, stem_channels=4, base_channels=4)
    model = build_segmentor(
        dict(
            type='EncoderDecoder',
            pretrained=str(home / 'resnet18.pth'),
            backbone=backbone,
            decode_head=head,
        )
    )
    leaves = dict(gamma='weight', beta='bias', moving_mean='running_mean')
    leaves['moving_variance'] = 'running_var'
    rng = np.random.default_rng(0)
    weights = {'fc.weight': rng.normal(size=(10, 32)).astype(np.float32)}
    for p in model.backbone.get_parameters():
        layer, _, leaf = p.name.removeprefix('backbone.').rpartition('.')
        values = rng.normal(size=p.shape).astype(np.float32)
        weights[f'{layer}.{leaves.get(leaf, leaf)}'] = values
    save_torch(home / 'resnet18.pth', weights)
    after = start_from(model)
    np.testing.assert_array_equal(after['backbone.bn1.gamma'], weights['bn1.weight'])
    name = 'layer4.1.bn2.running_var'
    np.testing.assert_array_equal(after['backbone.layer4.1.bn2.moving_variance'], weights[name])


def test_load_from_fills_everything_and_comes_first(home):
    model = build_segmentor(tiny_ocrnet() | {'pretrained': W18})
    after = start_from(model, load_from=str(DATA / 'mmseg-ocrnet-tiny.pth'))
    expected = load_checkpoint(DATA / 'mmseg-ocrnet-tiny.pth').weights
    name = 'decode_head.1.conv_seg.weight'
    np.testing.assert_array_equal(after[name], expected[name])


def test_load_from_takes_a_backbones_file(home):
    after = start_from(
        build_segmentor(tiny_ocrnet()), load_from=str(DATA / 'imagenet-hrnet-tiny.pth')
    )
    expected = backbone_in('imagenet-hrnet-tiny')
    np.testing.assert_array_equal(after['backbone.conv1.weight'], expected)


def test_another_backbone_is_refused_unless_asked_for(home):
    wide = tiny_ocrnet()
    for stage in ('stage2', 'stage3', 'stage4'):
        widths = wide['backbone']['extra'][stage]['num_channels']
        wide['backbone']['extra'][stage]['num_channels'] = tuple(3 * width for width in widths)
    for head in wide['decode_head']:
        head['in_channels'] = [3 * width for width in head['in_channels']]
    model = build_segmentor(wide | {'pretrained': str(DATA / 'imagenet-hrnet-tiny.pth')})
    with pytest.raises(ValueError, match="fewer than half of the backbone's parameters match"):
        start_from(model)
    after = start_from(model, load_partial_backbone=True)
    expected = backbone_in('imagenet-hrnet-tiny')
    np.testing.assert_array_equal(after['backbone.conv1.weight'], expected)


def test_without_either_weights_stay(home):
    model = build_segmentor(tiny_ocrnet())
    before = {p.name: p.asnumpy().copy() for p in model.get_parameters()}
    after = start_from(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_a_vision_transformers_positions_are_resized_to_the_size_of_its_images(tmp_path):
    small, large = (
        build_segmentor(dict(FAMILIES['segmenter'].model, backbone=backbone))
        for backbone in (
            dict(FAMILIES['segmenter'].model['backbone'], img_size=size) for size in (32, 48)
        )
    )
    backbone = {
        name.replace('.in_proj.', '.in_proj_'): p.asnumpy()
        for name, p in large.backbone.parameters_and_names()
        if p.dtype == ms.float32  # integers are the counters of random numbers
    }
    small.backbone.pretrained = str(save_torch(tmp_path / 'vit.pth', backbone))
    loaded = start_from(small)
    positions = large.backbone.positions((4, 4)).asnumpy()
    np.testing.assert_allclose(loaded['backbone.pos_embed'], positions, atol=1e-6)
    np.testing.assert_array_equal(loaded['backbone.cls_token'], backbone['cls_token'])


TIMM = {
    'patch_embed.projection.': 'patch_embed.proj.',
    'layers.': 'blocks.',
    'ln1.': 'norm1.',
    'ln2.': 'norm2.',
    'attn.attn.in_proj.': 'attn.qkv.',
    'attn.attn.out_proj.': 'attn.proj.',
    'ffn.blocks.0.0.': 'mlp.fc1.',
    'ffn.blocks.1.': 'mlp.fc2.',
    '.gamma': '.weight',
    '.beta': '.bias',
}


def test_timms_vision_transformers_are_loaded_whole(tmp_path):
    config = dict(FAMILIES['segmenter'].model)
    config['backbone'] = dict(config['backbone'], final_norm=True)
    model = build_segmentor(config)
    values, file = {}, {'head.weight': np.ones((9, 6), np.float32)}
    for name, p in model.backbone.parameters_and_names():
        if p.dtype != ms.float32:
            continue  # counters of random numbers
        values[f'backbone.{name}'] = np.full(p.shape, len(file), np.float32)
        renamed = 'norm.' + name[4:] if name.startswith('ln1.') else name
        for own, timm in TIMM.items():
            renamed = renamed.replace(own, timm)
        file[renamed] = values[f'backbone.{name}']
    assert {'norm.weight', 'blocks.1.mlp.fc2.bias', 'blocks.0.attn.qkv.weight'} < set(file)
    model.backbone.pretrained = str(save_torch(tmp_path / 'timm.pth', file))
    loaded = start_from(model)
    for name, value in values.items():
        np.testing.assert_array_equal(loaded[name], value, err_msg=name)

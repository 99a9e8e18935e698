"""BiSeNetV1's maps, options and refusals, and the weights of the backbone inside of it."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.apis.model_source import load_initial_weights
from msseg.apis.train_settings import StartSettings
from msseg.models import build_backbone, build_segmentor

RESNET = dict(type='ResNet', depth=18, stem_channels=4, base_channels=4)
SMALL = dict(
    type='BiSeNetV1', backbone_cfg=RESNET, spatial_channels=(4, 4, 4, 8),
    context_channels=(8, 16, 32), out_channels=12,
)  # fmt: skip


def image(height, width):
    return ms.Tensor(np.random.default_rng(0).normal(size=(1, 3, height, width)), ms.float32)


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (65, 97), (50, 33)])
def test_maps_are_an_eighth_twice_and_a_sixteenth_rounding_up(height, width):
    backbone = build_backbone(SMALL).set_train(False)
    sizes = [(-(-height // s), -(-width // s)) for s in (8, 8, 16)]
    shapes = [(1, c, *size) for c, size in zip((12, 8, 8), sizes, strict=True)]
    assert [m.shape for m in backbone(image(height, width))] == shapes


def test_maps_need_not_be_halves_of_each_other():
    cfg = dict(SMALL, backbone_cfg=dict(RESNET, strides=(1, 2, 2, 1)), out_indices=(2, 0))
    maps = build_backbone(cfg).set_train(False)(image(64, 96))
    assert [m.shape for m in maps] == [(1, 8, 4, 6), (1, 12, 8, 12)]


def test_norm_and_activation_are_those_of_the_config():
    cfg = dict(SMALL, norm_cfg=dict(type='GN', num_groups=2), act_cfg=dict(type='LeakyReLU'))
    backbone = build_backbone(cfg)
    backbone.context_path.backbone = nn.Identity()
    layers = [layer for _, layer in backbone.cells_and_names()]
    assert not [layer for layer in layers if isinstance(layer, (nn.BatchNorm2d, nn.ReLU))]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(spatial_channels=(4, 4, 4, 4)), r'spatial_channels is .*, expected 16 - 8 last'),
        (dict(in_channels=4), 'BiSeNetV1: in_channels is 4, but backbone_cfg has 3'),
        (dict(context_channels=(8, 16, 64)), r'have \[4, 8, 16, 32\] channels, expected \[any'),
        (dict(backbone_cfg=dict(RESNET, out_indices=(2, 3))), r'have \[16, 32\] channels'),
        (dict(align_corners=True), 'align_corners is True'),
        (dict(out_indices=(0, 3)), 'out_indices'),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(dict(SMALL, **options))


def test_weights_of_the_inner_backbone_are_loaded_into_it(tmp_path):
    inner = build_backbone(RESNET)
    path = str(tmp_path / 'resnet.ckpt')
    ms.save_checkpoint(inner, path)
    init_cfg = dict(type='Pretrained', checkpoint=path)
    head = dict(type='FCNHead', in_channels=12, in_index=0, channels=4, num_classes=2)
    cfg = dict(SMALL, backbone_cfg=dict(RESNET, init_cfg=init_cfg))
    model = build_segmentor(dict(type='EncoderDecoder', backbone=cfg, decode_head=head))
    parameters = {p.name: p.asnumpy() for p in model.get_parameters()}
    prefix = 'backbone.context_path.backbone.'
    assert (parameters[f'{prefix}conv1.weight'] != inner.conv1.weight.asnumpy()).any()
    load_initial_weights(model, StartSettings())
    parameters = {p.name: p.asnumpy() for p in model.get_parameters()}
    for parameter in inner.get_parameters():
        np.testing.assert_array_equal(parameters[prefix + parameter.name], parameter.asnumpy())

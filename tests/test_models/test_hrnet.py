"""HRNet's options."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_backbone
from tests.test_models.model_configs import hrnet_extra, tiny_hrnet


def image(height=33, width=41, channels=3):
    rng = np.random.default_rng(0)
    return ms.Tensor(rng.normal(size=(1, channels, height, width)), ms.float32)


def norms(cell):
    return [layer for _, layer in cell.cells_and_names() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize(('height', 'width'), [(32, 64), (33, 41), (63, 35)])
def test_maps_are_quartered_and_halved_rounding_up(height, width):
    maps = build_backbone(tiny_hrnet(in_channels=4)).set_train(False)(image(height, width, 4))
    sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in (2, 3, 4, 5)]
    assert [m.shape for m in maps] == [
        (1, width, *size) for width, size in zip((4, 8, 16, 32), sizes, strict=True)
    ]


@pytest.mark.parametrize('size', [(12, 20), (11, 18)])
def test_fusion_may_repeat_pixels_as_imagenet_classifiers_do(size):
    """Where an odd size was rounded up, the last repetitions are cut off."""
    module = build_backbone(tiny_hrnet(fuse_upsample='nearest')).stage4[0]
    module.branches = nn.CellList([nn.Identity() for _ in range(4)])
    for j in (1, 2, 3):
        module.fuse_layers[0][j] = nn.Identity()
    rng = np.random.default_rng(0)
    sizes = [tuple(-(-length // 2**j) for length in size) for j in range(4)]
    maps = [np.abs(rng.normal(size=(1, 4, *each))).astype(np.float32) for each in sizes]
    expected = maps[0]
    for j in (1, 2, 3):
        repeated = maps[j].repeat(2**j, axis=2).repeat(2**j, axis=3)
        expected = expected + repeated[:, :, : size[0], : size[1]]
    module.num_outputs = 1
    (output,) = module(tuple(ms.Tensor(each) for each in maps))
    np.testing.assert_allclose(output.asnumpy(), expected, rtol=1e-6)


def test_fusion_of_an_unknown_kind_or_two_is_refused():
    with pytest.raises(ValueError, match="fuse_upsample is 'nearst'.*Did you mean 'nearest'"):
        build_backbone(tiny_hrnet(fuse_upsample='nearst'))
    with pytest.raises(ValueError, match="align_corners=True is for fuse_upsample='bilinear'"):
        build_backbone(tiny_hrnet(fuse_upsample='nearest', align_corners=True))


def test_single_scale_output_gives_the_highest_resolution_only():
    backbone = build_backbone(tiny_hrnet(multiscale_output=False))
    assert [m.shape for m in backbone(image(32, 64))] == [(1, 4, 8, 16)]
    assert list(backbone.out_channels) == [4]
    assert not [p.name for p in backbone.get_parameters() if 'stage4.0.fuse_layers.1' in p.name]


def test_initialisation_is_kaiming_and_ones():
    extra = hrnet_extra((16, 32, 64, 128), 1, (1, 1, 1), 16)
    backbone = build_backbone(dict(type='HRNet', extra=extra))
    for _, layer in backbone.cells_and_names():
        if isinstance(layer, nn.Conv2d) and layer.weight.size > 10000:
            out_channels, _, height, width = layer.weight.shape
            expected = np.sqrt(2 / (out_channels * height * width))
            assert layer.weight.asnumpy().std() == pytest.approx(expected, rel=0.05)
    assert all((layer.gamma.asnumpy() == 1).all() for layer in norms(backbone))
    assert not any(layer.beta.asnumpy().any() for layer in norms(backbone))


def test_zero_init_residual_makes_blocks_the_identity():
    backbone = build_backbone(tiny_hrnet(zero_init_residual=True)).set_train(False)
    block = backbone.stage2[0].branches[0][0]
    x = ms.ops.abs(image(8, 8, 4))
    np.testing.assert_array_equal(block(x).asnumpy(), x.asnumpy())
    assert (backbone.bn1.gamma.asnumpy() == 1).all()


@pytest.mark.parametrize('stages', [-1, 0, 2, 4])
def test_frozen_stages_are_neither_trained_nor_normalised_by_the_batch(stages):
    backbone = build_backbone(tiny_hrnet(frozen_stages=stages))
    frozen = ['conv1', 'bn1', 'conv2', 'bn2', 'layer1', 'transition1', 'stage2', 'transition2']
    frozen = {-1: [], 0: frozen[:4], 2: frozen, 4: [*frozen, 'stage3', 'transition3', 'stage4']}
    for parameter in backbone.get_parameters():
        is_statistic = 'moving' in parameter.name
        expected = parameter.name.split('.')[0] not in frozen[stages] and not is_statistic
        assert parameter.requires_grad == expected, parameter.name
    for name, layer in backbone.cells_and_names():
        if isinstance(layer, nn.BatchNorm2d):
            expected = False if name.split('.')[0] in frozen[stages] else None
            assert layer.use_batch_statistics is expected


def test_norm_eval_keeps_running_statistics_but_trains_scale_and_shift():
    backbone = build_backbone(tiny_hrnet(norm_eval=True)).set_train()
    before = [layer.moving_mean.asnumpy().copy() for layer in norms(backbone)]
    backbone(image())
    for layer, mean in zip(norms(backbone), before, strict=True):
        np.testing.assert_array_equal(layer.moving_mean.asnumpy(), mean)
        assert layer.gamma.requires_grad


def test_pretrained_is_remembered_and_not_loaded():
    name = 'open-mmlab://msra/hrnetv2_w18'
    assert build_backbone(tiny_hrnet(pretrained=name)).pretrained == name
    init_cfg = dict(type='Pretrained', checkpoint=name)
    assert build_backbone(tiny_hrnet(init_cfg=init_cfg)).pretrained == name
    assert build_backbone(tiny_hrnet()).pretrained is None
    with pytest.raises(ValueError, match='not both'):
        build_backbone(tiny_hrnet(init_cfg=init_cfg, pretrained=name))


@pytest.mark.parametrize(
    ('stage', 'change', 'message'),
    [
        ('stage2', dict(num_blocks=(1,)), r'stage2.num_blocks is \(1,\), expected 2 numbers'),
        ('stage3', dict(block='BASICS'), "block is 'BASICS'.*Did you mean 'BASIC'"),
        (
            'stage3',
            dict(num_module=1),
            "no argument 'num_module'.*Did you mean 'num_modules'",
        ),
    ],
)
def test_contradicting_stages_are_explained(stage, change, message):
    config = tiny_hrnet()
    config['extra'][stage].update(change)
    with pytest.raises((ValueError, TypeError), match=message):
        build_backbone(config)


def test_missing_parts_are_explained():
    config = tiny_hrnet()
    del config['extra']['stage4']
    with pytest.raises(ValueError, match="extra has no 'stage4'"):
        build_backbone(config)
    config = tiny_hrnet()
    del config['extra']['stage1']['block']
    with pytest.raises(TypeError, match=r"extra.stage1: stage_options\(\) missing .* 'block'"):
        build_backbone(config)
    with pytest.raises(ValueError, match='frozen_stages is 5'):
        build_backbone(tiny_hrnet(frozen_stages=5))

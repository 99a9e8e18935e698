"""ResNet's options."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_backbone
from msseg.models.layers.res_block import (
    BasicBlock,
    Bottleneck,
    make_res_layer,
    recompute_without_norms,
)


def resnet(depth=18, kind='ResNet', **options):
    return build_backbone(
        dict(dict(type=kind, depth=depth, stem_channels=4, base_channels=4), **options)
    )


def image(height=33, width=41):
    rng = np.random.default_rng(0)
    return ms.Tensor(rng.normal(size=(1, 3, height, width)), ms.float32)


def norms(cell):
    return [layer for _, layer in cell.cells_and_names() if isinstance(layer, nn.BatchNorm2d)]


@pytest.mark.parametrize(('height', 'width'), [(32, 64), (33, 41)])
@pytest.mark.parametrize('kind', ['ResNet', 'ResNetV1c', 'ResNetV1d'])
def test_maps_are_quartered_and_halved_rounding_up(kind, height, width, graph_mode):
    maps = resnet(kind=kind).set_train(False)(image(height, width))
    sizes = [(-(-height // 2**i), -(-width // 2**i)) for i in (2, 3, 4, 5)]
    assert [m.shape for m in maps] == [
        (1, channels, *size) for channels, size in zip((4, 8, 16, 32), sizes, strict=True)
    ]


def test_dilations_in_place_of_strides_keep_the_size():
    backbone = resnet(
        50, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), out_indices=(3, 1), in_channels=3
    )
    maps = backbone.set_train(False)(image(32, 64))
    assert [m.shape for m in maps] == [(1, 32, 4, 8), (1, 128, 4, 8)]
    assert backbone.out_channels == [32, 128]


def dilations_of(layer):
    return [block.conv2.dilation[0] for block in layer]


def test_dilation_by_block():
    dilated = dict(depth=50, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    assert dilations_of(resnet(**dilated).layer4) == [4, 4, 4]
    contracted = resnet(**dilated, contract_dilation=True)
    assert dilations_of(contracted.layer1) == [1, 1, 1]
    assert dilations_of(contracted.layer4) == [2, 4, 4]
    grid = resnet(**dilated, contract_dilation=True, multi_grid=(1, 2, 5))
    assert dilations_of(grid.layer3) == [1, 2, 2, 2, 2, 2]
    assert dilations_of(grid.layer4) == [1, 2, 5]


def test_a_basic_block_dilates_its_first_convolution_only():
    block = resnet(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)).layer4[0]
    assert (block.conv1.dilation[0], block.conv2.dilation[0]) == (4, 1)


@pytest.mark.parametrize(('style', 'steps'), [('pytorch', (1, 2)), ('caffe', (2, 1))])
def test_style_is_the_convolution_that_steps(style, steps):
    block = resnet(50, style=style).layer2[0]
    assert (block.conv1.stride[0], block.conv2.stride[0]) == steps


@pytest.mark.parametrize('stride', [2, 3])
def test_averaging_shortcuts_count_no_pixels_outside(stride):
    layer = make_res_layer(BasicBlock, 3, 3, 1, stride=stride, avg_down=True)
    x = image(8, 7).asnumpy()
    got = layer[0].downsample[0](ms.Tensor(x)).asnumpy()
    rows, columns = range(0, 8, stride), range(0, 7, stride)
    expected = [
        [x[0, :, i : i + stride, j : j + stride].mean((1, 2)) for j in columns] for i in rows
    ]
    np.testing.assert_allclose(got[0], np.transpose(expected, (2, 0, 1)), atol=1e-6)


def test_names_of_the_variants():
    def of(cell):
        return {name.rpartition('.')[0] for name in cell.parameters_dict()}

    assert {'conv1', 'bn1', 'layer2.0.downsample.0', 'layer2.0.downsample.1'} < of(resnet())
    deep = of(resnet(kind='ResNetV1c'))
    assert {f'stem.{i}' for i in (0, 1, 3, 4, 6, 7)} < deep
    assert {'layer2.0.downsample.0', 'layer2.0.downsample.1'} < deep
    assert {'layer2.0.downsample.1', 'layer2.0.downsample.2'} < of(resnet(kind='ResNetV1d'))
    with_groups = of(resnet(norm_cfg=dict(type='GN', num_groups=2)))
    assert {'gn1', 'layer1.0.gn1', 'layer1.0.gn2'} < with_groups


@pytest.mark.parametrize('depth', [18, 50])
def test_blocks_start_as_the_identity_unless_initialised_otherwise(depth):
    def is_zero(**options):
        block = resnet(depth, **options).layer1[1]
        assert (block.bn1.gamma.asnumpy() == 1).all()
        return not block.last_norm.gamma.asnumpy().any()

    assert is_zero()
    assert not is_zero(zero_init_residual=False)
    assert not is_zero(init_cfg=dict(type='Constant', val=1, layer='_BatchNorm'))


@pytest.mark.parametrize('stages', [-1, 0, 2])
@pytest.mark.parametrize('kind', ['ResNet', 'ResNetV1c'])
def test_frozen_stages_are_neither_trained_nor_normalised_by_the_batch(kind, stages):
    backbone = resnet(kind=kind, frozen_stages=stages)
    frozen = {-1: [], 0: ['conv1', 'bn1', 'stem']}
    frozen[2] = [*frozen[0], 'layer1', 'layer2']
    for parameter in backbone.get_parameters():
        is_statistic = 'moving' in parameter.name
        expected = parameter.name.split('.')[0] not in frozen[stages] and not is_statistic
        assert parameter.requires_grad == expected, parameter.name
    for name, layer in backbone.cells_and_names():
        if isinstance(layer, nn.BatchNorm2d):
            expected = False if name.split('.')[0] in frozen[stages] else None
            assert layer.use_batch_statistics is expected


def test_norm_eval_keeps_running_statistics_but_trains_scale_and_shift():
    backbone = resnet(norm_eval=True).set_train()
    before = [layer.moving_mean.asnumpy().copy() for layer in norms(backbone)]
    backbone(image())
    for layer, mean in zip(norms(backbone), before, strict=True):
        np.testing.assert_array_equal(layer.moving_mean.asnumpy(), mean)
        assert layer.gamma.requires_grad


def test_with_cp_recomputes_every_block(graph_mode):
    blocks = [
        cell
        for _, cell in resnet(50, with_cp=True).cells_and_names()
        if isinstance(cell, Bottleneck)
    ]
    assert len(blocks) == 16
    assert all(block.recomputes for block in blocks)


@pytest.mark.parametrize('norm', [nn.BatchNorm2d, nn.SyncBatchNorm])
def test_recomputed_blocks_update_statistics_once(graph_mode, norm):
    """MindSpore's SyncBatchNorm is no BatchNorm2d, and its operator updates statistics, too."""
    block = nn.SequentialCell(nn.Conv2d(3, 4, 1), norm(4), nn.ReLU())
    assert 'recompute' not in block[1].bn_train.attrs
    recompute_without_norms(block)
    assert block[1].bn_train.attrs['recompute'] is False
    assert 'recompute' not in block[0].conv2d.attrs  # as the cell around it


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(depth=51), r'ResNet: depth is 51, expected one of \[18, 34, 50, 101, 152\]'),
        (dict(strides=(1, 2, 2)), r'strides is \(1, 2, 2\), expected 4 numbers'),
        (dict(num_stages=3), r'strides is \(1, 2, 2, 2\), expected 3 numbers'),
        (dict(out_indices=(0, 4)), r'out_indices is \(0, 4\), expected .* from 0 to 3'),
        (
            dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1)),
            r'out_indices is \(0, 1, 2, 3\), expected stages from 0 to 2',
        ),
        (dict(depth=50, multi_grid=(1, 2)), r'multi_grid is \(1, 2\), expected 3 numbers'),
        (dict(style='cafe'), "style is 'cafe'.*Did you mean 'caffe'"),
        (dict(dcn=dict(type='DCN')), "dcn is {'type': 'DCN'}, expected None"),
        (dict(kind='ResNetV1c', deep_stem=False), 'ResNetV1c: deep_stem is False, expected True'),
        (dict(kind='ResNetV1d', avg_down=False), 'ResNetV1d: avg_down is False, expected True'),
    ],
)
def test_numbers_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        resnet(**options)

"""ICNet and its neck."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import SegmentorWithLoss, build_backbone, build_neck, build_segmentor
from msseg.models.layers import Rescale
from msseg.models.layers.resize import resize_matrix
from tests.test_models.family_checks import image

BN = dict(type='BN')
RESNET = dict(
    type='ResNetV1c', depth=18, stem_channels=4, base_channels=4, strides=(1, 2, 1, 1),
    dilations=(1, 1, 2, 4), contract_dilation=True,
)  # fmt: skip
SMALL = dict(
    type='ICNet', backbone_cfg=RESNET, layer_channels=(8, 32), light_branch_middle_channels=4,
    psp_out_channels=4, out_channels=(4, 6, 8), pool_scales=(1, 2),
)  # fmt: skip


@pytest.mark.parametrize(
    ('size', 'sizes'),
    [((64, 96), [(8, 12), (5, 7), (2, 3)]), ((65, 97), [(9, 13), (5, 7), (2, 3)]),
     ((14, 14), [(2, 2), (2, 2), (1, 1)])],
)  # fmt: skip
def test_maps_have_an_eighth_a_sixteenth_and_a_thirty_second_of_the_size(size, sizes):
    backbone = build_backbone(SMALL).set_train(False)
    shapes = [(1, c, *each) for c, each in zip((4, 6, 8), sizes, strict=True)]
    assert [m.shape for m in backbone(image(*size))] == shapes


def test_activation_of_the_config_is_that_of_the_pooling():
    backbone = build_backbone(dict(SMALL, act_cfg=dict(type='LeakyReLU')))
    assert isinstance(backbone.psp_bottleneck.activate, nn.LeakyReLU)
    assert isinstance(backbone.conv_sub2.activate, nn.ReLU)


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(layer_channels=(8, 16)), ValueError, r'have \[4, 8, 16, 32\] .* \[any, 8, any, 16\]'),
        (dict(in_channels=4), ValueError, 'ICNet: in_channels is 4, but backbone_cfg has 3'),
        (dict(backbone_cfg=dict(RESNET, type='ResNet')), TypeError, 'gives ResNet without stem'),
        (dict(out_channels=(4, 6)), ValueError, r'out_channels is \(4, 6\)'),
        (dict(pool_scales=(0,)), ValueError, r'pool_scales is \(0,\)'),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        build_backbone(dict(SMALL, **options))


def test_neck_takes_three_maps():
    with pytest.raises(ValueError, match=r'in_channels is \[4, 6\]'):
        build_neck(dict(type='ICNeck', in_channels=[4, 6]))


def model(**options):
    head = dict(type='FCNHead', in_channels=5, channels=4, num_convs=1, num_classes=3,
                concat_input=False, norm_cfg=BN)  # fmt: skip
    return build_segmentor(
        dict(
            type='EncoderDecoder',
            backbone=dict(SMALL, **options),
            neck=dict(type='ICNeck', in_channels=(4, 6, 8), out_channels=5),
            decode_head=dict(head, in_index=2),
            auxiliary_head=[dict(head, in_index=0), dict(head, in_index=1)],
        )
    )


def test_a_too_small_image_is_refused():
    segmentor = model()
    assert segmentor.smallest_image == 14
    segmentor.check_image_size((14, 20))
    with pytest.raises(ValueError, match=r'ICNet: .* \(20, 13\), expected at least \(14'):
        segmentor.check_image_size((20, 13))
    steps = dict(RESNET, strides=(2, 2, 1, 1))
    assert model(backbone_cfg=steps).smallest_image > 14


def test_both_auxiliary_heads_train_in_one_graph(graph_mode):
    step = SegmentorWithLoss(model()).set_train()
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (2, 64, 64)), ms.int32)
    loss, values = step(image(64, 64, n=2), labels)
    assert [name for name in step.value_names if 'loss' in name] == [
        'decode.loss_ce', 'aux_0.loss_ce', 'aux_1.loss_ce'
    ]  # fmt: skip
    named = dict(zip(step.value_names, map(float, values), strict=True))
    assert float(loss) == pytest.approx(sum(v for k, v in named.items() if 'loss' in k), rel=1e-6)


@pytest.mark.parametrize('factor', [0.25, 0.5, 1, 2])
@pytest.mark.parametrize('align_corners', [False, True])
def test_pixels_of_a_rescaled_map_are_as_far_apart_as_the_factor_says(factor, align_corners):
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 11))
    got = Rescale(factor, align_corners)(ms.Tensor(x, ms.float32)).asnumpy()
    steps = max(round(1 / factor), 1)
    sizes = [int(factor * each) for each in x.shape[2:]]
    # without aligned corners, by a whole number: what is beyond the last whole step is left out
    kept = x.shape[2:] if align_corners else [min(n * steps, old) for n, old in
                                              zip(sizes, x.shape[2:], strict=True)]  # fmt: skip
    rows, columns = (resize_matrix(kept[i], sizes[i], align_corners) for i in (0, 1))
    expected = rows @ x[:, :, : kept[0], : kept[1]] @ columns.T
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_a_factor_in_between_is_refused():
    with pytest.raises(ValueError, match=r'Rescale: factor is 0\.3, expected a whole number or 1'):
        Rescale(0.3)

"""STDCNet, its context path and its detail head."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import SegmentorWithLoss, build_backbone, build_head, build_segmentor

LAYERS = dict(norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU'))
STDC = dict(
    type='STDCNet', stdc_type='STDCNet1', in_channels=3, channels=(4, 4, 16, 16, 32),
    bottleneck_type='cat', **LAYERS,
)  # fmt: skip
SMALL = dict(
    type='STDCContextPathNet', backbone_cfg=STDC, last_in_channels=(32, 16), out_channels=8,
    ffm_cfg=dict(in_channels=24, out_channels=16),
)  # fmt: skip


def image(height, width, n=1):
    rng = np.random.default_rng(0)
    return ms.Tensor(rng.normal(size=(n, 3, height, width)), ms.float32)


@pytest.mark.parametrize('kind', ['cat', 'add'])
def test_backbone_gives_an_eighth_to_a_thirty_second_rounding_up(kind):
    backbone = build_backbone(dict(STDC, bottleneck_type=kind)).set_train(False)
    shapes = [m.shape for m in backbone(image(65, 97))]
    assert shapes == [(1, 16, 9, 13), (1, 16, 5, 7), (1, 32, 3, 4)]


def test_final_convolution_has_at_least_1024_channels():
    backbone = build_backbone(dict(STDC, with_final_conv=True)).set_train(False)
    assert backbone.out_channels == [16, 16, 1024]
    assert backbone(image(64, 64))[-1].shape == (1, 1024, 2, 2)


@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
def test_context_path_gives_four_maps(mode):
    backbone = build_backbone(dict(SMALL, upsample_mode=mode)).set_train(False)
    assert backbone.out_channels == [16, 8, 8, 16]
    shapes = [m.shape for m in backbone(image(65, 97))]
    assert shapes == [(1, 16, 9, 13), (1, 8, 5, 7), (1, 8, 9, 13), (1, 16, 9, 13)]


@pytest.mark.parametrize(
    ('cfg', 'message'),
    [
        (dict(STDC, stdc_type='STDCNet3'), "Did you mean 'STDCNet"),
        (dict(STDC, channels=(4, 4, 16, 20, 32)), 'expected multiples of 8 from the third on'),
        (dict(STDC, num_convs=1), 'num_convs is 1'),
        (dict(SMALL, last_in_channels=(16, 32)), r'channels, expected \[16, 32, 16\]'),
        (dict(SMALL, align_corners=True), 'align_corners is True, expected None for upsample_mode'),
        (dict(SMALL, ffm_cfg=dict(in_channels=24, out_channels=2)), 'scale_factor'),
        (dict(SMALL, ffm_cfg=dict(in_channels=0, out_channels=2)), 'in_channels is 0'),
    ],
)
def test_what_does_not_fit_is_refused(cfg, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(cfg)


def detail_targets(labels, threshold=0.1):
    """The targets by their definition, pixel by pixel."""
    h, w = labels.shape
    padded = np.pad(labels, 1).astype(float)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    edges = (9 * labels - windows.sum((2, 3)) > threshold).astype(float)
    total = np.zeros((h, w), np.float32)
    for i, j in np.ndindex(h, w):
        for step, weight in ((1, 0.6), (2, 0.3), (4, 0.1)):
            y, x = i * -(-h // step) // h * step, j * -(-w // step) // w * step
            total[i, j] += np.float32(weight * edges[y, x])
    return total > np.float32(threshold)


@pytest.mark.parametrize('size', [(16, 24), (17, 22)])
def test_targets_are_edges_at_three_scales(size):
    head = build_head(dict(type='STDCHead', in_channels=4, channels=4, num_classes=2))
    labels = np.random.default_rng(0).integers(0, 4, [-(-each // 5) for each in size])
    labels = labels.repeat(5, 0).repeat(5, 1)[: size[0], : size[1]].astype(np.int32)
    labels[:3, :3] = 255
    got = head.detail_targets(ms.Tensor(labels[None])).asnumpy()[0]
    np.testing.assert_array_equal(got, detail_targets(labels))
    assert 0 < got.mean() < 1


def test_the_detail_head_is_for_two_classes():
    with pytest.raises(ValueError, match='STDCHead: num_classes is 3, expected 2'):
        build_head(dict(type='STDCHead', in_channels=4, channels=4, num_classes=3))


def test_its_kernels_are_saved_and_not_trained():
    head = build_head(dict(type='STDCHead', in_channels=4, channels=4, num_classes=2))
    trained = {p.name for p in head.trainable_params()}
    everything = {p.name for p in head.get_parameters()}
    assert everything - trained >= {'laplacian_kernel', 'fusion_kernel'}
    assert not trained & {'laplacian_kernel', 'fusion_kernel'}


def test_three_auxiliary_heads_train_in_one_graph(graph_mode):
    head = dict(type='FCNHead', channels=4, num_convs=1, num_classes=3, concat_input=False,
                norm_cfg=dict(type='BN'))  # fmt: skip
    losses = [
        dict(type='CrossEntropyLoss', use_sigmoid=True),
        dict(type='DiceLoss', loss_name='loss_dice'),
    ]
    detail = dict(head, type='STDCHead', num_classes=2, loss_decode=losses)
    model = build_segmentor(
        dict(
            type='EncoderDecoder',
            backbone=SMALL,
            decode_head=dict(head, in_channels=16, in_index=3),
            auxiliary_head=[
                dict(head, in_channels=8, in_index=2),
                dict(head, in_channels=8, in_index=1),
                dict(detail, in_channels=16, in_index=0),
            ],
        )
    )
    step = SegmentorWithLoss(model).set_train()
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (2, 64, 64)), ms.int32)
    loss, values = step(image(64, 64, n=2), labels)
    assert step.value_names[-3:] == ['aux_2.loss_ce', 'aux_2.loss_dice', 'aux_2.acc_seg']
    named = dict(zip(step.value_names, map(float, values), strict=True))
    assert float(loss) == pytest.approx(sum(v for k, v in named.items() if 'loss' in k), rel=1e-6)

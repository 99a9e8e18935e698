"""BiSeNetV2's maps, options and refusals."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import SegmentorWithLoss, build_backbone, build_segmentor

SMALL = dict(
    type='BiSeNetV2', detail_channels=(4, 4, 8), semantic_channels=(4, 4, 6, 8), bga_channels=8,
    semantic_expansion_ratio=2,
)  # fmt: skip


def image(height, width, n=1):
    rng = np.random.default_rng(0)
    return ms.Tensor(rng.normal(size=(n, 3, height, width)), ms.float32)


@pytest.mark.parametrize(('height', 'width'), [(64, 96), (65, 97), (50, 33)])
def test_maps_are_an_eighth_and_a_quarter_to_a_thirty_second_rounding_up(height, width):
    backbone = build_backbone(SMALL).set_train(False)
    sizes = [(-(-height // s), -(-width // s)) for s in (8, 4, 8, 16, 32)]
    shapes = [(1, c, *size) for c, size in zip((8, 4, 4, 6, 8), sizes, strict=True)]
    assert [m.shape for m in backbone(image(height, width))] == shapes


def test_maps_are_chosen_in_the_order_given():
    backbone = build_backbone(dict(SMALL, out_indices=(3, 0)))
    assert backbone.out_channels == [6, 8]
    assert [m.shape[1] for m in backbone(image(64, 64, n=2))] == [6, 8]


def test_norm_and_activation_are_those_of_the_config():
    cfg = dict(SMALL, norm_cfg=dict(type='GN', num_groups=2), act_cfg=dict(type='LeakyReLU'))
    layers = [layer for _, layer in build_backbone(cfg).cells_and_names()]
    assert not [layer for layer in layers if isinstance(layer, (nn.BatchNorm2d, nn.ReLU))]
    assert [layer for layer in layers if isinstance(layer, nn.GroupNorm)]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(out_indices=(0, 5)), r'out_indices is \(0, 5\), expected indices of the 5 maps'),
        (dict(semantic_channels=(4, 8)), 'semantic_channels is .* expected 4 numbers'),
        (dict(semantic_channels=(1, 4, 6, 8)), r'semantic_channels\[0\] is 1'),
        (dict(bga_channels=16), r'detail_channels is \(4, 4, 8\), expected bga_channels \(16\)'),
        (dict(semantic_expansion_ratio=0), 'semantic_expansion_ratio is 0'),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        build_backbone(dict(SMALL, **options))


def test_four_auxiliary_heads_with_hard_pixels_train_in_one_graph(graph_mode):
    sampler = dict(type='OHEMPixelSampler', thresh=0.7, min_kept=100)
    head = dict(type='FCNHead', channels=4, num_convs=1, num_classes=3, concat_input=False,
                norm_cfg=dict(type='BN'), sampler=sampler)  # fmt: skip
    model = build_segmentor(
        dict(
            type='EncoderDecoder',
            backbone=SMALL,
            decode_head=dict(head, in_channels=8, in_index=0),
            auxiliary_head=[
                dict(head, in_channels=c, in_index=i) for i, c in enumerate((4, 4, 6, 8), 1)
            ],
        )
    )
    step = SegmentorWithLoss(model).set_train()
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (2, 64, 64)), ms.int32)
    loss, values = step(image(64, 64, n=2), labels)
    named = dict(zip(step.value_names, map(float, values), strict=True))
    losses = [value for name, value in named.items() if name.endswith('loss_ce')]
    assert len(losses) == 5
    assert float(loss) == pytest.approx(sum(losses), rel=1e-6)
    assert np.isfinite(losses).all()

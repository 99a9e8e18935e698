"""DDRNet and PIDNet."""

import cv2
import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_backbone, build_head, build_loss, build_segmentor
from msseg.models.decode_heads.pid_head import edge_map
from tests.test_models.family_checks import image, norms
from tests.test_models.mmseg122 import NUM_CLASSES, ROWS, assert_logits, assert_training_pass
from tests.test_models.reference_weights import load_filled

WEIGHTS = [0.5 + 0.1 * i for i in range(NUM_CLASSES)]


def ohem(weight=1.0):
    return dict(
        type='OhemCrossEntropy', thres=0.3, min_kept=500, class_weight=WEIGHTS, loss_weight=weight
    )


def ddrnet(**options):
    head = dict(
        type='DDRHead', in_channels=16, channels=8, num_classes=NUM_CLASSES, dropout_ratio=0,
        loss_decode=[ohem(), ohem(0.4)], **options,
    )  # fmt: skip
    backbone = dict(type='DDRNet', channels=4, ppm_channels=4)
    return dict(type='EncoderDecoder', backbone=backbone, decode_head=head)


def pidnet(blocks=2, **options):
    losses = [
        dict(type='CrossEntropyLoss', loss_weight=0.4),
        ohem(),
        dict(type='BoundaryLoss', loss_weight=20.0),
        ohem(),
    ]
    head = dict(
        type='PIDHead', in_channels=16, channels=8, num_classes=NUM_CLASSES, dropout_ratio=0,
        align_corners=True, loss_decode=losses, **options,
    )  # fmt: skip
    backbone = dict(
        type='PIDNet', channels=4, ppm_channels=4, num_stem_blocks=blocks, num_branch_blocks=blocks
    )
    return dict(type='EncoderDecoder', backbone=backbone, decode_head=head)


MODELS = {'ddrnet': ddrnet(), 'pidnet_s': pidnet(2), 'pidnet_l': pidnet(3)}


@pytest.mark.parametrize('name', MODELS)
def test_names_logits_losses_and_gradients_are_those_of_mmsegmentation(name):
    model = build_segmentor(MODELS[name])
    load_filled(model, ROWS[name]['names'])
    if name.startswith('pidnet'):  # so that some pixels are sure to be boundaries
        model.decode_head.d_cls_seg.bias.set_data(ms.Tensor([1.3], ms.float32))
    assert_logits(name, model)
    assert_training_pass(name, model)


@pytest.mark.parametrize('config', [ddrnet(), pidnet()])
def test_other_losses_than_the_results_are_0_in_evaluation(config):
    head = build_segmentor(config).decode_head.set_train(False)
    widths = (8, 16) if config['backbone']['type'] == 'DDRNet' else (8, 8, 16)
    maps = tuple(image(8, 12, channels=width) for width in widths)
    labels = ms.Tensor(np.random.default_rng(0).integers(0, NUM_CLASSES, (1, 64, 96)), ms.int32)
    values = dict(zip(head.loss_names, head.losses(head(maps), labels), strict=True))
    assert {name for name, value in values.items() if float(value) == 0} == set(
        head.train_only_losses
    )


@pytest.mark.parametrize('width', [1, 3, 4])
def test_boundaries_are_widened_as_by_opencv(width):
    labels = np.random.default_rng(0).integers(0, 3, (5, 6)).repeat(4, 0).repeat(4, 1)
    labels[3:9, 5:11] = 255
    edges = np.zeros(labels.shape, np.uint8)
    h, w = labels.shape
    for dy, dx in ((-1, 0), (0, 1), (1, 1), (1, -1)):
        for y in range(h):
            for x in range(w):
                if 0 <= y + dy < h and 0 <= x + dx < w:
                    pair = labels[y, x], labels[y + dy, x + dx]
                    edges[y, x] |= pair[0] != pair[1] and 255 not in pair
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (width, width))
    got = edge_map(ms.Tensor(labels[None], ms.int32), 255, width)
    np.testing.assert_array_equal(got.asnumpy()[0], cv2.dilate(edges, kernel))


def test_hard_pixels_are_those_below_the_threshold_and_the_least_probable():
    probability = np.array([0.9, 0.2, 0.6, 0.8, 0.5, 0.5])
    logits = ms.Tensor(np.log(np.stack([probability, 1 - probability]))[None, :, None], ms.float32)
    labels = ms.Tensor([[[0, 0, 0, 0, 0, 255]]], ms.int32)
    for thres, min_kept, kept in ((0.55, 1, [0.2, 0.5]), (0.1, 3, [0.2, 0.5, 0.6])):
        loss = build_loss(dict(type='OhemCrossEntropy', thres=thres, min_kept=min_kept))
        assert float(loss(logits, labels)) == pytest.approx(-np.log(kept).mean(), rel=1e-5)
    assert float(loss(logits, ms.ops.full_like(labels, 255))) == 0
    other = ms.Tensor([[[0, 0, 0, 0, 9, 255]]], ms.int32)
    assert float(loss(logits, other, ignore_index=9)) == pytest.approx(
        -np.log([0.2, 0.6, 0.8]).mean(), rel=1e-5
    )


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(loss_decode=[ohem()]), 'loss_decode.*a list of 4 losses'),
        (dict(loss_decode=ohem()), 'loss_decode.*expected a list'),
        (dict(loss_decode=[dict(ohem(), loss_name='loss_a')] * 4), 'another loss_name for each'),
        (dict(edge_width=0), 'edge_width'),
        (dict(sampler=dict(type='OHEMPixelSampler', thresh=0.7)), 'sampler.*OhemCrossEntropy'),
    ],
)
def test_bad_arguments(changes, message):
    head = {**pidnet()['decode_head'], **changes}
    with pytest.raises((ValueError, TypeError), match=message):
        build_head(head)


def test_a_head_that_does_not_fit_the_maps_is_refused():
    config = ddrnet()
    config['backbone']['channels'] = 8
    with pytest.raises(ValueError, match='decode_head.*in_channels is 16.*has 32 channels'):
        build_segmentor(config)


@pytest.mark.parametrize('config', [ddrnet(), pidnet(2), pidnet(3)])
def test_every_norm_of_the_backbone_is_that_of_norm_cfg(config):
    backbone = build_backbone(dict(config['backbone'], norm_cfg=dict(type='BN', eps=0.25)))
    assert {layer.eps for layer in norms(backbone)} == {0.25}

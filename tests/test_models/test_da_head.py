"""DANet's head, and its losses in training and in evaluation."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import build_head, build_segmentor
from msseg.models.decode_heads.da_head import CAM, PAM
from msseg.models.segmentors import HeadLogits, HeadLosses
from tests import tiny_families


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def head(**options):
    defaults = dict(in_channels=6, in_index=0, channels=4, pam_channels=2, num_classes=3)
    return build_head(dict(dict(type='DAHead', **defaults), **options))


def softmax(x):
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_both_attentions_start_as_the_identity():
    x = tensor(2, 4, 3, 5)
    for block in (PAM(4, 2), CAM()):
        np.testing.assert_array_equal(block(x).asnumpy(), x.asnumpy())


def test_channels_attend_to_those_least_alike():
    block, x = CAM(), tensor(2, 4, 3, 5)
    block.gamma.scale.set_data(ms.Tensor(0.5, ms.float32))
    rows = x.asnumpy().reshape(2, 4, 15)
    products = rows @ rows.transpose(0, 2, 1)
    attention = softmax(products.max(-1, keepdims=True) - products)
    expected = 0.5 * (attention @ rows) + rows
    np.testing.assert_allclose(block(x).asnumpy().reshape(2, 4, 15), expected, rtol=1e-4, atol=1e-5)


def test_names_are_mmsegmentations():
    layers = {p.name.rpartition('.')[0] for p in head(norm_cfg=dict(type='BN')).get_parameters()}
    convs = {f'{kind}_{place}_conv' for kind in ('pam', 'cam') for place in ('in', 'out')}
    assert layers == (
        {f'{conv}.{layer}' for conv in convs for layer in ('conv', 'bn')}
        | {'pam.key_project', 'pam.query_project', 'pam.value_project', 'pam.gamma', 'cam.gamma'}
        | {'pam_conv_seg', 'cam_conv_seg', 'conv_seg', 'dropout'}
    )


def test_each_output_has_the_losses_and_the_accuracy():
    losses = [dict(type='CrossEntropyLoss'), dict(type='DiceLoss')]
    cell = head(loss_decode=losses, dropout_ratio=0)
    assert cell.loss_names == [
        f'{branch}.{name}'
        for branch in ('pam_cam', 'pam', 'cam')
        for name in ('loss_ce', 'loss_dice', 'acc_seg')
    ]
    outputs = cell.set_train()((tensor(2, 6, 4, 5),))
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (2, 8, 10)), ms.int32)
    values = cell.losses(outputs, labels)
    alone = build_head(
        dict(type='FCNHead', in_channels=6, channels=4, num_classes=3, loss_decode=losses)
    )
    for i, output in enumerate(outputs):
        for got, expected in zip(values[3 * i :], alone.losses(output, labels), strict=False):
            assert float(got) == pytest.approx(float(expected), rel=1e-6)


def test_bad_channels_are_refused():
    with pytest.raises(ValueError, match='DAHead: pam_channels is 0'):
        head(pam_channels=0)


def test_without_training_only_the_sum_is_classified(graph_mode):
    model = tiny_families.build('danet')
    assert model.eval_loss_names[:2] == ['decode.pam_cam.loss_ce', 'decode.pam_cam.acc_seg']
    assert [name.partition('.')[0] for name in model.eval_loss_names[2:]] == ['aux', 'aux']
    logits = HeadLogits(model)(tensor(1, 3, 32, 48))
    assert [each.shape for each in logits] == [(1, 3, 32, 48)] * 2
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (1, 32, 48)), ms.int32)
    values = dict(zip(model.loss_names, HeadLosses(model)(labels, *logits), strict=True))
    for name, value in values.items():
        assert (float(value) == 0) == (name not in model.eval_loss_names), name


def test_a_later_head_of_a_cascade_reads_the_logits_of_the_sum():
    common = dict(in_channels=8, in_index=1, channels=4, num_classes=3, dropout_ratio=0)
    first = dict(common, type='DAHead', pam_channels=2)
    second = dict(common, type='OCRHead', ocr_channels=2)
    model = build_segmentor(tiny_families.model([first, second], num_stages=2)).set_train()
    outputs, got = model(tensor(2, 3, 32, 48))
    assert [each.shape for each in (*outputs, got)] == [(2, 3, 4, 6)] * 4

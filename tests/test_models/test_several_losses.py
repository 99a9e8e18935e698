"""A head with several losses: each under its name, all in the total."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import SegmentorWithLoss, build_head, build_loss
from msseg.models.layers import resize
from msseg.runner import TrainStep
from msseg.runner.optimizer import build_optimizer

LOSSES = [
    dict(type='CrossEntropyLoss', loss_name='loss_ce', loss_weight=0.8),
    dict(type='LovaszLoss', loss_name='loss_lovasz', reduction='none', loss_weight=0.5),
    dict(type='LovaszLoss', loss_name='loss_lovasz', per_image=True, reduction='none'),
    dict(type='DiceLoss', loss_name='loss_dice'),
    dict(type='TverskyLoss', loss_name='loss_tversky'),
    dict(type='FocalLoss', loss_name='focal_only_logged'),
    dict(type='RMILoss', loss_name='loss_rmi', rmi_pool_size=2, rmi_pool_stride=2),
]
HEAD = dict(type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=1, dropout_ratio=0)
NAMES = [
    'loss_ce',
    'loss_lovasz',
    'loss_dice',
    'loss_tversky',
    'focal_only_logged',
    'loss_rmi',
    'acc_seg',
]


def labels():
    values = np.random.default_rng(0).integers(0, 3, (2, 32, 48)).astype(np.int32)
    values[:, :5] = 255
    return ms.Tensor(values)


def image():
    return ms.Tensor(np.random.default_rng(1).normal(size=(2, 3, 32, 48)), ms.float32)


def test_values_stand_under_their_names_and_equal_names_add_up():
    head = build_head(dict(HEAD, num_classes=3, loss_decode=LOSSES))
    assert head.loss_names == NAMES
    logits = ms.Tensor(np.random.default_rng(2).normal(size=(2, 3, 8, 12)), ms.float32)
    values = head.losses(logits, labels())
    expected = dict.fromkeys(NAMES[:-1], 0.0)
    resized = resize(logits, (32, 48))
    for config in LOSSES:
        value = build_loss(config)(resized, labels(), None, 255)
        expected[config['loss_name']] += value.asnumpy().mean()
    for name, value in zip(NAMES[:-1], values, strict=False):
        assert float(value) == pytest.approx(expected[name], rel=1e-5), name


class Small(nn.Cell):
    """A convolution and a head, in place of a segmentor."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.head = build_head(dict(HEAD, num_classes=3, loss_decode=LOSSES))
        self.loss_names = self.head.loss_names

    def construct(self, x):
        return self.head((self.conv(x),))

    def losses(self, logits, gt):
        return self.head.losses(logits, gt)


@pytest.mark.parametrize('mode', [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
def test_train_step_adds_what_is_called_loss_and_learns(mode):
    ms.set_context(mode=mode)
    model = Small()
    step = TrainStep(SegmentorWithLoss(model), build_optimizer(model, dict(type='SGD', lr=0.1)))
    assert step.value_names == [*NAMES, 'loss', 'grad_norm']
    totals = []
    for _ in range(4):
        values = dict(zip(step.value_names, map(float, step(image(), labels())), strict=True))
        total = sum(v for k, v in values.items() if k.startswith('loss_'))
        assert values['loss'] == pytest.approx(total, rel=1e-5)
        totals.append(total)
    assert np.isfinite(totals).all()
    assert totals[-1] < totals[0]


def test_class_weights_are_counted_for_every_loss():
    for name in ('DiceLoss', 'FocalLoss', 'TverskyLoss', 'LovaszLoss'):
        loss = dict(type=name, class_weight=[1.0, 2.0])
        if name == 'LovaszLoss':
            loss['reduction'] = 'none'
        message = 'class_weight has 2 numbers, expected one for each of 3 classes'
        with pytest.raises(ValueError, match=message):
            build_head(dict(HEAD, num_classes=3, loss_decode=loss))

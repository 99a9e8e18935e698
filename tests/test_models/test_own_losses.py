"""Losses of a user's own that are not what a head calls."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_head

HEAD = dict(
    type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=0, num_classes=2,
    concat_input=False, dropout_ratio=0,
)  # fmt: skip


class Own(nn.Cell):
    loss_name = 'loss_own'

    def __init__(self, result='number'):
        super().__init__()
        self.result = result

    def construct(self, logits, labels, weight=None, ignore_index=255):
        if self.result == 'tuple':
            return logits.mean(), logits.sum()
        if self.result == 'dict':
            return {'loss': logits.mean()}
        if self.result == 'None':
            return None
        if self.result == 'float':
            return 1.0
        return logits.mean()


class HeadLoss(nn.Cell):
    def __init__(self, head):
        super().__init__()
        self.head = head

    def construct(self, logits, labels):
        return self.head.losses(logits, labels)


def loss_of(mode, result):
    ms.set_context(mode=mode)
    head = build_head(dict(HEAD, loss_decode=dict(type=Own, result=result)))
    logits = ms.Tensor(np.ones((1, 2, 4, 4), np.float32))
    return HeadLoss(head)(logits, ms.Tensor(np.zeros((1, 4, 4), np.int32)))


@pytest.mark.parametrize('mode', [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
@pytest.mark.parametrize('result', ['tuple', 'dict', 'None', 'float'])
def test_what_is_no_tensor_is_refused_with_the_name_of_the_loss(mode, result):
    with pytest.raises(TypeError, match='Own does not return a tensor: a loss returns one number'):
        loss_of(mode, result)


def test_one_number_is_taken():
    assert float(loss_of(ms.GRAPH_MODE, 'number')[0]) == 1.0


class NoName(Own):
    loss_name = None


class NamedAsAccuracy(Own):
    loss_name = 'acc_seg'


class NoArguments(Own):
    def construct(self, logits, labels):
        return logits.mean()


class NoConstruct(nn.Cell):
    loss_name = 'loss_own'


class NoCell:
    loss_name = 'loss_own'


@pytest.mark.parametrize(
    ('loss', 'message'),
    [
        (NoName, 'NoName has no loss_name, under which it is logged'),
        (NamedAsAccuracy, "loss_name is 'acc_seg', the name of the accuracy"),
        (NoArguments, "NoArguments.construct is called .* unexpected keyword argument 'weight'"),
        (NoConstruct, 'NoConstruct has no method construct'),
        (NoCell, 'NoCell is no mindspore.nn.Cell'),
    ],
)  # fmt: skip
def test_loss_that_cannot_be_called_is_refused_when_the_head_is_built(loss, message):
    with pytest.raises((TypeError, ValueError), match=message):
        build_head(dict(HEAD, loss_decode=dict(type=loss)))

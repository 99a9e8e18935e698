"""A part that a segmentor cannot use is refused when the model is built, by its config path."""

import logging

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, nn

from msseg.config import Config
from msseg.models import BACKBONES, HEADS, build_segmentor
from msseg.models.contract import check_takes_any_size
from msseg.models.decode_heads import FCNHead
from msseg.models.layers import NORM_LAYERS, PatchEmbed, use_low_precision
from msseg.utils.layer_traits import register_traits
from tests.test_models.model_configs import tiny_hrnet, tiny_ocrnet

FCN = dict(type='FCNHead', in_channels=4, in_index=0, channels=4, num_classes=7, num_convs=1)


class Scale(nn.Cell):
    """A norm with a parameter, whose traits nobody registered."""

    def __init__(self, num_features):
        super().__init__()
        self.gamma = Parameter(np.ones((1, num_features, 1, 1), np.float32), 'gamma')

    def construct(self, x):
        return x * self.gamma


class Likelihood(FCNHead):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.score_kind = 'probabilities'


class Unnamed(FCNHead):
    score_kind = 'probability'


class Plain(nn.Cell):
    """A head of a user's that derives from nothing of msseg."""

    def __init__(self, in_channels, in_index):
        super().__init__()
        self.in_channels, self.in_index = in_channels, in_index
        self.loss_names = ['loss']

    def losses(self, logits, labels):
        return (logits.mean(),)


class Silent(nn.Cell):
    """A backbone from which nothing shows the channels of its images."""

    def construct(self, x):
        return (x,)


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(NORM_LAYERS.module_dict, 'Scale', Scale)
    monkeypatch.setitem(BACKBONES.module_dict, 'Silent', Silent)
    for head in (Likelihood, Unnamed, Plain):
        monkeypatch.setitem(HEADS.module_dict, head.__name__, head)


def encoder_decoder(**changes):
    return dict(type='EncoderDecoder', backbone=tiny_hrnet(), decode_head=FCN, **changes)


def refuse(model, error):
    with pytest.raises(error) as raised:
        build_segmentor(Config(dict(model=model)).model)
    message = raised.value.args[0]
    assert '\n' not in message
    return message


@pytest.mark.parametrize(
    ('changes', 'start'),
    [
        (
            dict(decode_head=dict(FCN, type='Likelihood')),
            'model.decode_head: Likelihood gives probabilities, but CrossEntropyLoss expects logit',
        ),
        (
            dict(auxiliary_head=[FCN, dict(FCN, type='Unnamed')]),
            "model.auxiliary_head[1]: Unnamed: score_kind is 'probability', expected one of "
            "['logits', 'probabilities']",
        ),
        (
            dict(decode_head=dict(FCN, in_index=4)),
            'model.decode_head: in_index 4 is out of range, there are 4 feature maps',
        ),
        (
            dict(auxiliary_head=[FCN, dict(FCN, in_index=-5)]),
            'model.auxiliary_head[1]: in_index -5 is out of range',
        ),
        (
            dict(auxiliary_head=dict(FCN, in_index=2)),
            'model.auxiliary_head: in_channels is 4 for in_index 2, but that feature map has 16',
        ),
        (
            dict(auxiliary_head=dict(type='Plain', in_channels=[4, 8], in_index=[0, 7])),
            'model.auxiliary_head: in_index 7 is out of range',
        ),
        (dict(backbone=dict(type='Silent')), 'model.backbone: Silent does not tell how many chan'),
    ],
)
def test_heads_and_backbones(changes, start):
    message = refuse({**encoder_decoder(), **changes}, ValueError)
    assert message.startswith(start)


def test_a_later_head_of_a_cascade():
    model = tiny_ocrnet()
    model['decode_head'][1]['in_index'] = [0, 1, 2, 9]
    assert refuse(model, ValueError).startswith('model.decode_head[1]: in_index 9 is out of range')


def test_the_head_that_predicts_describes_its_output():
    model = encoder_decoder(auxiliary_head=FCN)
    model['decode_head'] = dict(type='Plain', in_channels=4, in_index=0)
    message = refuse(model, TypeError)
    assert message.startswith(
        'model.decode_head: Plain has no align_corners, num_classes, out_channels, threshold: '
        'derive it from BaseDecodeHead'
    )


@pytest.mark.parametrize(
    ('changes', 'start', 'hint'),
    [
        (
            dict(backbone=tiny_hrnet(norm_cfg=dict(type='SyncBM'))),
            'model.backbone.norm_cfg: SyncBM is not in the normalisation layer registry',
            "Did you mean 'SyncBN'?",
        ),
        (
            dict(backbone=tiny_hrnet(norm_cfg=dict(type='Wonder'))),
            'model.backbone.norm_cfg: Wonder is not in the normalisation layer registry',
            "'GN', 'IN', 'IN2d', 'LN', 'LN2d', 'Scale', 'SyncBN'",
        ),
        (
            dict(decode_head=dict(FCN, act_cfg=dict(type='Gelu2'))),
            'model.decode_head.act_cfg: Gelu2 is not in the activation layer registry',
            "Did you mean 'GELU'?",
        ),
        (
            dict(decode_head=dict(FCN, conv_cfg=dict(type='Deform'))),
            'model.decode_head.conv_cfg: Deform is not in the convolution layer registry',
            "'Conv', 'Conv1d', 'Conv2d'",
        ),
    ],
)
def test_layers_that_are_not_registered(changes, start, hint):
    message = refuse({**encoder_decoder(), **changes}, KeyError)
    assert message.startswith(start)
    assert hint in message


def test_a_norm_without_traits_is_named_with_how_to_register_them(monkeypatch):
    model = encoder_decoder()
    model['backbone'] = tiny_hrnet(norm_cfg=dict(type='Scale'))
    message = refuse(model, TypeError)
    assert message.startswith('model.backbone.norm_cfg: Scale has no traits')
    assert "register_traits(Scale, is_norm=True, precision='full')" in message
    monkeypatch.setattr('msseg.utils.layer_traits._TRAITS', {**_traits()})
    register_traits(Scale, is_norm=True, precision='full')
    build_segmentor(model)


def _traits():
    from msseg.utils import layer_traits

    return layer_traits._TRAITS


def test_a_layer_without_traits_is_named_in_mixed_precision(caplog):
    class Mixture(nn.Cell):
        def __init__(self):
            super().__init__()
            self.weight = Parameter(np.ones((4, 4), np.float32))

        def construct(self, x):
            return ms.ops.matmul(x, self.weight)

    with caplog.at_level(logging.WARNING, 'msseg'):
        use_low_precision(nn.SequentialCell(Mixture(), nn.Dense(4, 4)), ms.float16)
    assert "register_traits(Mixture, precision='low')" in caplog.text
    assert 'Dense' not in caplog.text


def test_the_further_input_of_a_head_is_named():
    head = dict(
        type='DepthwiseSeparableASPPHead', in_channels=32, in_index=3, channels=4, num_classes=7,
        dilations=(1, 2), c1_in_channels=5, c1_channels=2,
    )  # fmt: skip
    with pytest.raises(ValueError, match='c1_in_channels is 5 for in_index 0, but that .* has 4 c'):
        build_segmentor(dict(type='EncoderDecoder', backbone=tiny_hrnet(), decode_head=head))


def test_a_part_that_depends_on_the_size_is_not_exported_for_any_size():
    check_takes_any_size(nn.SequentialCell([PatchEmbed(3, 4, 4, padding=0)]))
    with pytest.raises(ValueError) as caught:
        check_takes_any_size(nn.SequentialCell([PatchEmbed(3, 4, 4)]))
    message = str(caught.value)
    assert 'AdaptivePad' in message and 'because its padding depends on the size (0.pad)' in message
    assert 'without --dynamic' in message

"""Segmentors: plumbing, names, messages."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import NECKS, InferenceSegmentor, SegmentorWithLoss, build_segmentor
from msseg.models.segmentors import EncoderDecoder
from tests.test_models.model_configs import tiny_hrnet, tiny_ocrnet

FCN = dict(
    type='FCNHead',
    in_channels=8,
    in_index=1,
    channels=4,
    num_classes=7,
    num_convs=1,
    concat_input=False,
    dropout_ratio=0,
)


@pytest.fixture
def doubling_neck():
    class DoublingNeck(nn.Cell):
        """Doubles every map and adds their number."""

        def __init__(self, out_channels):
            super().__init__()
            self.out_channels = out_channels

        def construct(self, maps):
            return tuple(2 * m for m in maps)

    NECKS.register_module(module=DoublingNeck)
    yield DoublingNeck
    del NECKS.module_dict['DoublingNeck']


def encoder_decoder(**options):
    return dict(dict(type='EncoderDecoder', backbone=tiny_hrnet(), decode_head=FCN), **options)


def image(*shape):
    return ms.Tensor(np.random.default_rng(0).normal(size=shape or (1, 3, 32, 32)), ms.float32)


def test_neck_stands_between_backbone_and_heads(doubling_neck):
    neck = dict(type='DoublingNeck', out_channels=[4, 8, 16, 32])
    model = build_segmentor(encoder_decoder(neck=neck)).set_train(False)
    maps = tuple(2 * m for m in model.backbone(image()))
    expected = model.decode_head(maps).asnumpy()
    np.testing.assert_allclose(model(image())[0].asnumpy(), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r'decode_head: in_index 1 is out of range, there are 1'):
        build_segmentor(encoder_decoder(neck=dict(neck, out_channels=[4])))


def test_init_weights_of_a_model_is_called_once_it_is_built():
    class Mine(EncoderDecoder):
        calls = 0

        def init_weights(self):
            super().init_weights()
            assert self.backbone is not None and self.decode_head is not None
            Mine.calls += 1

    build_segmentor(encoder_decoder(type=Mine))
    assert Mine.calls == 1


@pytest.mark.parametrize('part', ['model', 'backbone', 'decode_head', 'neck'])
def test_a_type_that_makes_no_cell_is_refused(part):
    def make(**_):
        return 'of a function'

    config = (
        encoder_decoder(type=make) if part == 'model' else encoder_decoder(**{part: {'type': make}})
    )
    with pytest.raises(TypeError, match=r"made 'of a function', expected a mindspore\.nn\.Cell"):
        build_segmentor(config)


def test_auxiliary_heads_train_but_do_not_predict():
    model = build_segmentor(
        encoder_decoder(auxiliary_head=[FCN, dict(FCN, in_channels=4, in_index=0)])
    )
    model.set_train(False)
    assert [prefix for prefix, _ in model.heads] == ['decode', 'aux_0', 'aux_1']
    assert SegmentorWithLoss(model).value_names == [
        f'{prefix}.{name}'
        for prefix in ('decode', 'aux_0', 'aux_1')
        for name in ('loss_ce', 'acc_seg')
    ]
    outputs = model(image())
    assert [output.shape[2:] for output in outputs] == [(4, 4), (4, 4), (8, 8)]
    np.testing.assert_array_equal(model.predict(image()).asnumpy(), outputs[0].asnumpy())
    single = build_segmentor(encoder_decoder(auxiliary_head=FCN))
    assert [prefix for prefix, _ in single.heads] == ['decode', 'aux']
    assert any(p.name.startswith('auxiliary_head.convs') for p in single.get_parameters())


def test_each_cascade_head_runs_once_and_gets_the_logits_before():
    model = build_segmentor(tiny_ocrnet()).set_train(False)
    calls = []
    for i, head in enumerate(model.decode_head):
        head.register_forward_hook(lambda cell, inputs, output, i=i: calls.append((i, inputs)))
    first, second = model(image())
    assert [i for i, _ in calls] == [0, 1]
    np.testing.assert_array_equal(calls[1][1][1].asnumpy(), first.asnumpy())
    np.testing.assert_array_equal(model.predict(image()).asnumpy(), second.asnumpy())
    assert [prefix for prefix, _ in model.heads] == ['decode_0', 'decode_1']


def test_wrappers_keep_parameter_names():
    model = build_segmentor(tiny_ocrnet())
    names = [p.name for p in model.get_parameters()]
    assert [p.name for p in SegmentorWithLoss(model).get_parameters()] == names
    assert [p.name for p in InferenceSegmentor(model).get_parameters()] == names


def test_configs_are_kept_and_pretrained_is_not_loaded():
    config = dict(tiny_ocrnet(), pretrained='open-mmlab://msra/hrnetv2_w18')
    model = build_segmentor(config)
    assert model.pretrained == model.backbone.pretrained == 'open-mmlab://msra/hrnetv2_w18'
    assert (model.train_cfg, model.test_cfg) == ({}, dict(mode='whole'))
    assert (model.num_classes, model.align_corners) == (7, False)
    outer = build_segmentor(encoder_decoder(), test_cfg=dict(crop_size=(8, 8)))
    assert outer.test_cfg == dict(crop_size=(8, 8))


def test_windows_that_leave_gaps_are_refused_when_the_model_is_built():
    test_cfg = dict(mode='slide', crop_size=(32, 32), stride=(48, 32))
    with pytest.raises(ValueError, match=r'stride is \(48, 32\), larger than crop_size'):
        build_segmentor(encoder_decoder(test_cfg=test_cfg))


def test_two_classes_by_one_channel_are_predicted_by_threshold():
    loss = dict(type='FocalLoss')
    head = dict(FCN, num_classes=2, out_channels=1, threshold=0.6, loss_decode=loss)
    model = build_segmentor(encoder_decoder(decode_head=head)).set_train(False)
    logits = InferenceSegmentor(model, 'logits', dynamic=False)(image()).asnumpy()
    labels = InferenceSegmentor(model, 'labels', dynamic=False)(image()).asnumpy()
    np.testing.assert_array_equal(labels, 1 / (1 + np.exp(-logits[:, 0])) > 0.6)


@pytest.mark.parametrize(
    ('config', 'error', 'message'),
    [
        (
            encoder_decoder(decode_head=dict(FCN, in_index=4)),
            ValueError,
            r'decode_head: in_index 4 is out of range, there are 4 feature maps .*indices 0 to 3',
        ),
        (
            encoder_decoder(auxiliary_head=[FCN, dict(FCN, in_index=2)]),
            ValueError,
            r'auxiliary_head\[1\]: in_channels is 8 for in_index 2, but .* has 16 channels',
        ),
        (
            encoder_decoder(
                decode_head=dict(FCN, loss_decode=dict(type='CrossEntropyLoss', loss_name='ce'))
            ),
            ValueError,
            r"no loss is trained on: .*\['decode.ce', 'decode.acc_seg'\]",
        ),
        (encoder_decoder(decode_head=[FCN]), TypeError, 'use CascadeEncoderDecoder'),
        (
            encoder_decoder(decode_head=tiny_ocrnet()['decode_head'][1]),
            ValueError,
            'OCRHead needs the logits of a head before it; use CascadeEncoderDecoder',
        ),
        (dict(tiny_ocrnet(), num_stages=3), ValueError, 'num_stages is 3, but decode_head has 2'),
        (
            dict(tiny_ocrnet(), decode_head=FCN),
            TypeError,
            'decode_head is .*, expected a list, each a dict',
        ),
        (
            dict(tiny_ocrnet(), decode_head=tiny_ocrnet()['decode_head'][::-1]),
            ValueError,
            r'decode_head\[0\]: OCRHead needs the logits of a head before it',
        ),
        (
            dict(tiny_ocrnet(), decode_head=[FCN, FCN]),
            ValueError,
            r'decode_head\[1\]: FCNHead must derive from BaseCascadeDecodeHead',
        ),
        (
            encoder_decoder(backbone=tiny_hrnet(pretrained='a'), pretrained='b'),
            ValueError,
            "for the model \\('b'\\) and for the backbone \\('a'\\); keep one",
        ),
        (
            encoder_decoder(init_cfg=dict(type='Pretrained', checkpoint='a.ckpt')),
            ValueError,
            "give the config's load_from",
        ),
        (encoder_decoder(backbone=dict(type='HRNt')), KeyError, "Did you mean 'HRNet'"),
    ],
)
def test_parts_that_do_not_fit_are_explained(config, error, message):
    with pytest.raises(error, match=message):
        build_segmentor(config)


def test_test_cfg_given_twice_is_an_error():
    with pytest.raises(ValueError, match='test_cfg is given to build_segmentor and in the model'):
        build_segmentor(dict(encoder_decoder(), test_cfg={}), test_cfg={})


def test_unknown_output_is_explained():
    model = build_segmentor(encoder_decoder())
    with pytest.raises(ValueError, match="output is 'label'.*Did you mean 'labels'"):
        InferenceSegmentor(model, 'label')

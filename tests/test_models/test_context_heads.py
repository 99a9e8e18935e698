"""Heads and a neck that bring the context of the whole map to each pixel."""

import mindspore as ms
import numpy as np
import pytest

from msseg.config import Config
from msseg.inference.validation_loss import LossInferencer
from msseg.models import SegmentorWithLoss, build_head, build_segmentor
from msseg.models.decode_heads.enc_head import Encoding, classes_in_image
from msseg.models.segmentors import HeadLosses
from tests.test_models.model_configs import ThreeMaps

BN = dict(type='BN')
LAYERS = dict(channels=4, num_classes=3, norm_cfg=BN)
ENC = dict(type='EncHead', in_channels=[8, 16], in_index=[1, 2], num_codes=3, **LAYERS)


def tensor(*shape, seed=0):
    return ms.Tensor(np.random.default_rng(seed).normal(size=shape), ms.float32)


def layers(cell):
    """Names of the parameters, without those of norms and convolutions inside of blocks."""
    names = {p.name for p in cell.get_parameters() if p.requires_grad or 'moving' not in p.name}
    ends = ('gamma', 'beta', 'weight', 'bias')
    return {n.rpartition('.')[0] if n.endswith(ends) else n for n in names} - {'dropout.state'}


def segmentor(head, **options):
    return dict(type='EncoderDecoder', backbone=dict(type=ThreeMaps), decode_head=head, **options)


def refused(config):
    with pytest.raises((ValueError, TypeError)) as raised:
        build_segmentor(Config(dict(model=config)).model)
    message = raised.value.args[0]
    assert '\n' not in message
    return message


class TestEncHead:
    def test_names_are_mmsegmentations(self):
        assert layers(build_head(dict(ENC, add_lateral=True))) == {
            'bottleneck.conv', 'bottleneck.bn', 'lateral_convs.0.conv', 'lateral_convs.0.bn',
            'fusion.conv', 'fusion.bn', 'enc_module.encoding_project.conv',
            'enc_module.encoding_project.bn', 'enc_module.encoding.0.codewords',
            'enc_module.encoding.0.scale', 'enc_module.encoding.1', 'enc_module.fc.0', 'se_layer',
            'conv_seg',
        }  # fmt: skip

    def test_the_encoding_is_the_weighted_sum_of_all_distances(self):
        cell, x = Encoding(4, 3), tensor(2, 4, 5, 6)
        pixels = x.asnumpy().reshape(2, 4, 1, 30)
        words, scale = cell.codewords.asnumpy(), cell.scale.asnumpy()
        assert (abs(scale + 0.5) <= 0.5).all()
        distances = pixels - words.T.reshape(1, 4, 3, 1)
        weights = np.exp(scale.reshape(1, 3, 1) * (distances**2).sum(1))
        weights = weights / weights.sum(1, keepdims=True)
        expected = (weights[:, None] * distances).sum(3).transpose(0, 2, 1)
        np.testing.assert_allclose(cell(x).asnumpy()[..., 0], expected, rtol=1e-4, atol=1e-5)

    def test_classes_in_images_are_those_of_their_labels(self):
        labels = np.random.default_rng(0).choice([-1, 0, 3, 4, 7, 255], size=(3, 2, 4))
        got = classes_in_image(ms.Tensor(labels, ms.int32), 7).asnumpy()
        expected = [[int(k in image) for k in range(7)] for image in labels]
        np.testing.assert_array_equal(got, expected)

    def test_the_loss_of_the_classes_is_computed_in_training_alone(self, graph_mode):
        model = build_segmentor(segmentor(ENC))
        image, labels = tensor(2, 3, 64, 64), ms.ops.ones((2, 64, 64), ms.int32)
        step = SegmentorWithLoss(model).set_train()
        names = ['decode.loss_ce', 'decode.acc_seg', 'decode.loss_se']
        assert step.value_names == names
        assert LossInferencer(model).names == ['decode.loss_ce']
        step.set_train()
        total, values = step(image, labels)
        assert float(total) == pytest.approx(float(values[0]) + float(values[2]), rel=1e-6)
        assert 0.05 < float(values[2]) < 0.3  # two tenths of about log 2
        evaluated = HeadLosses(model)(labels, tensor(2, 3, 8, 8))
        assert len(evaluated) == 3
        assert float(evaluated[2]) == 0

    def test_without_that_loss_there_is_one_output(self):
        head = build_head(dict(ENC, use_se_loss=False)).set_train()
        assert head.loss_names == ['loss_ce', 'acc_seg']
        logits = head((None, tensor(2, 8, 8, 8), tensor(2, 16, 4, 4)))
        assert logits.shape == (2, 3, 4, 4)
        assert len(head.losses(logits, ms.ops.ones((2, 8, 8), ms.int32))) == 2

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(num_codes=0), 'model.decode_head: EncHead: num_codes is 0'),
            (dict(in_channels=8, in_index=1), 'must be lists of the same length'),
            (dict(loss_se_decode=dict(type='CrossEntropyLoss')), 'needs at least 2 channels, but'),
            (
                dict(loss_se_decode=dict(
                    type='CrossEntropyLoss', use_sigmoid=True, class_weight=[1, 2, 1])),
                'class_weight is [1.0, 2.0, 1.0], expected None',
            ),
            (
                dict(loss_decode=dict(type='CrossEntropyLoss', loss_name='loss_se')),
                "loss_name is 'loss_se', the name of the loss of the classes",
            ),
        ],
    )  # fmt: skip
    def test_what_does_not_fit_is_refused(self, options, message):
        assert message in refused(segmentor(dict(ENC, **options)))

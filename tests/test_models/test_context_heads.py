"""Heads and a neck that bring the context of the whole map to each pixel."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.config import Config
from msseg.inference.validation_loss import LossInferencer
from msseg.models import (
    InferenceSegmentor,
    SegmentorWithLoss,
    build_head,
    build_neck,
    build_segmentor,
)
from msseg.models.contract import check_takes_any_size
from msseg.models.decode_heads.ema_head import EMAModule
from msseg.models.decode_heads.enc_head import Encoding, classes_in_image
from msseg.models.decode_heads.psa_head import psa_mask
from msseg.models.layers import Conv2d, resize
from msseg.models.segmentors import HeadLosses
from msseg.utils.layer_traits import running_statistics

BN = dict(type='BN')
LAYERS = dict(channels=4, num_classes=3, norm_cfg=BN)
ENC = dict(type='EncHead', in_channels=[8, 16], in_index=[1, 2], num_codes=3, **LAYERS)


class ThreeMaps(nn.Cell):
    """A backbone of three convolutions, with maps of an eighth of the image's size and less."""

    def __init__(self):
        super().__init__()
        self.in_channels, self.out_channels = 3, [4, 8, 16]
        self.convs = nn.CellList(
            [
                Conv2d(3, 4, 8, stride=8),
                Conv2d(4, 8, 2, stride=2),
                Conv2d(8, 16, 3, stride=2, padding=1),
            ]
        )

    def construct(self, x):
        maps = ()
        for conv in self.convs:
            x = conv(x)
            maps = maps + (x,)
        return maps


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


JPU = dict(type='JPU', in_channels=(4, 8, 16), mid_channels=3, dilations=(1, 2))


class TestJPU:
    def test_names_are_mmsegmentations(self):
        convs = {f'conv_layers.{i}.0.{part}' for i in range(3) for part in ('conv', 'bn')}
        dilated = {
            f'dilation_layers.{i}.0.{kind}wise_conv.{part}'
            for i in range(2)
            for kind in ('depth', 'point')
            for part in ('conv', 'bn')
        }
        assert layers(build_neck(JPU)) == convs | dilated

    def test_the_last_map_joins_all_at_the_size_of_the_first(self):
        neck = build_neck(dict(JPU, norm_cfg=None))
        maps = (tensor(2, 4, 9, 7), tensor(2, 8, 5, 4), tensor(2, 16, 3, 2))
        outputs = neck(maps)
        assert outputs[:2] == maps[:2]
        joint = [conv(x) for conv, x in zip(neck.conv_layers, maps, strict=True)]
        joint = ms.ops.concat([joint[0], *(resize(x, (9, 7)) for x in joint[1:])], 1)
        depthwise, pointwise = (
            getattr(neck.dilation_layers[1][0], name)
            for name in ('depthwise_conv', 'pointwise_conv')
        )
        assert depthwise.conv.dilation == (2, 2)
        assert depthwise.activate is None
        expected = pointwise(depthwise(joint)).asnumpy()
        np.testing.assert_allclose(outputs[2].asnumpy()[:, 3:], expected, atol=1e-5)

    def test_some_of_the_levels(self):
        neck = build_neck(dict(JPU, start_level=1, end_level=2))
        assert neck.out_channels == [6]
        outputs = neck((None, tensor(2, 8, 5, 4), None))
        assert [each.shape for each in outputs] == [(2, 6, 5, 4)]

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(end_level=4), 'JPU: end_level is 4, expected -1, or at most 3'),
            (dict(start_level=3), 'JPU: start_level is 3, expected below 3'),
            (dict(dilations=()), 'JPU: dilations is (), expected a list'),
            (dict(in_channels=(4, 8)), 'model.neck: JPU: in_channels is [4, 8], but the backbone'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, message):
        assert message in refused(segmentor(ENC, neck=dict(JPU, **options)))


EMA = dict(type='EMAHead', in_channels=8, in_index=1, ema_channels=6, num_bases=5, num_stages=2,
           **LAYERS)  # fmt: skip


def unit(x, axis):
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


def mixtures(x, bases, num_stages):
    """Expectation maximization by its definition: the bases, and the map rebuilt of them."""
    pixels = x.reshape(*x.shape[:2], -1).transpose(0, 2, 1)
    for _ in range(num_stages):
        shares = np.exp(pixels @ bases)
        shares = shares / shares.sum(2, keepdims=True)
        bases = unit(pixels.transpose(0, 2, 1) @ (shares / shares.sum(1, keepdims=True)), 1)
    return bases, (shares @ bases.transpose(0, 2, 1)).transpose(0, 2, 1).reshape(x.shape)


class TestEMAHead:
    def test_names_are_mmsegmentations(self):
        convs = {'ema_in_conv', 'ema_out_conv', 'bottleneck', 'conv_cat'}
        expected = {f'{name}.{part}' for name in convs for part in ('conv', 'bn')}
        head = build_head(EMA)
        assert layers(head) == expected | {'ema_mid_conv.conv', 'ema_module.bases', 'conv_seg'}
        trained = {p.name for p in head.trainable_params()}
        assert not any(name.startswith(('ema_mid_conv', 'ema_module')) for name in trained)
        assert 'conv_cat.conv' not in layers(build_head(dict(EMA, concat_input=False)))

    @pytest.mark.parametrize('mode', [ms.PYNATIVE_MODE, ms.GRAPH_MODE])
    def test_bases_follow_those_of_the_batch_in_training(self, mode):
        ms.set_context(mode=mode)
        cell, x = EMAModule(6, 5, num_stages=2, momentum=0.3), tensor(2, 6, 4, 3)
        before = cell.bases.asnumpy().copy()
        np.testing.assert_allclose(np.linalg.norm(before, axis=1), 1, rtol=1e-5)
        bases, expected = mixtures(x.asnumpy(), before, 2)
        np.testing.assert_allclose(cell.set_train(False)(x).asnumpy(), expected, atol=1e-5)
        np.testing.assert_array_equal(cell.bases.asnumpy(), before)
        np.testing.assert_allclose(cell.set_train()(x).asnumpy(), expected, atol=1e-5)
        new = 0.7 * before + 0.3 * unit(bases.mean(0, keepdims=True), 1)
        np.testing.assert_allclose(cell.bases.asnumpy(), new, atol=1e-5)

    def test_bases_count_as_running_statistics(self):
        head = build_head(EMA)
        statistics = {p.name for p in running_statistics(head)}
        assert 'ema_module.bases' in statistics
        assert statistics - {'ema_module.bases'} == {
            p.name for p in head.get_parameters() if 'moving' in p.name
        }

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(num_stages=0), 'EMAHead: num_stages is 0'),
            (dict(momentum=1.5), 'EMAHead: momentum is 1.5'),
            (dict(in_channels=4), 'in_channels is 4 for in_index 1, but that feature map has 8'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, message):
        assert message in refused(segmentor(dict(EMA, **options)))


PSA = dict(type='PSAHead', in_channels=8, in_index=1, mask_size=(3, 5), **LAYERS)


def spread(masks, mask_size, psa_type):
    """The masks over the map, number by number: [what receives, what gives]."""
    n, _, height, width = masks.shape
    rows, columns = mask_size
    result = np.zeros((n, height * width, height * width), np.float32)
    for i, j, k, m in np.ndindex(height, width, rows, columns):
        y, x = i + k - (rows - 1) // 2, j + m - (columns - 1) // 2
        if 0 <= y < height and 0 <= x < width:
            pair = (i * width + j, y * width + x)
            place = pair if psa_type == 'distribute' else pair[::-1]
            result[(slice(None), *place)] = masks[:, k * columns + m, i, j]
    return result


class TestPSAHead:
    def test_names_are_mmsegmentations(self):
        one = {'reduce.conv', 'reduce.bn', 'attention.0.conv', 'attention.0.bn', 'attention.1'}
        both = one | {name.replace('.', '_p.', 1) for name in one}
        rest = {'proj.conv', 'proj.bn', 'bottleneck.conv', 'bottleneck.bn', 'conv_seg'}
        assert layers(build_head(PSA)) == both | rest
        assert layers(build_head(dict(PSA, psa_type='collect'))) == one | rest

    @pytest.mark.parametrize('psa_type', ['collect', 'distribute'])
    @pytest.mark.parametrize('mask_size', [(3, 5), (7, 9), (4, 2), (9, 1)])
    @pytest.mark.parametrize('size', [(4, 5), (1, 3)])
    def test_masks_are_centred_at_their_pixels(self, psa_type, mask_size, size):
        masks = tensor(2, mask_size[0] * mask_size[1], *size)
        expected = spread(masks.asnumpy(), mask_size, psa_type)
        np.testing.assert_array_equal(psa_mask(masks, mask_size, psa_type).asnumpy(), expected)

    @pytest.mark.parametrize(
        ('size', 'shrunk', 'align_corners'),
        [((7, 9), (4, 5), True), ((7, 8), (3, 4), False), ((8, 8), (4, 4), False)],
    )
    def test_the_map_is_shrunk_as_upstream(self, size, shrunk, align_corners):
        head = build_head(PSA).set_train(False)
        assert head.shrunk(size) == (shrunk, align_corners)
        assert build_head(dict(PSA, shrink_factor=1)).shrunk(size) == (size, False)
        assert head((None, tensor(1, 8, *size))).shape == (1, 3, *size)

    def test_compact_masks_fit_one_size(self, graph_mode):
        head = build_head(dict(PSA, compact=True, psa_type='collect', shrink_factor=1))
        head.set_train(False)
        assert head((None, tensor(1, 8, 3, 5))).shape == (1, 3, 3, 5)
        with pytest.raises(ValueError, match='compact=True the map, shrunk, must have as many'):
            head((None, tensor(1, 8, 4, 5)))

    def test_each_size_has_a_graph_of_its_own(self, graph_mode):
        model = build_segmentor(segmentor(PSA))
        with pytest.raises(ValueError, match='its masks are spread .*without --dynamic'):
            check_takes_any_size(model)
        network = InferenceSegmentor(model)
        for size in ((32, 48), (40, 56)):
            assert network(tensor(1, 3, *size)).shape == (1, 3, *size)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(mask_size=(3,)), 'PSAHead: mask_size is (3,)'),
            (dict(psa_type='collects'), "Did you mean 'collect'"),
            (dict(normalization_factor=0), 'PSAHead: normalization_factor is 0'),
            (dict(in_channels=4), 'in_channels is 4 for in_index 1, but that feature map has 8'),
        ],
    )
    def test_what_does_not_fit_is_refused(self, options, message):
        assert message in refused(segmentor(dict(PSA, **options)))

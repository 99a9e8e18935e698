"""Decode heads: inputs, outputs, losses, messages."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import BaseDecodeHead, build_head
from msseg.models.decode_heads.ocr_head import SpatialGatherModule
from msseg.models.layers import resize

MAPS = ((6, 9, 11), (8, 5, 6))


def maps(seed=0):
    rng = np.random.default_rng(seed)
    return tuple(ms.Tensor(rng.normal(size=(2, *shape)), ms.float32) for shape in MAPS)


def fcn(**options):
    defaults = dict(in_channels=6, in_index=0, channels=4, num_classes=3, dropout_ratio=0)
    return build_head(dict(dict(type='FCNHead', **defaults), **options))


def ocr(**options):
    defaults = dict(in_channels=6, in_index=0, channels=8, ocr_channels=4, num_classes=3)
    return build_head(dict(dict(type='OCRHead', norm_cfg=dict(type='BN'), **defaults), **options))


class TestInputs:
    def test_none_takes_one_map(self):
        head, inputs = fcn(in_channels=8, in_index=-1), maps()
        assert head.transform_inputs(inputs) is inputs[1]

    @pytest.mark.parametrize('align_corners', [False, True])
    def test_resize_concat_resizes_to_the_first_listed(self, align_corners):
        head = fcn(
            in_channels=(8, 6),
            in_index=(1, 0),
            input_transform='resize_concat',
            align_corners=align_corners,
        )
        a, b = maps()
        got = head.transform_inputs((a, b)).asnumpy()
        np.testing.assert_array_equal(got[:, :8], b.asnumpy())
        np.testing.assert_array_equal(got[:, 8:], resize(a, (5, 6), align_corners).asnumpy())
        assert head.in_channels == 14

    def test_multiple_select_keeps_the_maps(self):
        options = dict(in_channels=(8, 6), in_index=(1, 0), input_transform='multiple_select')
        head = BaseDecodeHead(channels=4, num_classes=3, **options)
        a, b = maps()
        chosen = head.transform_inputs((a, b))
        assert chosen[0] is b
        assert chosen[1] is a
        assert head.in_channels == (8, 6)

    @pytest.mark.parametrize(
        ('options', 'error', 'message'),
        [
            (dict(in_channels=(6,)), TypeError, 'must each be one number when input_transform'),
            (dict(in_index=(0, 1)), TypeError, 'must each be one number when input_transform'),
            (
                dict(input_transform='resize_cat', in_channels=(6,), in_index=(0,)),
                ValueError,
                "'resize_cat'.*Did you mean 'resize_concat'",
            ),
            (
                dict(input_transform='resize_concat', in_channels=(6, 8), in_index=(0,)),
                ValueError,
                'must be lists of the same length',
            ),
        ],
    )
    def test_contradictions_are_explained(self, options, error, message):
        with pytest.raises(error, match=message):
            fcn(**options)


class TestFCNHead:
    def test_convolutions_and_names(self):
        head = fcn(num_convs=2, norm_cfg=dict(type='BN'))
        names = {p.name for p in head.trainable_params() if 'conv' in p.name and 'bn' not in p.name}
        assert names == {
            'convs.0.conv.weight',
            'convs.1.conv.weight',
            'conv_cat.conv.weight',
            'conv_seg.weight',
            'conv_seg.bias',
        }
        assert head(maps()).shape == (2, 3, 9, 11)

    def test_without_convolutions_it_classifies_the_input(self):
        head = fcn(num_convs=0, concat_input=False, channels=6)
        x = maps()[0].asnumpy()
        weight, bias = head.conv_seg.weight.asnumpy()[:, :, 0, 0], head.conv_seg.bias.asnumpy()
        expected = np.einsum('kc,nchw->nkhw', weight, x) + bias[:, None, None]
        np.testing.assert_allclose(head(maps()).asnumpy(), expected, atol=1e-5)

    def test_dilation_keeps_the_size(self):
        head = fcn(num_convs=1, kernel_size=3, dilation=2)
        assert head(maps()).shape == (2, 3, 9, 11)
        assert head.convs[0].conv.dilation == (2, 2)

    def test_classifier_starts_normal_of_deviation_a_hundredth(self):
        head = fcn(channels=512, num_classes=40, num_convs=1, concat_input=False)
        assert head.conv_seg.weight.asnumpy().std() == pytest.approx(0.01, rel=0.03)
        assert not head.conv_seg.bias.asnumpy().any()

    def test_init_cfg_reaches_the_heads_own_convolutions(self):
        rule = dict(type='TruncNormal', std=0.001, layer='Conv2d')
        head = fcn(channels=64, num_convs=1, concat_input=False, init_cfg=rule)
        assert head.convs[0].conv.weight.asnumpy().std() == pytest.approx(0.001, rel=0.1)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(num_convs=0, concat_input=False), r'channels \(4\) must equal in_channels'),
            (dict(num_convs=-1), 'num_convs is -1'),
        ],
    )
    def test_bad_values_are_explained(self, options, message):
        with pytest.raises(ValueError, match=message):
            fcn(**options)


class TestOCRHead:
    def test_gathering_is_a_weighted_mean_per_class(self):
        rng = np.random.default_rng(0)
        features, logits = rng.normal(size=(2, 5, 3, 4)), rng.normal(size=(2, 3, 3, 4))
        got = SpatialGatherModule(scale=2)(
            ms.Tensor(features, ms.float32), ms.Tensor(logits, ms.float32)
        ).asnumpy()
        for n, c, k in np.ndindex(2, 5, 3):
            weight = np.exp(2 * logits[n, k])
            expected = (features[n, c] * weight).sum() / weight.sum()
            assert got[n, c, k, 0] == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize('scale', [1, 2, 3])
    def test_scales_give_the_same_size(self, scale):
        head = ocr(scale=scale)
        x = ms.ops.ones((2, 3, 9, 11))
        assert head(maps(), x).shape == (2, 3, 9, 11)

    def test_scale_pools_the_pixels_that_attend(self):
        """On maps that are constant over the pooled squares, pooling changes nothing inside."""
        heads = [ocr(scale=scale).set_train(False) for scale in (1, 2)]
        for a, b in zip(heads[0].get_parameters(), heads[1].get_parameters(), strict=True):
            b.set_data(a)
        blocks = [head.object_context_block for head in heads]
        pixels = np.random.default_rng(0).normal(size=(1, 8, 1, 1)) * np.ones((1, 8, 4, 6))
        regions = ms.Tensor(np.random.default_rng(1).normal(size=(1, 8, 3, 1)), ms.float32)
        results = [block(ms.Tensor(pixels, ms.float32), regions).asnumpy() for block in blocks]
        np.testing.assert_allclose(results[0], results[1], atol=1e-5)

    @pytest.mark.parametrize('scale', [0, 1.5])
    def test_bad_scale_is_explained(self, scale):
        with pytest.raises(ValueError, match='expected a whole number from 1'):
            ocr(scale=scale)


class TestLosses:
    def labels(self):
        labels = np.random.default_rng(0).integers(0, 3, (2, 18, 22)).astype(np.int32)
        labels[:, :2] = 255
        return ms.Tensor(labels)

    def test_losses_of_one_name_add_up(self):
        one = dict(type='CrossEntropyLoss')
        logits = fcn()(maps())
        single = fcn(loss_decode=one).losses(logits, self.labels())
        many = fcn(loss_decode=[one, dict(one, loss_weight=2.0), dict(one, loss_name='loss_other')])
        assert many.loss_names == ['loss_ce', 'loss_other', 'acc_seg']
        values = many.losses(logits, self.labels())
        assert float(values[0]) == pytest.approx(3 * float(single[0]), rel=1e-5)
        assert float(values[1]) == pytest.approx(float(single[0]), rel=1e-5)

    def test_accuracy_counts_valid_pixels_only(self):
        head, labels = fcn(), self.labels().asnumpy()
        guess = labels.copy()
        guess[0, 2:4] = (guess[0, 2:4] + 1) % 3
        logits = np.eye(3)[np.where(guess == 255, 0, guess)].transpose(0, 3, 1, 2)
        accuracy = head.losses(ms.Tensor(logits, ms.float32), ms.Tensor(labels))[-1]
        assert float(accuracy) == pytest.approx(100 * (1 - 2 / 32), rel=1e-5)

    def test_one_channel_separates_two_classes_by_a_threshold(self):
        options = dict(num_classes=2, out_channels=1, threshold=0.7)
        head = fcn(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True), **options)
        logits = ms.Tensor([[[[2.0, 0.5], [-1.0, 3.0]]]])
        labels = ms.Tensor([[[1, 1], [0, 255]]], ms.int32)
        assert float(head.losses(logits, labels)[-1]) == pytest.approx(200 / 3, rel=1e-5)

    @pytest.mark.parametrize('thresh', [None, 0.4])
    def test_sampler_leaves_out_easy_pixels(self, thresh):
        sampler = dict(type='OHEMPixelSampler', thresh=thresh, min_kept=50)
        logits, labels = fcn()(maps()) * 50, self.labels()
        whole = fcn().losses(logits, labels)[0]
        sampled = fcn(sampler=sampler).losses(logits, labels)[0]
        assert 0 < float(sampled) < float(whole)

    def test_ranking_by_losses_needs_losses_per_pixel(self):
        class Plain(nn.Cell):
            loss_name = 'loss_plain'

        with pytest.raises(ValueError, match='Plain has no method pixel_losses; give .* a thresh'):
            fcn(loss_decode=dict(type=Plain), sampler=dict(type='OHEMPixelSampler'))

    @pytest.mark.parametrize(
        ('options', 'error', 'message'),
        [
            (
                dict(loss_decode=3),
                TypeError,
                'loss_decode is 3, expected a dict, or a list, each a dict',
            ),
            (
                dict(loss_decode=dict(type='CrossEntropyLoss', class_weight=[1, 2])),
                ValueError,
                'class_weight has 2 numbers, expected one for each of 3 classes',
            ),
            (dict(out_channels=2), ValueError, 'out_channels is 2, expected num_classes'),
            (
                dict(dropout_ratio=1.0),
                ValueError,
                'dropout_ratio is 1.0, expected a number below 1',
            ),
            (dict(loss_decode=[]), ValueError, r'loss_decode is \[\], .*not empty'),
            (dict(ignore_index=2), ValueError, 'ignore_index is 2, one of the 3 classes'),
            (dict(num_classes=1), ValueError, 'num_classes is 1.*num_classes=2, out_channels=1'),
            (dict(num_classes=10**400), ValueError, 'expected a whole number from 1 to 65535'),
            (dict(in_index=10**400), ValueError, 'in_index is <a whole number'),
        ],
    )
    def test_bad_options_are_explained(self, options, error, message):
        with pytest.raises(error, match=message):
            fcn(**options)

    @pytest.mark.parametrize(
        'loss',
        [
            dict(type='CrossEntropyLoss'),
            dict(type='DiceLoss'),
            dict(type='TverskyLoss'),
            dict(type='RMILoss'),
            dict(type='LovaszLoss', per_image=True),
        ],
    )
    def test_losses_that_compare_channels_refuse_a_single_one(self, loss):
        options = dict(num_classes=2, out_channels=1, threshold=0.5)
        message = 'out_channels is 1, but .* needs at least 2; two classes by one channel are'
        with pytest.raises(ValueError, match=message):
            fcn(loss_decode=[dict(type='FocalLoss'), loss], **options)

    def test_a_binary_loss_refuses_a_channel_for_each_class(self):
        loss = dict(type='LovaszLoss', loss_type='binary', reduction='none')
        with pytest.raises(ValueError, match='out_channels is 3, but LovaszLoss .* at most 1'):
            fcn(loss_decode=loss)
        assert fcn(loss_decode=loss, num_classes=2, out_channels=1).out_channels == 1

    def test_losses_of_one_name_are_announced(self, caplog):
        fcn(loss_decode=[dict(type='CrossEntropyLoss'), dict(type='CrossEntropyLoss')])
        assert 'losses of one loss_name are logged as their sum' in caplog.text

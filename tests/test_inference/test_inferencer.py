"""Ways of testing, against arithmetic done by hand on a network that is a single convolution."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from msseg.inference.inferencer import Inferencer, sliding_windows
from msseg.models.output_spec import OutputSpec


class Averages(nn.Cell):
    """Logits at half size: three fixed mixtures of the colours, averaged over 2x2 pixels."""

    MIXTURES = np.array([[1.0, -0.5, 0.2], [-0.3, 0.8, 0.1], [0.2, 0.1, -0.9]], np.float32)

    def __init__(self, test_cfg=None, out_channels=3, align_corners=False):
        super().__init__()
        self.test_cfg = test_cfg
        self.out_channels = out_channels
        self.output_spec = OutputSpec(3, max(2, out_channels), out_channels, 0.6, align_corners)
        self.weight = ms.Tensor(self.MIXTURES[:out_channels].reshape(out_channels, 3, 1, 1))
        self.conv = ops.Conv2D(out_channels, 1)
        self.pool = ops.AvgPool(2, 2)

    def predict(self, img):
        return self.pool(self.conv(img, self.weight))


def logits_by_hand(img, size=None, align_corners=False):
    """The network's logits, resized bilinearly to the image's or another size; float64."""
    mixed = np.einsum('kc,chw->khw', Averages.MIXTURES.astype(np.float64), img)
    k, h, w = mixed.shape
    pooled = mixed.reshape(k, h // 2, 2, w // 2, 2).mean((2, 4))
    full = resize_by_hand(pooled, (h, w), align_corners)
    return full if size is None else resize_by_hand(full, size, align_corners)


def resize_by_hand(x, size, align_corners):
    for axis, length in ((1, size[0]), (2, size[1])):
        old = x.shape[axis]
        where = np.arange(length, dtype=np.float64)
        if align_corners:
            where = where * (old - 1) / (length - 1)
        else:
            where = np.maximum((where + 0.5) * old / length - 0.5, 0)
        low = np.floor(where).astype(int)
        high = np.minimum(low + 1, old - 1)
        shape = [1, 1, 1]
        shape[axis] = length
        part = (where - low).reshape(shape)
        x = np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part
    return x


def softmax(x):
    e = np.exp(x - x.max(0))
    return e / e.sum(0)


def meta(size, flip=False, direction='horizontal'):
    return {'ori_shape': (*size, 3), 'flip': flip, 'flip_direction': direction}


@pytest.fixture(scope='module')
def img():
    return np.random.default_rng(0).normal(size=(3, 24, 32)).astype(np.float32)


@pytest.mark.parametrize('align_corners', [False, True])
def test_whole_image(img, align_corners):
    inferencer = Inferencer(Averages(align_corners=align_corners))
    expected = logits_by_hand(img, align_corners=align_corners)
    np.testing.assert_array_equal(inferencer.labels([img], [meta((24, 32))]), expected.argmax(0))
    probabilities = inferencer.probabilities([img], [meta((24, 32))])
    np.testing.assert_allclose(probabilities, softmax(expected), atol=1e-5)


def test_result_has_the_original_size(img):
    probabilities = Inferencer(Averages()).probabilities([img], [meta((48, 61))])
    np.testing.assert_allclose(probabilities, softmax(logits_by_hand(img, (48, 61))), atol=1e-5)


@pytest.mark.parametrize(
    'test_cfg', [{}, {'mode': 'slide', 'crop_size': (16, 16), 'stride': (16, 16)}]
)
def test_padding_is_removed_before_the_result_is_resized(img, test_cfg):
    shown = {'img_shape': (20, 24, 3)}
    expected = softmax(resize_by_hand(logits_by_hand(img)[:, :20, :24], (40, 48), False))
    views = [img, img], [meta((40, 48)) | shown, meta((40, 48), flip=True) | shown]
    found = Inferencer(Averages(test_cfg)).probabilities(*views)
    if not test_cfg:
        np.testing.assert_allclose(found, (expected + expected[..., ::-1]) / 2, atol=1e-5)
    assert found.shape == (3, 40, 48)
    # of the size of the whole by chance
    labels = Inferencer(Averages()).labels([img], [meta((24, 32)) | shown])
    by_hand = resize_by_hand(logits_by_hand(img)[:, :20, :24], (24, 32), False).argmax(0)
    assert (labels == by_hand).mean() > 0.99
    with pytest.raises(ValueError, match='images are padded; remove Pad from the test pipeline'):
        cfg = {'merge': 'exp_logits'}
        Inferencer(Averages(cfg)).probabilities([img], [meta((40, 48)) | shown])


def test_scales_and_flips_are_averaged_as_probabilities(img):
    size = (24, 32)
    small = img[:, 4:20, :24].copy()
    imgs = [img, img[:, :, ::-1], small[:, ::-1]]
    metas = [meta(size), meta(size, True), meta(size, True, 'vertical')]
    expected = [
        softmax(logits_by_hand(imgs[0])),
        softmax(logits_by_hand(imgs[1]))[:, :, ::-1],
        softmax(logits_by_hand(imgs[2], size))[:, ::-1],
    ]
    inferencer = Inferencer(Averages())
    actual = inferencer.probabilities([np.ascontiguousarray(i) for i in imgs], metas)
    np.testing.assert_allclose(actual, np.mean(expected, 0), atol=1e-5)
    labels = inferencer.labels([np.ascontiguousarray(i) for i in imgs], metas)
    np.testing.assert_array_equal(labels, np.mean(expected, 0).argmax(0))


def test_sliding_windows_average_logits(img):
    test_cfg = {'mode': 'slide', 'crop_size': (16, 16), 'stride': (10, 12)}
    total, count = np.zeros((3, 24, 32)), np.zeros((24, 32))
    for y in (0, 8):
        for x in (0, 12, 16):
            total[:, y : y + 16, x : x + 16] += logits_by_hand(img[:, y : y + 16, x : x + 16])
            count[y : y + 16, x : x + 16] += 1
    actual = Inferencer(Averages(test_cfg)).probabilities([img], [meta((24, 32))])
    np.testing.assert_allclose(actual, softmax(total / count), atol=1e-5)


def windows_by_hand(size, crop):
    """(rows, columns) of the reference's tiles: a crop apart, the last one moved back."""
    for r in range(int(np.ceil((size[0] - crop[0]) / crop[0])) + 1):
        for c in range(int(np.ceil((size[1] - crop[1]) / crop[1])) + 1):
            y1, x1 = min((r + 1) * crop[0], size[0]), min((c + 1) * crop[1], size[1])
            yield slice(max(y1 - crop[0], 0), y1), slice(max(x1 - crop[1], 0), x1)


@pytest.mark.parametrize(('mode', 'flip'), [('slide', True), ('slide', False), ('whole', True)])
def test_exponentials_of_logits_in_tiles(img, mode, flip):
    """The reference implementation's test: tiles where a scale is above 1, else whole."""
    size, crop = (24, 32), (24, 32)
    large = np.random.default_rng(1).normal(size=(3, 36, 48)).astype(np.float32)
    scales = [img[:, 4:20, :24].copy(), img, large]
    expected = 0.0
    for scaled in scales:
        total, count = np.zeros((3, *scaled.shape[1:])), np.zeros(scaled.shape[1:])
        whole = [(slice(None), slice(None))]
        for rows, columns in windows_by_hand(scaled.shape[1:], crop) if mode == 'slide' else whole:
            tile = scaled[:, rows, columns]
            logits = logits_by_hand(tile)
            if flip:
                logits = (logits + logits_by_hand(tile[:, :, ::-1])[:, :, ::-1]) * 0.5
            total[:, rows, columns] += np.exp(logits)
            count[rows, columns] += 1
        expected = expected + resize_by_hand(total / count, size, False)

    test_cfg = {'mode': mode, 'crop_size': crop, 'stride': crop, 'merge': 'exp_logits'}
    imgs, metas = [], []
    for scaled in scales:
        for flipped in (False, True) if flip else (False,):
            imgs.append(np.ascontiguousarray(scaled[:, :, ::-1]) if flipped else scaled)
            metas.append(meta(size, flipped))
    inferencer = Inferencer(Averages(test_cfg))
    np.testing.assert_array_equal(inferencer.labels(imgs, metas), expected.argmax(0))
    actual = inferencer.probabilities(imgs, metas)
    np.testing.assert_allclose(actual, expected / expected.sum(0), atol=1e-5)


@pytest.mark.parametrize('merge', ['softmax', 'exp_logits'])
def test_classes_that_a_flip_exchanges(img, merge):
    straight, flipped = logits_by_hand(img), logits_by_hand(img[:, :, ::-1])[:, :, ::-1]
    exchanged = flipped[[2, 1, 0]]
    if merge == 'softmax':
        expected = (softmax(straight) + softmax(exchanged)) / 2
    else:
        expected = softmax((straight + exchanged) / 2)
    test_cfg = {'merge': merge, 'swap_seg_labels': [(0, 2)]}
    imgs = [img, np.ascontiguousarray(img[:, :, ::-1])]
    metas = [meta((24, 32)), meta((24, 32), True)]
    actual = Inferencer(Averages(test_cfg)).probabilities(imgs, metas)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_huge_logits_stay_finite(img):
    inferencer = Inferencer(Averages({'merge': 'exp_logits'}))
    probabilities = inferencer.probabilities([img * 1000, img], [meta((24, 32))] * 2)
    assert np.isfinite(probabilities).all()


def test_one_channel_has_no_exponentials():
    with pytest.raises(ValueError, match="merge is 'exp_logits'.*one output channel"):
        Inferencer(Averages({'merge': 'exp_logits'}, out_channels=1))


def test_image_smaller_than_the_window(img):
    test_cfg = {'mode': 'slide', 'crop_size': 64, 'stride': 40}
    actual = Inferencer(Averages(test_cfg)).probabilities([img], [meta((24, 32))])
    np.testing.assert_allclose(actual, softmax(logits_by_hand(img)), atol=1e-5)


def test_one_output_channel_is_compared_with_the_threshold(img):
    expected = 1 / (1 + np.exp(-logits_by_hand(img)[0])) > 0.6
    inferencer = Inferencer(Averages(out_channels=1))
    np.testing.assert_array_equal(inferencer.labels([img], [meta((24, 32))]), expected)
    both = inferencer.labels([img, img], [meta((24, 32))] * 2)
    np.testing.assert_array_equal(both, expected)


@pytest.mark.parametrize(
    ('size', 'crop', 'stride'), [((24, 32), (16, 16), (10, 12)), ((7, 50), (8, 8), (5, 3))]
)
def test_windows_cover_the_image_and_stay_inside(size, crop, stride):
    covered = np.zeros(size, int)
    for rows, columns in sliding_windows(size, crop, stride):
        part = covered[rows, columns]
        assert part.shape == (min(crop[0], size[0]), min(crop[1], size[1]))
        part += 1
    assert covered.min() >= 1


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        ({'mode': 'slid'}, "mode is 'slid'.*Did you mean 'slide'"),
        ({'merge': 'exp_logit'}, "merge is 'exp_logit'.*Did you mean 'exp_logits'"),
        ({'swap_seg_labels': [(1, 3)]}, r'holds \(1, 3\), expected pairs of classes from 0 to 2'),
        ({'mode': 'slide', 'stride': (4, 4)}, 'crop_size is missing'),
        ({'mode': 'slide', 'crop_size': (8, 8), 'stride': (0, 4)}, r'stride is \(0, 4\)'),
        ({'mode': 'slide', 'crop_size': (8, 8), 'stride': (8, 9)}, r'stride is \(8, 9\), larger'),
        ({'mode': 'slide', 'crop_size': 8, 'stride': 9, 'merge': 'exp_logits'}, 'larger than crop'),
        ({'crop_size': (8, float('inf'))}, r'crop_size is \(8, inf\), expected \(h, w\)'),
        ({'mode': 'slide', 'crop_size': True, 'stride': 1}, 'crop_size is True'),
    ],
)
def test_wrong_test_cfg(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        Inferencer(Averages(test_cfg))


def test_an_image_that_the_network_cannot_take_does_not_spoil_the_next():
    inferencer = Inferencer(Averages())
    narrow = np.zeros((3, 1, 40), np.float32)
    with pytest.raises(ValueError, match='pool|Pool'):
        inferencer.probabilities([narrow], [meta((1, 40))])
    img = np.random.default_rng(0).normal(size=(3, 12, 16)).astype(np.float32)
    actual = inferencer.probabilities([img], [meta((12, 16))])
    np.testing.assert_allclose(actual, softmax(logits_by_hand(img)), atol=1e-5)

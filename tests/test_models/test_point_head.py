"""PointRend's head: points of training, refinement of inference, and settings."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models import build_head, build_segmentor
from msseg.models.decode_heads.point_head import TrainingPoints, TrainingSettings
from msseg.models.layers import Conv1d, use_low_precision
from msseg.models.layers.points import label_at, uncertainty
from tests.test_models.reference_fill import fill
from tests.test_models.test_mmseg030 import DATA
from tests.tiny_families import FAMILIES, build

PARTS = json.loads(Path(DATA / 'parts.json').read_text('utf-8'))
ROWS = [PARTS['PointHead'], PARTS['PointHead aligned']]
MODEL = FAMILIES['point_rend'].model
SHAPES = ((2, 6, 8, 10), (2, 4, 4, 5))


def inputs():
    """The feature maps and the logits before of the stored numbers."""
    rng = np.random.default_rng(0)
    maps = tuple(ms.Tensor(rng.normal(size=shape), ms.float32) for shape in SHAPES)
    logits = np.random.default_rng(1).normal(size=(2, 4, 8, 10)).astype(np.float32) * 3
    return maps, ms.Tensor(logits)


def stored_head(row):
    head = build_head(row['config'])
    weights = {p.name: p for p in head.get_parameters() if p.dtype == ms.float32}
    assert {name: list(p.shape) for name, p in weights.items()} == row['names']
    for name, parameter in weights.items():
        parameter.set_data(ms.Tensor(fill(name, parameter.shape)))
    return head


@pytest.mark.parametrize('row', ROWS, ids=['edges', 'corners'])
def test_refinement_is_mmsegmentations(row):
    head = stored_head(row).set_train(False)
    head.configure({}, row['test_cfg'])
    got = head(*inputs()).asnumpy().astype(np.float64)
    wanted = row['refined']
    assert list(got.shape) == wanted['shape']
    places = np.sort(np.random.default_rng(3).choice(got.size, 32, replace=False))
    np.testing.assert_allclose(got.reshape(-1)[places], wanted['values'], atol=1e-5)
    assert got.mean() == pytest.approx(wanted['mean'], abs=1e-5)
    assert got.std() == pytest.approx(wanted['std'], abs=1e-5)


class Given(nn.Cell):
    """The points of the stored numbers."""

    def construct(self, logits):
        return ms.Tensor(np.random.default_rng(6).random((2, 40, 2)).astype(np.float32))


@pytest.mark.parametrize('row', ROWS, ids=['edges', 'corners'])
def test_training_at_given_points_is_mmsegmentations(row):
    head = stored_head(row).set_train()
    head.points = Given()
    labels = np.random.default_rng(7).integers(0, 5, (2, 16, 20)).astype(np.int32)
    labels[labels == 4] = 255
    (maps, logits), labels = inputs(), ms.Tensor(labels)

    def forward(first, second, before):
        values = head.losses(head((first, second), before), labels)
        return values[0], values[1]

    gradient = ms.value_and_grad(forward, (0, 1, 2), head.trainable_params(), has_aux=True)
    (loss, accuracy), (of_inputs, of_weights) = gradient(*maps, logits)
    assert head.loss_names == ['pointloss_ce', 'acc_point']
    wanted = row['train']
    assert float(loss) == pytest.approx(wanted['losses']['pointloss_ce'], rel=1e-5)
    assert float(accuracy) == pytest.approx(wanted['losses']['acc_point'], rel=1e-5)
    names = ['map0', 'map1', 'prev', *(p.name for p in head.trainable_params())]
    found = dict(zip(names, [*of_inputs, *of_weights], strict=True))
    assert found.keys() == wanted['gradients'].keys()
    for name, norm in wanted['gradients'].items():
        got = np.linalg.norm(found[name].asnumpy().astype(np.float64))
        assert got == pytest.approx(norm, rel=1e-4), name


def points_of(num_points=10, importance=0.75):
    layer = TrainingPoints()
    layer.configure(TrainingSettings(num_points, 3, importance))
    return layer


def test_uncertain_points_are_chosen_as_mmsegmentation_does():
    row, layer = ROWS[0], points_of()
    rng = np.random.default_rng(5)
    drawn = {n: rng.random((2, n, 2)).astype(np.float32) for n in (30, 3)}
    layer.uniform = lambda shape, state, salt: ms.Tensor(drawn[shape[1]])
    wanted = np.reshape(row['points'], (2, 10, 2))
    np.testing.assert_allclose(layer(inputs()[1]).asnumpy(), wanted, atol=1e-6)


@pytest.mark.parametrize('importance', [0.0, 0.75, 1.0])
def test_points_change_and_resume_from_the_saved_state(importance):
    layer, other, logits = points_of(64, importance), points_of(64, importance), inputs()[1]
    first = layer(logits).asnumpy()
    assert first.shape == (2, 64, 2)
    assert first.min() >= 0 and first.max() <= 1
    other.state.set_data(ms.Tensor(layer.state.asnumpy().copy()))
    second = layer(logits).asnumpy()
    assert not np.intersect1d(first, second).size
    np.testing.assert_array_equal(other(logits).asnumpy(), second)
    assert first.mean(axis=(0, 1)) == pytest.approx([0.5, 0.5], abs=0.2)


def test_uncertainty_is_the_distance_of_the_two_largest():
    logits = np.random.default_rng(0).integers(-3, 3, (2, 3, 4, 5)).astype(np.float32)
    ordered = np.sort(logits, axis=1)
    expected = (ordered[:, -2] - ordered[:, -1]).reshape(2, 20)
    assert (expected == 0).any()
    np.testing.assert_array_equal(uncertainty(ms.Tensor(logits)).asnumpy(), expected)


def test_labels_are_those_of_the_pixel_around_a_point():
    labels = np.random.default_rng(0).integers(0, 9, (2, 6, 7)).astype(np.int32)
    points = np.random.default_rng(1).random((2, 50, 2)).astype(np.float32)
    points[0, 0] = 1.0
    got = label_at(ms.Tensor(labels), ms.Tensor(points)).asnumpy()
    for i, j in np.ndindex(2, 50):
        x, y = points[i, j]
        assert got[i, j, 0] == labels[i, min(int(y * 6), 5), min(int(x * 7), 6)]


@pytest.mark.parametrize(('stride', 'padding', 'dilation'), [(1, 0, 1), (2, 1, 1), (1, 2, 2)])
def test_convolution_of_one_axis(stride, padding, dilation):
    layer = Conv1d(3, 2, 3, stride=stride, padding=padding, dilation=dilation)
    x = np.random.default_rng(0).normal(size=(2, 3, 11)).astype(np.float32)
    got = layer(ms.Tensor(x[..., None])).asnumpy()
    padded = np.pad(x, ((0, 0), (0, 0), (padding, padding)))
    starts = range(0, padded.shape[2] - 2 * dilation, stride)
    taps = np.stack([padded[:, :, s : s + 2 * dilation + 1 : dilation] for s in starts])
    expected = np.einsum('lnck,ock->nol', taps, layer.weight.asnumpy())
    np.testing.assert_allclose(got[..., 0], expected, atol=1e-5)


ONE_CHANNEL = dict(
    num_classes=2, out_channels=1, threshold=0.5,
    loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True),
)  # fmt: skip


def changed(**options):
    """The tiny model with another PointHead, or with other settings."""
    own = {key: options.pop(key) for key in ('train_cfg', 'test_cfg') if key in options}
    first, last = MODEL['decode_head']
    return build_segmentor(dict(MODEL, decode_head=[first, dict(last, **options)], **own))


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(num_classes=4), ValueError, r'head\[1\]: PointHead: num_classes is 4, .* 3 channels'),
        (ONE_CHANNEL, ValueError, 'PointHead: out_channels is 1, expected num_classes'),
        (dict(num_fcs=0), ValueError, 'PointHead: num_fcs is 0'),
        (dict(train_cfg=dict(oversample_ratio=0.5)), ValueError, r'train_cfg.*oversample_ratio is'),
        (dict(test_cfg=dict(scale_factor=1.5)), (TypeError, ValueError), r'test_cfg.*scale_factor'),
        (dict(test_cfg=dict(subdivision_step=2)), TypeError, "'subdivision_step'"),
    ],
)
def test_what_does_not_fit_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        changed(**options)


def test_it_is_the_last_head_and_reads_logits():
    first, last = MODEL['decode_head']
    with pytest.raises(ValueError, match=r'decode_head\[1\]: PointHead .* must be the last head'):
        build_segmentor(dict(MODEL, num_stages=3, decode_head=[first, last, last]))
    with pytest.raises(ValueError, match='PointHead needs the logits of a head before it'):
        build_segmentor(dict(MODEL, num_stages=1, decode_head=[last]))
    alone = dict(MODEL, num_stages=1, decode_head=[first])
    with pytest.raises(ValueError, match='subdivision_steps is 2, but no head refines points'):
        build_segmentor(alone)


def test_settings_are_those_of_the_config():
    head = build('point_rend').decode_head[1]
    assert (head.num_steps, head.num_refined, head.scale_factor) == (2, 100, 2)
    assert (head.points.num_drawn, head.points.num_uncertain, head.points.num_random) == (96, 24, 8)
    assert 'decode_head.1.points.state' in {p.name for p in build('point_rend').get_parameters()}


class Alone(nn.Cell):
    """A head without a network before it: its logits, or with labels its losses."""

    def __init__(self, head):
        super().__init__(auto_prefix=False)
        self.head = head

    def construct(self, features, logits, labels=None):
        output = self.head((features,), logits)
        return output if labels is None else self.head.losses(output, labels)


def one_map(n, height, width, channels=4, seed=0):
    values = np.random.default_rng(seed).normal(size=(n, channels, height, width))
    return ms.Tensor(values, ms.float32)


def test_training_in_a_graph_draws_its_points_from_the_saved_state(graph_mode):
    head = build('point_rend').decode_head[1]
    step = Alone(head).set_train()
    labels = ms.Tensor(np.random.default_rng(0).integers(0, 3, (2, 32, 40)), ms.int32)
    given = (one_map(2, 8, 10), one_map(2, 8, 10, 3, 1), labels)
    start = ms.Tensor(head.points.state.asnumpy().copy())
    losses = [float(step(*given)[0]) for _ in range(2)]
    head.points.state.set_data(start)
    assert float(step(*given)[0]) == losses[0] != losses[1]


def test_points_are_classified_in_16_bit_floats_too():
    head = build('point_rend').decode_head[1].set_train(False)
    given = ((one_map(2, 8, 10),), one_map(2, 8, 10, 3, 1))
    expected = head(*given).asnumpy()
    use_low_precision(head, ms.float16)
    got = head(*given)
    assert got.dtype == ms.float32
    np.testing.assert_allclose(got.asnumpy(), expected, atol=0.02)
    assert np.abs(got.asnumpy() - expected).max() > 0


def test_one_graph_refines_maps_of_any_size(graph_mode):
    network = Alone(build('point_rend').decode_head[1]).set_train(False)
    network.set_inputs(*(ms.Tensor(shape=[None, c, None, None], dtype=ms.float32) for c in (4, 3)))
    # of the smaller, all pixels of the first step are fewer than the points
    for size in ((2, 8, 10), (1, 4, 5)):
        given = (one_map(*size), one_map(*size, 3, 1))
        ms.set_context(mode=ms.PYNATIVE_MODE)
        expected = Alone(build('point_rend').decode_head[1]).set_train(False)(*given).asnumpy()
        ms.set_context(mode=ms.GRAPH_MODE)
        np.testing.assert_allclose(network(*given).asnumpy(), expected, atol=1e-5)


def test_losses_of_whole_maps_are_those_of_all_pixels():
    head = build('point_rend').decode_head[1]
    labels = ms.Tensor(np.full((1, 4, 4), 2), ms.int32)
    scores = np.zeros((1, 3, 4, 4), np.float32)
    loss, accuracy = head.losses(ms.Tensor(scores), labels)
    assert float(loss) == pytest.approx(np.log(3), rel=1e-6)
    assert float(accuracy) == 0

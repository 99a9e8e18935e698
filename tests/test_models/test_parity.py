"""The networks of tests/data/parity give PyTorch's numbers."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models import InferenceSegmentor, SegmentorWithLoss, build_segmentor
from tests.test_models.model_configs import tiny_ocrnet
from tests.test_models.parity_names import load_arrays, load_weights, to_msseg

NAMES = ('mmseg-ocrnet-tiny', 'official-hrnet-ocr-tiny')


def make_network(name):
    if name == 'mmseg-ocrnet-tiny':
        model = build_segmentor(tiny_ocrnet())
    else:
        head = dict(align_corners=True, conv_bias=True)
        loss = dict(avg_non_ignore=True)
        backbone = dict(align_corners=True)
        model = build_segmentor(tiny_ocrnet(backbone=backbone, head=head, loss=loss))
    weights = to_msseg(load_weights(name), official=name.startswith('official'))
    parameters = {parameter.name: parameter for parameter in model.get_parameters()}
    assert set(parameters) == set(weights)
    for key, value in weights.items():
        assert parameters[key].shape == value.shape
        parameters[key].set_data(ms.Tensor(np.array(value)))
    return model.set_train(False)


def assert_same(got, expected):
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got.asnumpy() / scale, expected / scale, atol=1e-5)


@pytest.mark.parametrize('name', NAMES)
def test_logits_equal_pytorchs_at_even_and_odd_sizes(name):
    model, reference = make_network(name), load_arrays(f'{name}-outputs')
    for prefix in ('', 'odd_'):
        aux, ocr = model(ms.Tensor(reference[f'{prefix}image']))
        assert_same(aux, reference[f'{prefix}aux_logits'])
        assert_same(ocr, reference[f'{prefix}ocr_logits'])


@pytest.mark.parametrize('name', NAMES)
def test_first_training_loss_equals_pytorchs(name):
    model, reference = make_network(name), load_arrays(f'{name}-outputs')
    images = (reference['train_images_u8'][0].astype(np.float32) - 127.5) / 64
    labels = reference['train_labels'][0].astype(np.int32)
    network = SegmentorWithLoss(model).set_train()
    loss, values = network(ms.Tensor(images), ms.Tensor(labels))
    assert network.value_names == [
        'decode_0.loss_ce',
        'decode_0.acc_seg',
        'decode_1.loss_ce',
        'decode_1.acc_seg',
    ]
    assert float(loss) == pytest.approx(reference['losses'][0], rel=1e-5)
    assert float(values[0]) + float(values[2]) == pytest.approx(float(loss), rel=1e-6)


@pytest.mark.parametrize('name', NAMES)
def test_one_graph_gives_pytorchs_logits_at_all_sizes(name, graph_mode):
    model, reference = make_network(name), load_arrays(f'{name}-outputs')

    class Predict(ms.nn.Cell):
        def __init__(self):
            super().__init__(auto_prefix=False)
            self.model = model
            self.set_inputs(ms.Tensor(shape=[None, 3, None, None], dtype=ms.float32))

        def construct(self, image):
            return self.model(image)

    network = Predict().set_train(False)
    for prefix in ('', 'odd_'):
        aux, ocr = network(ms.Tensor(reference[f'{prefix}image']))
        assert_same(aux, reference[f'{prefix}aux_logits'])
        assert_same(ocr, reference[f'{prefix}ocr_logits'])


def test_test_cell_agrees_with_resizing_and_softmax_in_numpy():
    """One cell per output; sizes that are no multiple of 32."""
    model = make_network(NAMES[0])
    image = ms.Tensor(load_arrays(f'{NAMES[0]}-outputs')['odd_image'])
    logits = InferenceSegmentor(model, 'logits')(image).asnumpy()
    expected = resize_by_hand(model.predict(image).asnumpy(), (65, 77))
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    exponentials = np.exp(logits.astype(np.float64))
    probabilities = InferenceSegmentor(model, 'probabilities')(image).asnumpy()
    np.testing.assert_allclose(
        probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), atol=1e-6
    )
    labels = InferenceSegmentor(model, 'labels')(image)
    assert labels.dtype == ms.int32
    np.testing.assert_array_equal(labels.asnumpy(), logits.argmax(axis=1))


def resize_by_hand(x, size):
    """Bilinear, half-pixel centres, one axis after the other in float64."""
    for axis, new in ((2, size[0]), (3, size[1])):
        old = x.shape[axis]
        position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        low = np.minimum(position.astype(int), old - 1)
        high = np.minimum(low + 1, old - 1)
        shape = [1] * 4
        shape[axis] = new
        share = (position - low).reshape(shape)
        x = np.take(x, low, axis) * (1 - share) + np.take(x, high, axis) * share
    return x

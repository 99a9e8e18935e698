"""One meaning of scores: on the device, on the host, and nowhere else."""

import ast
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.deploy.logits import labels_of, most_probable, probabilities_of
from msseg.models import InferenceSegmentor, build_segmentor
from msseg.models.decode_heads import FCNHead, OCRHead
from msseg.models.losses import CrossEntropyLoss
from msseg.models.output_spec import OutputSpec
from tests.test_models.model_configs import tiny_ocrnet

PACKAGE = Path(__file__).parents[2] / 'msseg'
SCORES = np.random.default_rng(0).normal(size=(2, 4, 5, 7)).astype(np.float32)
# Names that turn scores into probabilities or labels, and the places that may use them.
DECISIONS = {'softmax', 'Softmax', 'sigmoid', 'Sigmoid', 'argmax', 'Argmax', 'ArgMax'}
ALLOWED = {
    'checks/selftest/operators.py': 'a layer and its formula in numpy, compared',
    'models/output_spec.py': 'the definition',
    'deploy/logits.py': 'its twin in numpy',
    'models/losses': 'formulas of losses, on logits',
    'models/samplers': 'probabilities of the labelled class',
    'models/layers': 'layers of networks',
    'models/backbones': 'gates and attention, where no class is decided',
    'models/decode_heads/ocr_head.py': 'attention over pixels',
    'models/decode_heads/apc_head.py': 'a gate of pixels',
    'models/decode_heads/da_head.py': 'attention over channels',
    'models/decode_heads/ema_head.py': 'shares of bases in pixels',
    'models/decode_heads/enc_head.py': 'shares of code words in pixels, and a gate of channels',
    'models/decode_heads/ham_head.py': 'shares of bases in pixels',
    'models/decode_heads/kernel_update_head.py': 'shares of kernels in pixels',
    'models/decode_heads/pid_head.py': 'where a loss finds boundaries',
    'models/decode_heads/psa_head.py': 'weights of pixels',
    'utils/layer_traits.py': 'layers',
    'commands/export.py': 'the name of an option',
    'export/': 'operators of ONNX',
    'datasets/palette.py': 'the colour furthest from the others',
}


def spec(channels=4, threshold=None, kind='logits'):
    return OutputSpec(3, max(channels, 2), channels, threshold, False, kind)


def test_classes_compete():
    expected = np.exp(SCORES) / np.exp(SCORES).sum(1, keepdims=True)
    probabilities = spec().probabilities(ms.Tensor(SCORES)).asnumpy()
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    labels = spec().labels(ms.Tensor(SCORES)).asnumpy()
    np.testing.assert_array_equal(labels, expected.argmax(1))
    assert labels.dtype == np.int32


def test_one_channel_is_class_1_above_the_threshold():
    scores = SCORES[:, :1]
    expected = 1 / (1 + np.exp(-scores))
    own = spec(1, 0.3)
    np.testing.assert_allclose(own.probabilities(ms.Tensor(scores)).asnumpy(), expected, atol=1e-6)
    np.testing.assert_array_equal(own.labels(ms.Tensor(scores)).asnumpy(), expected[:, 0] > 0.3)


@pytest.mark.parametrize(('channels', 'threshold'), [(4, None), (1, 0.6)])
def test_probabilities_stay_as_they_are(channels, threshold):
    scores = np.abs(SCORES[:, :channels]) / 4
    own = spec(channels, threshold, 'probabilities')
    np.testing.assert_array_equal(own.probabilities(ms.Tensor(scores)).asnumpy(), scores)
    expected = scores[:, 0] > threshold if channels == 1 else scores.argmax(1)
    np.testing.assert_array_equal(own.labels(ms.Tensor(scores)).asnumpy(), expected)


@pytest.mark.parametrize(('channels', 'threshold'), [(4, None), (1, 0.3)])
def test_the_twin_on_the_host_agrees(channels, threshold):
    own, scores = spec(channels, threshold), SCORES[:, :channels]
    probabilities = own.probabilities(ms.Tensor(scores)).asnumpy()
    labels = own.labels(ms.Tensor(scores)).asnumpy()
    for i in range(len(scores)):
        np.testing.assert_allclose(probabilities_of(scores[i]), probabilities[i], atol=1e-6)
        np.testing.assert_array_equal(labels_of(scores[i], threshold), labels[i])
        np.testing.assert_array_equal(most_probable(probabilities[i], threshold), labels[i])


class TestOfAModel:
    def test_comes_from_the_last_decode_head_and_the_backbone(self):
        model = build_segmentor(tiny_ocrnet())
        own, last = model.output_spec, model.decode_head[-1]
        assert (own.num_classes, own.out_channels) == (last.num_classes, last.out_channels)
        assert (own.in_channels, own.kind) == (3, 'logits')

    def test_a_head_that_gives_probabilities_is_not_normalised_again(self, monkeypatch):
        monkeypatch.setattr(OCRHead, 'score_kind', 'probabilities')
        with pytest.raises(ValueError, match='gives probabilities, but CrossEntropyLoss expects'):
            build_segmentor(tiny_ocrnet())
        monkeypatch.setattr(CrossEntropyLoss, 'score_kind', 'probabilities', raising=False)
        monkeypatch.setattr(FCNHead, 'score_kind', 'probabilities')
        model = build_segmentor(tiny_ocrnet())
        image = ms.Tensor(np.random.default_rng(1).normal(size=(1, 3, 64, 64)), ms.float32)
        scores = InferenceSegmentor(model, 'logits', dynamic=False)(image).asnumpy()
        kept = InferenceSegmentor(model, 'probabilities', dynamic=False)(image).asnumpy()
        np.testing.assert_array_equal(kept, scores)

    def test_an_unknown_kind_is_refused_when_the_model_is_built(self, monkeypatch):
        for part in (OCRHead, FCNHead):
            monkeypatch.setattr(part, 'score_kind', 'scores')
        monkeypatch.setattr(CrossEntropyLoss, 'score_kind', 'scores', raising=False)
        with pytest.raises(ValueError, match="score_kind is 'scores', expected one of"):
            build_segmentor(tiny_ocrnet())


def test_nothing_else_in_the_package_decides():
    found = set()
    for path in PACKAGE.rglob('*.py'):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
            if isinstance(node, ast.Attribute) and node.attr in DECISIONS:
                found.add((name, node.attr))
    outside = [(n, what) for n, what in sorted(found) if not any(map(n.startswith, ALLOWED))]
    assert not outside
    assert all(any(n.startswith(place) for n, _ in found) for place in ALLOWED if '.py' in place)

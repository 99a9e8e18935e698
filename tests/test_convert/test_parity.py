"""Converted checkpoints give PyTorch's numbers: logits, losses, and the weights after a step."""

from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.convert import convert
from msseg.models import SegmentorWithLoss, build_backbone, build_segmentor
from msseg.runner import TrainStep, build_optimizer, load_checkpoint, load_weights
from tests.test_models.model_configs import tiny_hrnet, tiny_ocrnet

DATA = Path(__file__).parents[1] / 'data' / 'parity'
OFFICIAL, MMSEG = 'official-hrnet-ocr-tiny', 'mmseg-ocrnet-tiny'
MODES = {'graph': ms.GRAPH_MODE, 'pynative': ms.PYNATIVE_MODE}


@pytest.fixture(params=MODES)
def mode(request, monkeypatch):
    ms.set_context(mode=MODES[request.param])
    if request.param == 'pynative':
        # MindSpore's optimizers are decorated to be compiled even then, for half a minute.
        monkeypatch.setenv('MS_JIT', '0')
    yield request.param
    ms.set_context(mode=ms.GRAPH_MODE)


def build(name, conv_bias=True):
    if name == MMSEG:
        return build_segmentor(tiny_ocrnet())
    options = dict(backbone=dict(align_corners=True), loss=dict(avg_non_ignore=True))
    return build_segmentor(
        tiny_ocrnet(head=dict(align_corners=True, conv_bias=conv_bias), **options)
    )


def load(model, name):
    load_weights(model, load_checkpoint(DATA / f'{name}.pth'))
    return model


def outputs(name):
    with np.load(DATA / f'{name}-outputs.npz') as file:
        return dict(file)


def assert_close(got, expected, tolerance=1e-4):
    scale = np.abs(expected).max()
    assert np.abs(got - expected).max() <= tolerance * scale


@pytest.mark.parametrize('name', [OFFICIAL, MMSEG])
def test_logits(name, mode):
    model, expected = load(build(name), name).set_train(False), outputs(name)
    aux, ocr = model(ms.Tensor(expected['image']))
    assert_close(aux.asnumpy(), expected['aux_logits'])
    assert_close(ocr.asnumpy(), expected['ocr_logits'])


def test_logits_with_the_biases_in_the_running_means(mode):
    model, expected = load(build(OFFICIAL, conv_bias=False), OFFICIAL), outputs(OFFICIAL)
    aux, ocr = model.set_train(False)(ms.Tensor(expected['image']))
    assert_close(aux.asnumpy(), expected['aux_logits'])
    assert_close(ocr.asnumpy(), expected['ocr_logits'])


def save_as_model_zoo(path):
    """What its scripts would have saved of the same network: no biases before norms, float16."""
    folded = convert(load_checkpoint(DATA / f'{OFFICIAL}.pth').weights)
    entries = []
    for entry in folded.of_kind('converted', 'matched'):
        layer = entry.source.rpartition('.')[0]
        name = f'{layer}.{entry.target.rpartition(".")[2]}'
        entries.append({'name': name, 'data': ms.Tensor(folded.weights[entry.target], ms.float16)})
    state = {'learning_rate': np.float32(0.1), 'accum.conv1.weight': np.zeros((64, 3, 3, 3))}
    entries += [{'name': key, 'data': ms.Tensor(value)} for key, value in state.items()]
    ms.save_checkpoint(entries, str(path))
    return folded.weights


def test_checkpoint_of_the_model_zoo(tmp_path):
    """Its names load into a model with and without the biases, which are zero then."""
    expected = save_as_model_zoo(tmp_path / 'zoo.ckpt')
    for conv_bias in (False, True):
        model = build(OFFICIAL, conv_bias)
        conversion = load_weights(model, load_checkpoint(tmp_path / 'zoo.ckpt'))
        assert conversion.style == 'modelzoo'
        assert len(conversion.of_kind('filled')) == 2 * conv_bias
        assert len(conversion.of_kind('left aside')) == 2
        for parameter in model.get_parameters():
            value = expected.get(parameter.name, np.zeros(parameter.shape, np.float32))
            half = value.astype(np.float16).astype(np.float32)
            np.testing.assert_array_equal(parameter.asnumpy(), half)


def test_feature_maps_of_an_imagenet_classifiers_backbone(mode):
    """The classifier's fusion repeats pixels where a segmentation model's interpolates."""
    model = build_segmentor(tiny_ocrnet(backbone=dict(fuse_upsample='nearest')))
    checkpoint = load_checkpoint(DATA / 'imagenet-hrnet-tiny.pth')
    conversion = load_weights(model, checkpoint, strict=False, part='backbone.')
    assert not conversion.of_kind('missing', 'unexpected', 'shape mismatch')
    expected = outputs('imagenet-hrnet-tiny')
    maps = model.backbone.set_train(False)(ms.Tensor(expected['image']))
    for index, feature in enumerate(maps):
        assert_close(feature.asnumpy(), expected[f'branch{index}'])


@pytest.mark.parametrize('name', [OFFICIAL, MMSEG])
def test_training_follows_pytorchs(name, mode):
    """Loss 0 and the weights after it to 1e-4, loss 1 to 1e-3 of PyTorch's in double precision."""
    model, expected = load(build(name), name), outputs(name)
    optimizer = dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=5e-4)
    step = TrainStep(SegmentorWithLoss(model), build_optimizer(model, optimizer))
    losses = []
    for images, labels in zip(expected['train_images_u8'], expected['train_labels'], strict=True):
        batch = (images.astype(np.float32) - 127.5) / 64
        values = step(ms.Tensor(batch), ms.Tensor(labels.astype(np.int32)))
        losses.append(float(values[step.value_names.index('loss')]))
        if len(losses) == 1:
            assert_weights_after_a_step(model, name)
    assert losses[0] == pytest.approx(expected['losses'][0], rel=1e-4)
    assert losses[1] == pytest.approx(expected['losses'][1], rel=1e-3)


def assert_weights_after_a_step(model, name):
    parameters = {parameter.name: parameter for parameter in model.get_parameters()}
    tensors = load_checkpoint(DATA / f'{name}-after-1-step-float64.pth').weights
    assert {array.dtype for key, array in tensors.items() if 'num_batches' not in key} == {
        np.dtype(np.float64)
    }
    wanted = {key: parameter.shape for key, parameter in parameters.items()}
    weights = convert(tensors, wanted=wanted).weights
    assert set(weights) == set(parameters)
    start = convert(load_checkpoint(DATA / f'{name}.pth').weights, wanted=wanted).weights
    moved = 0
    for key, reference in weights.items():
        assert_close(parameters[key].asnumpy(), reference)
        moved += np.abs(start[key] - reference).max() > 3e-4 * np.abs(reference).max()
    # The step is no trifle: standing still would not do.
    assert moved > len(weights) / 2


def test_backbone_alone():
    """A file's weights fit HRNet without a segmentor, under the backbone's own names."""
    backbone = build_backbone(tiny_hrnet())
    weights = convert(load_checkpoint(DATA / 'imagenet-hrnet-tiny.pth').weights).weights
    assert {f'backbone.{p.name}' for p in backbone.get_parameters()} == set(weights)

"""Images of 1, 4 and 12 channels through everything that a user does with a network."""

from functools import partial

import cv2
import numpy as np
import pytest
from mindspore import Tensor, nn

from msseg import apis
from msseg.apis import (
    build_model,
    inference_segmentor,
    init_segmentor,
    load_config,
    train_from_config,
)
from msseg.apis.build import check_channels
from msseg.checks.config import check_config, format_report
from msseg.datasets import ConcatDataset, RepeatDataset, build_dataset
from msseg.datasets.builder import PIPELINES
from msseg.deploy import Predictor
from msseg.export import ExportOptions, export_model
from msseg.models import build_segmentor
from msseg.models.analysis.complexity import count_complexity
from msseg.models.builder import BACKBONES
from msseg.prediction import predict_files
from msseg.reports import EvaluationReport
from msseg.reports.browse import browse_dataset
from msseg.runner.checkpoint import save_checkpoint
from tests.tiny import write_config, write_discs


@BACKBONES.register_module()
class ConvOfChannels(nn.Cell):
    """A convolution that alone tells how many channels an image has."""

    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, 4, 4, stride=4, pad_mode='valid')

    def construct(self, x):
        return (self.conv(x),)


@PIPELINES.register_module()
class KeepOne:
    """A user's transform that takes one channel of a normalised image."""

    def __call__(self, results):
        results['img'] = results['img'][..., :1]
        return results


HEAD = dict(
    type='FCNHead', in_channels=4, in_index=0, channels=4, num_convs=0, concat_input=False,
    dropout_ratio=0, num_classes=2, loss_decode=dict(type='CrossEntropyLoss'),
)  # fmt: skip
MORE = """
channels = {channels}
model = dict(type='EncoderDecoder', backbone=dict(type='ConvOfChannels', channels=channels),
             decode_head={head}, test_cfg=dict(mode='whole'))
for split in data.values():
    if isinstance(split, dict):
        split['img_suffix'] = '{suffix}'
        split['pipeline'][0]['color_type'] = '{color_type}'
for steps in (train_pipeline, test_pipeline[1]['transforms']):
    for step in steps:
        if step['type'] == 'Normalize':
            step.update(mean=[127.5] * channels, std=[64.0] * channels, to_rgb=False)
runner['max_iters'] = 2
evaluation.update(interval=2, loss=True)
"""


def write_data(folder, channels):
    """Write a config and discs of so many channels: PNG where it can hold them, else arrays."""
    root = write_discs(folder / 'data', 4)
    suffix = '.png' if channels <= 4 else '.npy'
    for path in sorted((root / 'images').iterdir()):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        image = grey if channels == 1 else np.dstack([grey // (1 + c % 3) for c in range(channels)])
        if suffix == '.png':
            cv2.imwrite(str(path), image)
        else:
            np.save(path.with_suffix('.npy'), image)
            path.unlink()
    color_type = 'grayscale' if channels == 1 else 'unchanged'
    more = MORE.format(channels=channels, head=HEAD, suffix=suffix, color_type=color_type)
    return root, write_config(folder, root, more)


@pytest.mark.parametrize('channels', [1, 4, 12])
def test_any_number_of_channels_goes_from_training_to_pictures(tmp_path, channels):
    root, config = write_data(tmp_path, channels)
    report = check_config(config)
    assert report.num_errors == 0, format_report(report)
    train_from_config(load_config(config), tmp_path / 'run', device='CPU', seed=0)
    checkpoint = tmp_path / 'run' / 'iter_2.ckpt'
    cfg = load_config(config)
    scores = apis.test_from_config(
        cfg, checkpoint, ['mIoU'], show_dir=tmp_path / 'shown',
        report=partial(EvaluationReport, tmp_path / 'report'),
        device='CPU',
    )  # fmt: skip
    assert 0 <= scores.as_dict()['mIoU'] <= 1
    assert len(list((tmp_path / 'shown').iterdir())) == 4
    assert 'errors' in (tmp_path / 'report' / 'report.html').read_text()
    assert browse_dataset(cfg, tmp_path / 'browse', count=2, draws=1).is_file()
    model = init_segmentor(config, checkpoint, 'CPU')
    images = sorted((root / 'images').iterdir())
    labels = inference_segmentor(model, [str(path) for path in images])
    assert [each.shape for each in labels] == [(48, 64)] * 4
    assert predict_files(model, images, tmp_path / 'out') == []
    written = cv2.imread(str(tmp_path / 'out' / 'labels' / 'disc_0.png'), cv2.IMREAD_UNCHANGED)
    assert written.shape[:2] == (48, 64)


def test_flops_are_those_of_the_models_own_channels():
    config = dict(
        type='EncoderDecoder', backbone=dict(type='ConvOfChannels', channels=7), decode_head=HEAD
    )
    parts = {part.name: part for part in count_complexity(build_segmentor(config), (8, 12), 1)}
    assert parts['backbone'].macs == 2 * 3 * 4 * 7 * 16


def test_a_backbone_may_say_its_channels_and_must_where_nothing_tells():
    model = build_segmentor(
        dict(
            type='EncoderDecoder',
            backbone=dict(type='ConvOfChannels', channels=7),
            decode_head=HEAD,
        )
    )
    assert model.in_channels == 7
    model.backbone.in_channels = 5
    assert model.in_channels == 5
    model.backbone = nn.ReLU()
    with pytest.raises(ValueError, match=r'ReLU does not tell .* self\.in_channels'):
        _ = model.in_channels


def test_a_step_of_the_check_finds_images_that_do_not_fit_in_testing(tmp_path):
    _, config = write_data(tmp_path, 4)
    cut = tmp_path / 'cut.py'
    cut.write_text(
        config.read_text() + "test_pipeline[1]['transforms'].insert(3, dict(type='KeepOne'))\n"
    )
    report = check_config(cut)
    found = [f for f in report.findings if f.kind == 'does_not_run']
    assert [sorted(f.places) for f in found] == [['data.test', 'data.val']], format_report(report)
    note = found[0].places['data.val'].note
    assert 'image of 1 channels, but the network takes 4' in note


def test_training_on_images_of_other_channels_is_refused_in_words(tmp_path):
    root, config = write_data(tmp_path, 4)
    cfg = load_config(config, {'model.backbone.channels': 3})
    words = 'normalises images of 4 channels, but the network takes 3'
    with pytest.raises(ValueError, match=words):
        train_from_config(cfg, tmp_path / 'run', device='CPU', seed=0)
    dataset = build_dataset(cfg.data.train)
    for wrapped in (dataset, RepeatDataset(dataset, 2), ConcatDataset([dataset])):
        with pytest.raises(ValueError, match=words):
            check_channels(build_model(cfg), wrapped)
    dataset.pipeline.transforms.append(KeepOne())  # who knows what a user's does
    check_channels(build_model(cfg), dataset)


def test_an_array_of_other_channels_is_refused_in_words(tmp_path):
    _, config = write_data(tmp_path, 1)
    model = build_model(load_config(config))
    model.cfg = load_config(config)
    with pytest.raises(ValueError, match='mean has 1 numbers, but the image has 3'):
        inference_segmentor(model, np.zeros((48, 64, 3), np.uint8))


def export(config, out, **options):
    model = build_model(load_config(config))
    checkpoint = out.parent / 'random.ckpt'
    save_checkpoint(checkpoint, model, meta={'CLASSES': ['ground', 'disc']})
    chosen = ExportOptions(out.suffix[1:], (48, 64), **options)
    export_model(load_config(config), checkpoint, out, chosen, device='CPU')
    return init_segmentor(config, checkpoint, 'CPU')


@pytest.mark.parametrize(
    ('channels', 'name', 'included'),
    [
        (1, 'net.onnx', False),
        (1, 'net.mindir', True),
        (4, 'net.onnx', True),
        (4, 'net.mindir', False),
    ],
)
def test_an_exported_file_loads_images_as_the_pipeline_does(tmp_path, channels, name, included):
    root, config = write_data(tmp_path, channels)
    model = export(config, tmp_path / name, include_preprocessing=included)
    predictor = Predictor(tmp_path / name)
    path = root / 'images' / 'disc_1.png'
    _, (expected,) = inference_segmentor(model, str(path), with_probabilities=True)
    array = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    for image in (path, array):
        np.testing.assert_allclose(predictor.probabilities(image), expected, atol=1e-5)
    with pytest.raises(TypeError, match=rf'array \(h, w, {channels}\)'):
        predictor(np.zeros((48, 64, 3), np.uint8))


def test_an_exported_file_scales_deep_images(tmp_path):
    root, config = write_data(tmp_path, 1)
    config.write_text(config.read_text() + "test_pipeline[0]['max_value'] = 4080\n")
    model = export(config, tmp_path / 'net.onnx')
    eight = cv2.imread(str(root / 'images' / 'disc_0.png'), cv2.IMREAD_UNCHANGED)
    deep = eight.astype(np.uint16) * 16
    cv2.imwrite(str(tmp_path / 'deep.tif'), deep)
    predictor = Predictor(tmp_path / 'net.onnx')
    expected = predictor.probabilities(eight)
    for image in (tmp_path / 'deep.tif', deep):
        np.testing.assert_allclose(predictor.probabilities(image), expected, atol=1e-4)
        found = inference_segmentor(model, image, with_probabilities=True)[1][0]
        np.testing.assert_allclose(found, expected, atol=1e-4)
    text = (tmp_path / 'net.onnx.json').read_text()
    assert '"format_version": 2' in text and '"max_value": 4080' in text


def test_a_deep_array_without_a_scale_is_refused(tmp_path):
    _, config = write_data(tmp_path, 1)
    model = build_model(load_config(config))
    model.cfg = load_config(config)
    with pytest.raises(ValueError, match='is uint16, which holds more than 8 bits.*max_value'):
        inference_segmentor(model, np.zeros((48, 64), np.uint16))


def by_brightness(config):
    """A model that labels what is brighter than the middle of the scale."""
    model = build_model(load_config(config))
    model.cfg = load_config(config)
    signs = np.array([[-1] * 4, [1] * 4], np.float32).reshape(2, 4, 1, 1)
    head, conv = model.decode_head.conv_seg, model.backbone.conv
    conv.weight.set_data(Tensor(np.full(conv.weight.shape, 1 / 16, np.float32)))
    head.weight.set_data(Tensor(signs))
    head.bias.set_data(Tensor(np.zeros(2, np.float32)))
    return model


def test_a_12_bit_image_gets_the_labels_of_its_8_bit_version(tmp_path, caplog):
    root, config = write_data(tmp_path, 1)
    path = root / 'images' / 'disc_0.png'
    eight = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    deep = tmp_path / 'deep.tif'
    cv2.imwrite(str(deep), np.round(eight / 255 * 4095).astype(np.uint16))
    expected = inference_segmentor(by_brightness(config), str(path))[0]
    assert 0.02 < expected.mean() < 0.5, 'both classes'
    caplog.set_level('WARNING', logger='msseg')
    without = inference_segmentor(by_brightness(config), str(deep))[0]
    assert (without == expected).mean() < 0.99
    assert 'deep.tif' in caplog.text and 'max_value=4095' in caplog.text
    config.write_text(config.read_text() + "test_pipeline[0]['max_value'] = 4095\n")
    scaled = inference_segmentor(by_brightness(config), str(deep))[0]
    assert (scaled == expected).mean() >= 0.99

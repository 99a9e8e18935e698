"""Inputs as files, outputs from files: what is written, how it is scored, what is refused."""

import json

import cv2
import numpy as np
import pytest

from msseg.apis import load_config
from msseg.apis.build import eval_pipeline
from msseg.export.evaluation import score_outputs, write_inputs
from msseg.inference.preparation import Preparation
from tests.tiny import write_config, write_discs

SIZE = (48, 64)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp('steps')
    return write_config(folder, write_discs(folder, count=3))


@pytest.fixture
def cfg(config):
    return load_config(config)


@pytest.fixture
def inputs(cfg, tmp_path):
    write_inputs(cfg, tmp_path / 'inputs')
    return tmp_path / 'inputs'


def labels_of(config, index):
    return cv2.imread(str(config.parent / 'labels' / f'disc_{index}.png'), cv2.IMREAD_GRAYSCALE)


def write_outputs(folder, arrays):
    """Write arrays as msseg_infer does, for the inputs of `write_discs`."""
    folder.mkdir(exist_ok=True)
    entries = []
    for index, array in enumerate(arrays):
        file = f'{index:06d}_disc_{index}.bin'
        array.tofile(folder / file)
        entries.append({'file': file, 'shape': list(array.shape), 'dtype': str(array.dtype)})
    (folder / 'outputs.json').write_text(json.dumps({'outputs': entries}))
    return folder


def logits_for(labels):
    """Logits (1, 2, h, w) that mean these labels, ignored pixels as class 0."""
    is_disc = (labels == 1).astype(np.float32)
    return np.stack([1 - is_disc, is_disc])[None]


def test_inputs_are_what_the_pipeline_gives(cfg, config, inputs):
    entries = json.loads((inputs / 'inputs.json').read_text())['inputs']
    assert [entry['file'] for entry in entries] == [f'{i:06d}_disc_{i}.bin' for i in range(3)]
    for index, entry in enumerate(entries):
        (image,), _ = Preparation(eval_pipeline(cfg))(
            config.parent / 'images' / f'disc_{index}.png'
        )
        assert entry['shape'] == [1, 3, *SIZE] and entry['size'] == list(SIZE)
        written = np.fromfile(inputs / entry['file'], np.float32).reshape(entry['shape'])
        np.testing.assert_array_equal(written[0], image)


def test_a_new_list_comes_only_after_all_inputs(cfg, config, inputs):
    (config.parent / 'images' / 'disc_9.png').write_bytes(b'no image')
    try:
        with pytest.raises(ValueError, match='cannot be decoded'):
            write_inputs(cfg, inputs)
    finally:
        (config.parent / 'images' / 'disc_9.png').unlink()
    assert not (inputs / 'inputs.json').exists()


def test_scores_are_those_of_the_labels_that_logits_mean(cfg, config, inputs, tmp_path):
    arrays = [logits_for(labels_of(config, index)) for index in range(3)]
    arrays[0][0, :, 2:12] = [[[3.0]], [[-1.0]]]  # ten rows of class 0, whatever they were
    hits = missed = 0
    for index in range(3):
        labels = labels_of(config, index)
        missed += (labels[2:12] == 1).sum() if index == 0 else 0
        hits += (labels == 1).sum()
    hits -= missed
    scores = score_outputs(cfg, inputs, write_outputs(tmp_path / 'out', arrays), ['mIoU']).as_dict()
    assert missed > 0
    assert scores['IoU.disc'] == pytest.approx(hits / (hits + missed))


def test_labels_are_taken_as_they_are(cfg, config, inputs, tmp_path):
    arrays = [(labels_of(config, index) == 1).astype(np.int32)[None] for index in range(3)]
    scores = score_outputs(cfg, inputs, write_outputs(tmp_path / 'out', arrays)).as_dict()
    assert scores['mIoU'] == 1.0


@pytest.mark.parametrize('align_corners', [False, True])
def test_logits_are_resized_to_the_images_size(config, inputs, tmp_path, align_corners):
    cfg = load_config(config, {'model.decode_head.1.align_corners': align_corners})
    arrays = []
    for index in range(3):
        logits = logits_for(labels_of(config, index))[0]
        if align_corners:  # every second pixel, the corners among them
            arrays.append(np.repeat(np.repeat(logits, 2, 1), 2, 2)[None])
        else:
            arrays.append(cv2.resize(logits.transpose(1, 2, 0), (128, 96)).transpose(2, 0, 1)[None])
    arrays = [np.ascontiguousarray(array) for array in arrays]
    scores = score_outputs(cfg, inputs, write_outputs(tmp_path / 'out', arrays)).as_dict()
    assert scores['mIoU'] > 0.95


def test_one_channel_is_compared_with_the_threshold(config, inputs, tmp_path):
    head = dict(out_channels=1, threshold=0.8, num_classes=2)
    loss = dict(type='CrossEntropyLoss', use_sigmoid=True)
    options = {f'model.decode_head.{i}.{key}': value
               for i in (0, 1) for key, value in {**head, 'loss_decode': loss}.items()}  # fmt: skip
    cfg = load_config(config, options)
    # sigmoid(1) is 0.73, sigmoid(2) is 0.88
    arrays = [
        np.where(labels_of(config, i) == 1, 2, 1).astype(np.float32)[None, None] for i in range(3)
    ]
    scores = score_outputs(cfg, inputs, write_outputs(tmp_path / 'out', arrays)).as_dict()
    assert scores['mIoU'] == 1.0


@pytest.mark.parametrize(
    ('options', 'said'),
    [
        (
            {'model.test_cfg': dict(mode='slide', crop_size=(32, 32), stride=(16, 16))},
            "model.test_cfg.mode is 'slide'; an exported network is run once",
        ),
        ({'data.test.pipeline.1.flip': True}, 'gives it in 2 scales and flips'),
    ],
)
def test_more_than_one_run_for_an_image_is_refused(config, tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        write_inputs(load_config(config, options), tmp_path)


def test_what_does_not_belong_together_is_refused(cfg, config, inputs, tmp_path):
    arrays = [logits_for(labels_of(config, index)) for index in range(3)]
    with pytest.raises(FileNotFoundError, match='outputs.json: there is no such file; msseg_infer'):
        score_outputs(cfg, inputs, tmp_path)
    out = write_outputs(tmp_path / 'out', arrays[:2])
    with pytest.raises(FileNotFoundError, match='lacks 1 of 3 outputs, the first of 000002_disc_2'):
        score_outputs(cfg, inputs, out)
    write_outputs(out, arrays)
    np.zeros(5, np.float32).tofile(out / '000001_disc_1.bin')
    with pytest.raises(ValueError, match='has 5 numbers, not the .1, 2, 48, 64. of outputs.json'):
        score_outputs(cfg, inputs, out)
    write_outputs(out, [np.zeros((1, 8, 8), np.int32)] * 3)
    with pytest.raises(ValueError, match='export logits, without --argmax'):
        score_outputs(cfg, inputs, out)
    (out / 'outputs.json').write_text('[]')
    with pytest.raises(ValueError, match='is no list that msseg_infer wrote'):
        score_outputs(cfg, inputs, out)
    fewer = load_config(config, {'data.test.num_samples': 2})
    with pytest.raises(ValueError, match='lists 3 images which are not the 2 of data.test'):
        score_outputs(fewer, inputs, write_outputs(out, arrays))
    (inputs / 'inputs.json').write_text('nothing')
    with pytest.raises(ValueError, match='is no list that tools/deploy/preprocess.py wrote'):
        score_outputs(cfg, inputs, out)

"""The command: which model it opens, and what it refuses."""

import sys

import numpy as np
import pytest

from msseg.apis import build_model, load_config
from msseg.commands import serve
from msseg.prediction.model import load
from msseg.runner.checkpoint import save_checkpoint
from msseg.serving import server
from msseg.serving.labelling import label_image
from tests.test_deploy.onnx_file import write_onnx
from tests.tiny import write_discs

CONFIG = """
norm_cfg = dict(type='BN')
model = dict(
    type='EncoderDecoder', pretrained=None,
    backbone=dict(
        type='UNet', in_channels=3, base_channels=4, num_stages=2, strides=(1, 1),
        enc_num_convs=(1, 1), dec_num_convs=(1,), downsamples=(True,), enc_dilations=(1, 1),
        dec_dilations=(1,), norm_cfg=norm_cfg),
    decode_head=dict(
        type='FCNHead', in_channels=4, in_index=1, channels=4, num_convs=0, concat_input=False,
        dropout_ratio=0, num_classes=2, norm_cfg=norm_cfg, align_corners=False),
    test_cfg=dict(mode='whole'))
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='MultiScaleFlipAug', img_scale=(64, 48), flip=False, transforms=[
        dict(type='Normalize', mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
        dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])])]
data = dict(test=dict(
    type='CustomDataset', data_root=r'{root}', img_suffix='.png', img_dir='images',
    ann_dir='labels', classes=('ground', 'disc'), pipeline=test_pipeline))
"""


@pytest.fixture
def opened(monkeypatch):
    """What `main` would serve, and with which arguments."""
    calls = []
    monkeypatch.setattr(server, 'serve', lambda *args: calls.append(args))
    # or processes that later tests start would not hear Ctrl-C either
    monkeypatch.setattr(serve, 'hear_interrupts', lambda: None)
    return calls


def test_a_checkpoint_is_served_as_msseg_load_labels(tmp_path, opened):
    write_discs(tmp_path, count=1)
    (tmp_path / 'config.py').write_text(CONFIG.replace('{root}', str(tmp_path)))
    cfg = load_config(str(tmp_path / 'config.py'))
    (tmp_path / 'run').mkdir()
    checkpoint = tmp_path / 'run' / 'iter_1.ckpt'
    save_checkpoint(checkpoint, build_model(cfg), meta={'config': cfg.pretty_text, 'iter': 1})
    serve.main([str(checkpoint), '--rate', '7', '--allowed-host', 'a', '--allowed-host', 'b'])
    [(backend, limits, host, port, names)] = opened
    assert (backend.name, limits.rate, host, port) == ('run/iter_1.ckpt', 7, '127.0.0.1', 8000)
    assert names == ('a', 'b') and limits.max_pixels == 16_000_000
    image = tmp_path / 'images' / 'disc_0.png'
    found = label_image(backend, image.read_bytes(), 10_000)
    expected = load(checkpoint)(image)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.picture, expected.image)
    classes, values = found.ranking
    probabilities = np.take_along_axis(expected.probabilities, classes.astype(int), axis=0)
    np.testing.assert_allclose(values / 255, probabilities, atol=0.5 / 255 + 1e-6)
    with pytest.raises(ValueError, match='the image: .*truncated'):
        label_image(backend, image.read_bytes()[:-20], 10_000)


def test_many_classes_make_images_smaller(tmp_path, opened, monkeypatch):
    write_onnx(tmp_path / 'a.onnx')
    monkeypatch.setattr(serve, '_MOST_VALUES', 100)
    serve.main([str(tmp_path / 'a.onnx')])
    assert opened[0][1].max_pixels == 50
    serve.main([str(tmp_path / 'a.onnx'), '--max-pixels', '77'])
    assert opened[1][1].max_pixels == 77


@pytest.mark.parametrize(
    ('words', 'problem'),
    [
        (['--port', '70000'], '--port is 70000, expected a number from 0 to 65535'),
        (['--rate', '0'], '--rate is 0, expected a number above 0'),
        (['--max-bytes', '-1'], '--max-bytes is -1'),
        (['--max-pixels', '0'], '--max-pixels is 0'),
        (['--tile', '3'], "unrecognized argument '--tile'"),
    ],
)
def test_a_wrong_option_is_refused_in_one_line(tmp_path, opened, capsys, words, problem):
    with pytest.raises(SystemExit) as end:
        serve.main([str(tmp_path / 'a.onnx'), *words])
    assert end.value.code == 2 and opened == []
    [line] = capsys.readouterr().err.splitlines()
    assert problem in line


@pytest.mark.parametrize(
    ('words', 'problem'),
    [
        (['ocrnet_nuclei', 'a.onnx'], 'an exported file needs no config'),
        (['a.onnx', '--cfg-options', 'seed=1'], 'an exported file needs no config'),
        (['a.onnx', '--runtime', 'onxruntime'], "Did you mean 'onnxruntime'"),
        (['a.onnx', '--runtime', 'lite'], 'lite does not run .onnx files'),
        (['absent.onnx'], 'there is no such file'),
        (['a.ckpt', '--runtime', 'lite'], '--runtime lite is for files of msseg export'),
        (['absent.ckpt'], 'absent.ckpt'),
    ],
)
def test_a_model_that_cannot_be_served_is_refused(tmp_path, opened, monkeypatch, words, problem):
    monkeypatch.chdir(tmp_path)
    write_onnx(tmp_path / 'a.onnx')
    (tmp_path / 'a.ckpt').write_bytes(b'')
    with pytest.raises((ValueError, OSError), match=problem):
        serve.main(words)
    assert opened == []


def test_a_missing_package_is_named_with_the_extra(tmp_path, opened, monkeypatch):
    write_onnx(tmp_path / 'a.onnx')
    monkeypatch.setitem(sys.modules, 'uvicorn', None)
    with pytest.raises(ImportError, match=r"'uvicorn': pip install 'msseg\[serve\]'"):
        serve.main([str(tmp_path / 'a.onnx')])

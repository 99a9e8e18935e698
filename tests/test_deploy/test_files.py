"""Files that are wrong, and runtimes that are missing: one line each."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from msseg.deploy import Predictor
from msseg.deploy.logits import resize_logits
from msseg.deploy.metadata import Metadata, read_sidecar, sidecar
from msseg.models.layers.resize import resize_matrix
from tests.test_deploy.onnx_file import expected_logits, write_onnx


@pytest.fixture
def file(tmp_path):
    write_onnx(tmp_path / 'a.onnx')
    return tmp_path / 'a.onnx'


def as_other(file, suffix, content=None):
    """A file of another format with the metadata of this one."""
    other = file.with_suffix(suffix)
    content = file.read_bytes() if content is None else content
    other.write_bytes(content)
    metadata = {**json.loads(sidecar(file).read_text()), 'file_bytes': len(content)}
    if suffix == '.ms':  # converted by hand, its length is not known
        del metadata['file_bytes']
    sidecar(other).write_text(json.dumps(metadata))
    return other


def test_metadata_survive_both_ways_of_writing_them(tmp_path):
    metadata = write_onnx(tmp_path / 'a.onnx', scale=(8, 6), threshold=0.3)
    assert Metadata.from_json(metadata.to_json(), 'x') == metadata
    assert Metadata.from_properties(metadata.to_properties(), 'x') == metadata
    assert read_sidecar(tmp_path / 'a.onnx') == metadata


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{', 'x.json: is no JSON'),
        ('[]', 'does not say what its input and output mean; export .* with msseg export'),
        ('{"format_version": 9}', 'metadata are of version 9, this msseg reads versions 1 to 3'),
        ('{"format_version": 1}', r"metadata are not whole \('input'\); export the model again"),
    ],
)
def test_wrong_metadata_are_told(text, message):
    with pytest.raises(ValueError, match=message):
        Metadata.from_json(text, 'x.json')


def test_wrong_names_are_told(file, tmp_path):
    with pytest.raises(FileNotFoundError, match=r'b.onnx: there is no such file'):
        Predictor(tmp_path / 'b.onnx')
    with pytest.raises(ValueError, match=r"ends in one of \['.mindir', '.onnx', '.ms'\].*'.ckpt'"):
        Predictor(tmp_path / 'a.ckpt')
    with pytest.raises(ValueError, match=r"runtime is 'onnxrun', .*Did you mean 'onnxruntime'\?"):
        Predictor(file, runtime='onnxrun')
    with pytest.raises(ValueError, match='mindspore does not run .onnx files, but onnxruntime'):
        Predictor(file, runtime='mindspore')
    with pytest.raises(ValueError, match=r"device is 'Ascend', but this ONNX Runtime has \['CPU'"):
        Predictor(file, device='Ascend')


@pytest.mark.parametrize('content', [b'', b'no model', None])
def test_an_onnx_file_that_is_none_or_cut_is_told(file, content):
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(ValueError, match=r'a.onnx: (is no ONNX model, or was cut|does not say)'):
        Predictor(file)


def test_an_onnx_file_of_someone_else_is_told(file):
    import onnx

    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.save(model, file)
    with pytest.raises(ValueError, match='does not say what its input and output mean'):
        Predictor(file)


def test_a_mindir_that_is_cut_alone_or_none_is_told(file):
    mindir = as_other(file, '.mindir')
    with pytest.raises(ValueError, match='a.mindir: is no MindIR file'):
        Predictor(mindir)
    mindir.write_bytes(mindir.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r'a.mindir: has \d+ bytes, not the .* was cut short'):
        Predictor(mindir)
    sidecar(mindir).unlink()
    with pytest.raises(
        FileNotFoundError, match='its metadata a.mindir.json are not in the same folder'
    ):
        Predictor(mindir)


def test_a_mindir_that_mindspore_cannot_load_is_told(file):
    mindir = as_other(file, '.mindir', b'\n\x051.0.0\x12\tMindSpore' + b'\xff' * 99)
    with pytest.raises(ValueError, match='a.mindir: MindSpore .* cannot load it'):
        Predictor(mindir)


def test_a_missing_runtime_is_told(file, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r"needs the package 'onnxruntime': .*msseg\[onnx\]"):
        Predictor(file)
    with pytest.raises(ImportError, match=r'a.ms needs MindSpore Lite'):
        Predictor(as_other(file, '.ms'))


class LiteModel:
    """What `LiteRunner` uses of ``mindspore_lite.Model``: it computes red - blue, green - red."""

    built = None
    shape = (1, 3, 2, 2)

    def build_from_file(self, path, kind, context):
        if b'broken' in Path(path).read_bytes():
            raise RuntimeError('build failed\nmore')
        LiteModel.built = (kind, context.target)

    def get_inputs(self):
        return [self]

    def resize(self, inputs, shapes):
        (self.shape,) = shapes

    def set_data_from_numpy(self, array):
        assert list(array.shape) == list(self.shape)
        r, g, b = array[0]
        self.result = np.stack([r - b, g - r])[None]

    def predict(self, inputs):
        return [self]

    def get_data_to_numpy(self):
        return self.result


@pytest.fixture
def lite(monkeypatch):
    module = types.ModuleType('mindspore_lite')
    module.Model = LiteModel
    module.Context = types.SimpleNamespace
    module.ModelType = types.SimpleNamespace(MINDIR='mindir', MINDIR_LITE='ms')
    monkeypatch.setitem(sys.modules, 'mindspore_lite', module)


@pytest.mark.parametrize(('suffix', 'runtime'), [('.ms', 'auto'), ('.mindir', 'lite')])
def test_mindspore_lite_runs_its_files(file, lite, suffix, runtime):
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    predictor = Predictor(as_other(file, suffix), runtime=runtime)
    np.testing.assert_allclose(predictor.logits(image), expected_logits(image), atol=1e-5)
    assert LiteModel.built == (suffix[1:], ['cpu'])


def test_what_mindspore_lite_cannot_do_is_told(file, lite):
    broken = as_other(file, '.ms', b'broken')
    with pytest.raises(ValueError, match=r'MindSpore Lite cannot load it \(build failed\)'):
        Predictor(broken)
    with pytest.raises(ValueError, match=r"device 'TPU' is not known, expected auto, CPU"):
        Predictor(broken, device='TPU')


@pytest.mark.parametrize('align_corners', [False, True])
def test_logits_are_resized_as_in_training(align_corners):
    logits = np.random.default_rng(0).normal(size=(2, 5, 7)).astype(np.float32)
    found = resize_logits(logits, (9, 20), align_corners)
    rows, columns = (resize_matrix(*sizes, align_corners) for sizes in ((5, 9), (7, 20)))
    np.testing.assert_allclose(found, rows @ logits @ columns.T, atol=1e-5)

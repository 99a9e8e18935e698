"""msseg_infer with MindSpore Lite: converted files give what their ONNX file gives."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msseg.deploy import Predictor
from tests.test_deploy_cpp.program import ROOT, error_of, find_program, run

DATA = ROOT / 'tests' / 'data' / 'lite'
IMAGES = ROOT / 'demo' / 'nuclei' / 'images' / 'val'
NAMES = ('0280fa8f60f6', '08ae2741df2f')


@pytest.fixture(scope='module')
def program():
    return find_program('cpp-lite', 'MSSEG_INFER_LITE')


@pytest.mark.parametrize('model', ['tiny.mindir', 'tiny.ms', 'bytes.mindir', 'bytes.ms'])
def test_converted_files_give_the_same_labels(program, model, tmp_path):
    """Those called bytes normalise the image themselves."""
    files = [IMAGES / f'{name}.jpg' for name in NAMES]
    done = run(program, DATA / model, *files, '--out', tmp_path, '--threads', 1)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ''
    predictor = Predictor(DATA / 'tiny.onnx')
    for file in files:
        labels, wanted = np.array(Image.open(tmp_path / f'{file.stem}.png')), predictor(file)
        assert 0 < wanted.mean() < 1
        assert (labels == wanted).mean() > 0.999


def test_one_program_has_both(program, tmp_path):
    """The wheel brings an OpenCV of its own: both must keep to theirs."""
    image = IMAGES / f'{NAMES[0]}.jpg'
    for suffix in ('.onnx', '.mindir'):
        out = tmp_path / suffix[1:]
        done = run(program, DATA / f'tiny{suffix}', image, '--out', out, '--format', 'bin')
        assert done.returncode == 0, done.stderr
    first, second = (
        np.fromfile(tmp_path / folder / f'{NAMES[0]}.bin', np.float32)
        for folder in ('onnx', 'mindir')
    )
    np.testing.assert_allclose(first, second, atol=1e-4)


def test_mistakes_are_said_in_one_line(program, tmp_path):
    image = IMAGES / f'{NAMES[0]}.jpg'
    cut = tmp_path / 'cut.mindir'
    cut.write_bytes((DATA / 'tiny.mindir').read_bytes()[:9000])
    metadata = json.loads(Path(f'{DATA / "tiny.mindir"}.json').read_text())
    Path(f'{cut}.json').write_text(json.dumps({**metadata, 'file_bytes': 9000}))
    assert 'MindSpore Lite cannot load it for CPU' in error_of(program, cut, image, '--out', 'x')
    Path(f'{cut}.json').write_text(json.dumps(metadata))
    assert 'it was cut short' in error_of(program, cut, image, '--out', tmp_path / 'out')
    alone = shutil.copy(DATA / 'tiny.ms', tmp_path / 'alone.ms')
    assert "alone.ms.json' are not beside it" in error_of(program, alone, image, '--out', 'x')

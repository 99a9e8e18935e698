"""What msseg_infer is given to harm: files to read and to write outside, sizes that cannot be.

Each case runs in the usual build and in that with sanitizers, which would say more than one line.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.utils.outputs import Outputs
from tests.test_deploy_cpp.program import error_of, find_program, run
from tests.test_deploy_cpp.test_msseg_infer import altered
from tests.test_deploy_cpp.tiny_export import NUCLEI, export_tiny, write_nuclei_config

SIZE = (256, 256)


@pytest.fixture(scope='module', params=['cpp', 'cpp-asan'])
def program(request):
    return find_program(request.param, {'cpp': 'MSSEG_INFER'}.get(request.param, 'MSSEG_ASAN'))


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    find_program('cpp', 'MSSEG_INFER')
    image = next(iter(sorted((NUCLEI / 'images' / 'val').iterdir())))
    folder = tmp_path_factory.mktemp('hostile')
    return export_tiny(write_nuclei_config(folder, [image.stem]), image)


def prepared(folder, **changes):
    """Write a prepared input and a list that names it, changed."""
    folder.mkdir(exist_ok=True)
    np.zeros((1, 3, *SIZE), np.float32).tofile(folder / 'a.bin')
    entry = {'file': 'a.bin', 'shape': [1, 3, *SIZE], **changes}
    (folder / 'inputs.json').write_text(json.dumps({'inputs': [entry]}))
    return folder


def content(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob('*') if path.is_file()}


@pytest.mark.parametrize(
    'file', ['../b.bin', '/ABSOLUTE', 'x/../../b.bin', '..', '.', '', 'folder/', 'a/../a.bin']
)
def test_names_that_lead_out_of_a_list_are_refused(program, model, tmp_path, file):
    np.zeros((1, 3, *SIZE), np.float32).tofile(tmp_path / 'b.bin')
    file = file.replace('/ABSOLUTE', str(tmp_path / 'b.bin'))
    folder = prepared(tmp_path / 'in', file=file)
    before = content(tmp_path)
    line = error_of(program, model, folder, '--out', tmp_path / 'out')
    assert "inputs.json' names the file '" in line and 'a name in its own folder' in line
    assert content(tmp_path) == before


@pytest.mark.parametrize('kind', ['same folder', 'link to an input', 'linked folder', 'linked out'])
def test_nothing_is_written_over_inputs_or_outside(program, model, tmp_path, kind):
    folder, out = prepared(tmp_path / 'in', file='deep/a.bin'), tmp_path / 'out'
    (folder / 'deep').mkdir()
    (folder / 'a.bin').rename(folder / 'deep/a.bin')
    if kind == 'same folder':
        out = folder
    elif kind == 'link to an input':
        (out / 'deep').mkdir(parents=True)
        (out / 'deep/a.bin').symlink_to(folder / 'deep/a.bin')
    elif kind == 'linked folder':
        out.mkdir()
        (out / 'deep').symlink_to(tmp_path / 'in')
    else:
        out.symlink_to(folder)
    before = content(tmp_path)
    line = error_of(program, model, folder, '--out', out)
    assert 'would replace' in line or 'outside of' in line
    assert content(tmp_path) == before


@pytest.mark.parametrize('second', ['a.raw', 'A.bin'])
def test_two_results_never_have_one_name(program, model, tmp_path, second):
    folder = prepared(tmp_path / 'in')
    shape = [1, 3, *SIZE]
    entries = [{'file': 'a.bin', 'shape': shape}, {'file': second, 'shape': shape}]
    (folder / 'inputs.json').write_text(json.dumps({'inputs': entries}))
    assert 'would both be called' in error_of(program, model, folder, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    'shape',
    [
        [0, 3, *SIZE], [1, 0, *SIZE], [1, 3, 0, 256], [1, 3, -5, 256], [1, 3, 2**40, 256],
        [1, 3, 2**31, 2**31], [2**64, 3, 1, 1], [1, 3, 1.5, 256], [1, 3, '256', 256], [1, 3, 256],
        [1, 3, 256, 256, 1], [], [2, 3, *SIZE], [None] * 4,
    ],
)  # fmt: skip
def test_shapes_that_cannot_be_are_refused(program, model, tmp_path, shape):
    folder = prepared(tmp_path / 'in', shape=shape)
    line = error_of(program, model, folder, '--out', tmp_path / 'out')
    assert 'expected [1, channels, height, width], each from 1 to 1048576' in line
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('shape', [[1, 4, *SIZE], [1, 3, 2**20, 2**20]])
def test_shapes_that_do_not_fit_are_skipped(program, model, tmp_path, shape):
    done = run(program, model, prepared(tmp_path / 'in', shape=shape), '--out', tmp_path / 'out')
    skipped, error = done.stderr.splitlines()
    assert done.returncode == 1 and skipped.startswith('skipped: ')
    assert error == 'error: 1 of 1 inputs could not be used and were skipped'


@pytest.mark.parametrize(
    ('part', 'values', 'said'),
    [
        ('preprocessing', {'scale': [0, 0]}, "'scale' is 0"),
        ('preprocessing', {'scale': [-5, -5]}, "'scale' is -5"),
        ('preprocessing', {'scale': [1e30, 1e30]}, "'scale' is 1e+30"),
        ('preprocessing', {'scale': [2**40, 256]}, "'scale' is 1099511627776"),
        ('preprocessing', {'scale': [256]}, 'are not whole'),
        ('preprocessing', {'std': [0, 0, 0]}, "'std' is 0"),
        ('preprocessing', {'std': [1, 1]}, "'std' is [1,1]"),
        ('preprocessing', {'std': [1, 1, -1]}, "'std' is -1"),
        ('preprocessing', {'mean': [1, 1, 1, 1]}, "'mean' is [1,1,1,1]"),
        ('preprocessing', {'mean': [1, 1, None]}, "'mean' is null"),
        ('preprocessing', {'ratio': 0}, "'ratio' is 0"),
        ('preprocessing', {'ratio': 1e30}, "'ratio' is 1e+30"),
        ('input', {'shape': [1, 3, 2**40, 256]}, "'input.shape' is 1099511627776"),
        ('input', {'shape': [1, 3, -256, 256]}, "'input.shape' is -256"),
        ('input', {'shape': [0, 3, 256, 256]}, "'input.shape' is 0"),
        ('input', {'shape': [1]}, 'are not whole'),
        ('input', {'layout': 'XYZ'}, 'are not whole'),
        (None, {'threshold': 7}, "'threshold' is 7"),
        (None, {'classes': []}, 'name 0 classes'),
        (None, {'palette': [[0, 0, 0]]}, "'palette' is"),
        (None, {'palette': [[0, 0, 0], [255, 256, 0]]}, "'palette' is"),
    ],
)
def test_metadata_that_cannot_be_are_refused(program, model, tmp_path, part, values, said):
    def change(properties):
        (properties if part is None else properties[part]).update(values)

    path = altered(model, tmp_path, change)
    image = tmp_path / 'image.png'
    cv2.imwrite(str(image), np.zeros((*SIZE, 3), np.uint8))
    line = error_of(program, path, image, '--out', tmp_path / 'out')
    assert said in line and 'export the model again' in line
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize('size', [(1, 3000), (3000, 1), (1, 1)])
def test_images_of_extreme_shape_are_skipped_when_they_do_not_fit(program, model, tmp_path, size):
    path = altered(
        model, tmp_path, lambda p: p['preprocessing'].update(scale=[256, 256], keep_ratio=True)
    )
    cv2.imwrite(str(tmp_path / 'image.png'), np.zeros((*size, 3), np.uint8))
    done = run(program, path, tmp_path / 'image.png', '--out', tmp_path / 'out')
    fits = size == (1, 1)
    assert done.returncode == (0 if fits else 1), done.stderr
    assert fits or 'skipped: ' in done.stderr.splitlines()[0]


def test_pictures_are_replaced_only_where_msseg_wrote_them(program, model, tmp_path):
    image, out = tmp_path / 'a.png', tmp_path / 'out'
    cv2.imwrite(str(image), np.zeros((*SIZE, 3), np.uint8))
    for _ in range(2):
        assert run(program, model, image, '--out', out).returncode == 0
    Outputs().files(out, ['a.png'], 'the Python side knows it, too')
    assert Image.open(out / 'a.png').text == {'Software': 'msseg'}
    Image.new('L', SIZE).save(out / 'a.png')
    (out / 'outputs.json').write_text('mine')
    before = content(out)
    assert 'a file that msseg has not written' in error_of(program, model, image, '--out', out)
    for arguments in ([image, '--format', 'bin'], [prepared(tmp_path / 'in')]):
        line = error_of(program, model, *arguments, '--out', out)
        assert "outputs.json' would replace a file that msseg has not written" in line
    assert content(out) == before


def test_a_name_that_is_too_long_is_skipped(program, model, tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    for name in ('b.bmp', 'n' * 251 + '.bmp', 'm' * 250 + '.bmp'):
        cv2.imwrite(str(folder / 'x.bmp'), np.zeros((*SIZE, 3), np.uint8))
        (folder / 'x.bmp').rename(folder / name)
    done = run(program, model, folder, '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / 'out').iterdir())) == 3
    (folder / ('n' * 251 + '.bmp')).rename(folder / ('n' * 253 + '.j'))
    done = run(
        program, model, folder / ('n' * 253 + '.j'), folder / 'b.bmp', '--out', tmp_path / 'o'
    )
    assert done.returncode == 1
    assert done.stderr.startswith('skipped: ') and 'File name too long' in done.stderr
    assert [path.name for path in (tmp_path / 'o').iterdir()] == ['b.png']

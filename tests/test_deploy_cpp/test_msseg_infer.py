"""msseg_infer with OpenCV's dnn: its labels are Predictor's, its scores tools/test.py's."""

import json
import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from PIL import Image

from msseg.apis import load_config
from msseg.deploy import Predictor
from msseg.evaluation import compute_scores, confusion_matrix
from msseg.export.evaluation import score_outputs, write_inputs
from tests.test_deploy_cpp.program import ROOT, error_of, find_program, run
from tests.test_deploy_cpp.tiny_export import NUCLEI, export_tiny, write_nuclei_config

IMAGES = NUCLEI / 'images' / 'val'
LABELS = NUCLEI / 'annotations' / 'val'
SIZE = (256, 256)


@pytest.fixture(scope='module')
def program():
    return find_program('cpp', 'MSSEG_INFER')


@pytest.fixture(scope='module')
def names():
    """20 images of one size, which a file for OpenCV has."""
    sizes = {path.stem: cv2.imread(str(path)).shape[:2] for path in sorted(IMAGES.iterdir())}
    return [name for name, size in sizes.items() if size == SIZE][:20]


@pytest.fixture(scope='module')
def config(names, tmp_path_factory):
    return write_nuclei_config(tmp_path_factory.mktemp('cpp'), names)


@pytest.fixture(scope='module')
def model(program, config, names):
    return export_tiny(config, IMAGES / f'{names[0]}.jpg')


@pytest.fixture(scope='module')
def predicted(model, names):
    predictor = Predictor(model)
    return {name: predictor(IMAGES / f'{name}.jpg') for name in names}


@pytest.fixture
def images(names, tmp_path):
    """A folder of the images, one of them in a folder of its own."""
    folder = tmp_path / 'images'
    (folder / 'more').mkdir(parents=True)
    for index, name in enumerate(names):
        shutil.copy(IMAGES / f'{name}.jpg', folder / 'more' if index == 0 else folder)
    return folder


def altered(model, tmp_path, change):
    """Copy a model with other metadata."""
    content = onnx.load(model)
    properties = {each.key: json.loads(each.value) for each in content.metadata_props}
    change(properties)
    for each in content.metadata_props:
        each.value = json.dumps(properties[each.key])
    path = tmp_path / 'altered.onnx'
    onnx.save(content, path)
    return path


def with_argmax(model, tmp_path):
    """Make a model give labels, as --argmax does."""

    def change(properties):
        properties['output'].update(
            name='labels', dtype='int32', layout='NHW', shape=[1, *SIZE], meaning='labels'
        )

    path = altered(model, tmp_path, change)
    content = onnx.load(path)
    (logits,) = (each.name for each in content.graph.output)
    content.graph.node.extend([
        onnx.helper.make_node('ArgMax', [logits], ['indices'], axis=1, keepdims=0),
        onnx.helper.make_node('Cast', ['indices'], ['labels'], to=onnx.TensorProto.INT32),
    ])  # fmt: skip
    content.graph.output[0].CopyFrom(
        onnx.helper.make_tensor_value_info('labels', onnx.TensorProto.INT32, [1, *SIZE])
    )
    onnx.save(content, path)
    return path


def test_labels_of_20_images_equal_the_predictors(program, model, images, predicted, tmp_path):
    done = run(program, model, images, '--out', tmp_path / 'out', '--threads', 1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f'ran 20 of 20 inputs, results in {tmp_path / "out"}\n')
    assert 'mean latency ' in done.stdout and ' ms of 19 runs' in done.stdout
    equal = total = 0
    for index, (name, wanted) in enumerate(predicted.items()):
        picture = Image.open(tmp_path / 'out' / ('more' if index == 0 else '.') / f'{name}.png')
        assert picture.mode == 'P'
        assert picture.getpalette()[:6] == [0, 0, 0, 255, 200, 0]
        equal += (np.array(picture) == wanted).sum()
        total += wanted.size
    assert total == 20 * 256 * 256
    assert equal >= 0.999 * total
    share = np.mean([labels.mean() for labels in predicted.values()])
    assert 0.05 < share < 0.95  # or equal labels say nothing


def test_indices_without_palette(program, model, names, predicted, tmp_path):
    image = IMAGES / f'{names[1]}.jpg'
    assert run(program, model, image, '--out', tmp_path, '--format', 'index').returncode == 0
    picture = Image.open(tmp_path / f'{names[1]}.png')
    assert picture.mode == 'L'
    assert (np.array(picture) == predicted[names[1]]).mean() > 0.999


def test_the_networks_output_as_it_is(program, model, names, tmp_path):
    image = IMAGES / f'{names[1]}.jpg'
    assert run(program, model, image, '--out', tmp_path, '--format', 'bin').returncode == 0
    (entry,) = json.loads((tmp_path / 'outputs.json').read_text())['outputs']
    assert entry == {'file': f'{names[1]}.bin', 'shape': [1, 2, *SIZE], 'dtype': 'float32'}
    logits = np.fromfile(tmp_path / entry['file'], np.float32).reshape(entry['shape'])[0]
    wanted = Predictor(model).logits(image)
    np.testing.assert_allclose(logits, wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_model_may_give_labels(program, model, names, predicted, tmp_path):
    path, image = with_argmax(model, tmp_path), IMAGES / f'{names[1]}.jpg'
    assert run(program, path, image, '--out', tmp_path, '--format', 'bin').returncode == 0
    (entry,) = json.loads((tmp_path / 'outputs.json').read_text())['outputs']
    assert entry == {'file': f'{names[1]}.bin', 'shape': [1, *SIZE], 'dtype': 'int32'}
    labels = np.fromfile(tmp_path / entry['file'], np.int32).reshape(SIZE)
    assert (labels == predicted[names[1]]).mean() > 0.999
    assert run(program, path, image, '--out', tmp_path).returncode == 0
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / f'{names[1]}.png')), labels)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize(
    'resizing', [dict(scale=[256, 256], keep_ratio=False), dict(scale=[256, 300]), dict(ratio=0.8)]
)
def test_images_are_resized_and_labels_are_of_their_size(
    program, model, names, tmp_path, resizing, align_corners
):
    """Each time to 256x256, the size that the model takes."""
    size = {'ratio': (320, 320)}.get(next(iter(resizing)), (200, 200))
    size = (180, 240) if resizing.get('keep_ratio') is False else size
    image = cv2.resize(cv2.imread(str(IMAGES / f'{names[2]}.jpg')), size[::-1])
    cv2.imwrite(str(tmp_path / 'image.png'), image)

    def change(properties):
        properties['preprocessing'].update(resizing)
        properties['align_corners'] = align_corners

    path = altered(model, tmp_path, change)
    done = run(program, path, tmp_path / 'image.png', '--out', tmp_path / 'out')
    assert done.returncode == 0, done.stderr
    labels = np.array(Image.open(tmp_path / 'out' / 'image.png'))
    assert labels.shape == size
    assert (labels == Predictor(path)(image)).mean() > 0.999


def test_what_cannot_be_used_is_skipped_and_said(program, model, names, tmp_path):
    whole = (IMAGES / f'{names[0]}.jpg').read_bytes()
    contents = {
        'good.jpg': whole, 'cut.jpg': whole[:3000], 'empty.png': b'', 'no.png': b'nothing',
    }  # fmt: skip
    folder = tmp_path / 'images'
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    cv2.imwrite(str(folder / 'large.png'), np.zeros((300, 256, 3), np.uint8))
    (folder / 'notes.txt').write_text('no image')
    done = run(program, model, folder, '--out', tmp_path / 'out')
    assert done.returncode == 1
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['good.png']
    *skipped, error = done.stderr.splitlines()
    assert error == 'error: 4 of 5 inputs could not be used and were skipped'
    for name, said in {
        'cut.jpg': "': the image is truncated: 3000 bytes",
        'empty.png': "': the file is empty",
        'large.png': "': the model takes images of 256x256 (height x width), got 300x256",
        'no.png': "': cannot be decoded as an image",
    }.items():
        (line,) = [line for line in skipped if name in line]
        assert line.startswith('skipped: ') and name + said in line


def test_three_steps_score_as_the_predictor(program, model, config, names, predicted, tmp_path):
    """The Predictor's mIoU is that of tools/test.py: see the tests of tools/deploy_test.py."""
    cfg = load_config(config)
    assert write_inputs(cfg, tmp_path / 'inputs') == 20
    done = run(program, model, tmp_path / 'inputs', '--out', tmp_path / 'outputs')
    assert done.returncode == 0, done.stderr
    scores = score_outputs(cfg, tmp_path / 'inputs', tmp_path / 'outputs').as_dict()
    matrix = np.zeros((2, 2), np.int64)
    for name in names:
        matrix += confusion_matrix(predicted[name], cv2.imread(str(LABELS / f'{name}.png'), 0), 2)
    wanted = compute_scores(matrix, ('background', 'nucleus'))
    assert scores['mIoU'] == pytest.approx(wanted.summary()['mIoU'], abs=1e-4)


def test_the_script_takes_all_three_steps(program, model, config, tmp_path):
    environment = {
        **os.environ,
        'MSSEG_INFER': str(program),
        'PATH': f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}',
    }
    script = ROOT / 'tools' / 'deploy' / 'run_cpp_infer.sh'
    # the config is the one that the model's metadata name
    done = run(script, model, NUCLEI, 'CPU', 0, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert 'wrote 20 inputs' in done.stdout and 'mean latency ' in done.stdout
    assert 'mIoU' in (tmp_path / 'acc.log').read_text()
    assert (tmp_path / 'infer.log').read_text().startswith('ran 20 of 20 inputs')
    outputs = {path.name for path in (tmp_path / 'result_Files').iterdir()}
    inputs = {path.name for path in (tmp_path / 'preprocess_Result').iterdir()}
    assert outputs - {'outputs.json'} == inputs - {'inputs.json'}

    wrong = run(script, model, NUCLEI, 'TPU', 0, cwd=tmp_path, env=environment)
    assert wrong.returncode == 1
    assert wrong.stderr == "error: --device is 'TPU', expected CPU, GPU or Ascend\n"
    few = run(script, model, NUCLEI, cwd=tmp_path, env=environment)
    assert few.returncode == 1
    assert few.stderr.startswith('error: expected ')


def test_mistakes_are_said_in_one_line(program, model, names, tmp_path):
    image, out = IMAGES / f'{names[0]}.jpg', tmp_path / 'out'
    cut, junk, bare = tmp_path / 'cut.onnx', tmp_path / 'junk.onnx', tmp_path / 'bare.onnx'
    cut.write_bytes(model.read_bytes()[:20000])
    junk.write_text('this is no model')
    content = onnx.load(model)
    del content.metadata_props[:]
    onnx.save(content, bare)
    other = shutil.copy(model, tmp_path / 'model.pb')
    lone = shutil.copy(model, tmp_path / 'lone.ms')
    Path(f'{lone}.json').write_text('{"file_bytes": 3}')
    old = altered(model, tmp_path, lambda p: p.update(format_version=0))
    cases = {
        (): 'expected msseg_infer MODEL INPUT... --out DIR',
        (model, image): 'expected msseg_infer MODEL INPUT... --out DIR',
        (tmp_path / 'none.onnx', image, '--out', out): "none.onnx': there is no such file",
        (model, tmp_path / 'none.jpg', '--out', out): "none.jpg': there is no such file or folder",
        (model, tmp_path, '--out', out): f"folder '{tmp_path}' holds no image",
        (model, image, '--out', junk): f"--out is '{junk}', which cannot be written to",
        (model, image, '--out'): '--out needs a value',
        (model, image, '--out', out, '--color', 'x'): '--color is no option',
        (model, image, '--out', out, '--format', 'jpg'): "--format is 'jpg', expected palette,",
        (model, image, '--out', out, '--backend', 'x'): "--backend is 'x', expected opencv or",
        (model, image, '--out', out, '--device', 'cpu'): "--device is 'cpu', expected CPU, GPU",
        (model, image, '--out', out, '--device', 'GPU'): "OpenCV's dnn runs on the CPU here",
        (model, image, '--out', out, '--threads', 'x'): "--threads is 'x', expected a number",
        (model, image, '--out', out, '--device-id', '1.5'): "--device-id is '1.5', expected a",
        (model, image, image, '--out', out): f"would both be called '{names[0]}'",
        (cut, image, '--out', out): "cut.onnx': is no ONNX model, or was cut short",
        (junk, image, '--out', out): "junk.onnx': is no ONNX model, or was cut short",
        (junk, image, '--out', out, '--metadata', model): 'cannot read it',
        (bare, image, '--out', out): "bare.onnx': does not say what its input and output mean",
        (
            old,
            image,
            '--out',
            out,
        ): 'version 0, this program reads versions 1 to 3',
        (other, image, '--out', out): "model.pb.json' are not beside it",
        (other, image, '--out', out, '--metadata', model): 'expected a file ending in .onnx,',
        (lone, image, '--out', out): 'it was cut short or belongs to another export',
        (lone, image, '--out', out, '--metadata', model): 'built without MindSpore Lite',
    }
    for arguments, said in cases.items():
        assert said in error_of(program, *arguments), arguments
    assert not out.exists() or list(out.iterdir()) == []


def test_prepared_inputs_must_be_whole_and_fit(program, model, tmp_path):
    folder = tmp_path / 'inputs'
    folder.mkdir()
    entry = {'file': 'a.bin', 'shape': [1, 3, *SIZE]}
    np.zeros(3, np.float32).tofile(folder / 'a.bin')

    def said(content):
        (folder / 'inputs.json').write_text(json.dumps(content))
        return run(program, model, folder, '--out', tmp_path / 'out').stderr

    assert "a.bin' has 12 bytes, but inputs.json says 786432" in said({'inputs': [entry]})
    assert 'the model takes images of 256x256 (height x width), got 8x8' in said(
        {'inputs': [{**entry, 'shape': [1, 3, 8, 8]}]}
    )
    assert 'lists no input' in said({'inputs': []})
    assert 'is no list of prepared inputs' in said({'input': [entry]})
    assert not (tmp_path / 'out' / 'outputs.json').exists()

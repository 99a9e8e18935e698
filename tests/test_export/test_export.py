"""Exported files of a tiny OCRNet against the network itself."""

import json

import cv2
import mindspore as ms
import numpy as np
import onnx
import pytest

from msseg.apis import build_model, inference_segmentor, init_segmentor, load_config
from msseg.apis.build import build_split
from msseg.apis.evaluate import evaluate
from msseg.apis.inference import inferencer_of
from msseg.deploy import Predictor
from msseg.export import ExportOptions, export_model, writers
from msseg.export.evaluation import deploy_test
from msseg.export.passes import CONV, fold_graph
from msseg.runner.checkpoint import save_checkpoint
from msseg.utils.device import set_seed
from tests.test_tools.bad_input_cases import World
from tests.tiny import write_config, write_discs

META = {'CLASSES': ['earth', 'plate'], 'PALETTE': [[1, 2, 3], [200, 100, 0]]}
SIZES = [(48, 64), (41, 57), (64, 64)]
ANY = 'any size'
FIXED = 'labels of bytes'


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """A folder with images of several sizes, a config and a checkpoint whose norms do something."""
    folder = tmp_path_factory.mktemp('export')
    root = write_discs(folder, count=3)
    for index, (height, width) in enumerate(SIZES[1:], 1):
        for kind, way in (('images', cv2.INTER_AREA), ('labels', cv2.INTER_NEAREST)):
            path = str(root / kind / f'disc_{index}.png')
            picture = cv2.imread(path, cv2.IMREAD_UNCHANGED)
            cv2.imwrite(path, cv2.resize(picture, (width, height), interpolation=way))
    config = write_config(folder, root, OWN_SIZE)
    set_seed(2)  # with which both classes occur
    model = build_model(load_config(config))
    rng = np.random.default_rng(0)
    for parameter in model.get_parameters():
        if 'moving' in parameter.name or parameter.name.endswith(('gamma', 'beta')):
            noise = rng.uniform(0, 0.5, parameter.shape)
            parameter.set_data(ms.Tensor(parameter.asnumpy() + noise, ms.float32))
    checkpoint = folder / 'random.ckpt'
    save_checkpoint(checkpoint, model, meta=META)
    return folder, config, checkpoint


OWN_SIZE = """
data['test']['pipeline'][1].update(img_scale=None, img_ratios=[1.0])
"""


def export(world, name, **options):
    folder, config, checkpoint = world
    out = folder / name
    settings = {'size': SIZES[0], **options}
    chosen = ExportOptions(out.suffix.removeprefix('.'), **settings)
    _, agreement = export_model(load_config(config), checkpoint, out, chosen, device='CPU')
    return out, agreement


@pytest.fixture(scope='module', params=['onnx', 'mindir'])
def any_size(world, request):
    """A file of logits for images of any size, and how well it agreed."""
    return export(world, f'any.{request.param}', dynamic=True)


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    """The same with a network of two convolutions."""
    folder = tmp_path_factory.mktemp('small')
    with pytest.MonkeyPatch.context() as patch:
        made = World(folder, "data['test'] = dict(data['val'])\n", False, patch)
        set_seed(3)
        return folder, made.config, made.save('random.ckpt', META)


@pytest.fixture(scope='module', params=['onnx', 'mindir'])
def fixed(small, request):
    """A file that takes two images as bytes and gives labels."""
    name = f'fixed.{request.param}'
    return export(small, name, batch=2, argmax=True, include_preprocessing=True)


@pytest.fixture(scope='module')
def model(world):
    _, config, checkpoint = world
    return init_segmentor(config, checkpoint, 'CPU')


def paths_of(world):
    return [str(world[0] / 'images' / f'disc_{index}.png') for index in range(len(SIZES))]


def test_a_file_for_any_size_gives_the_checkpoints_answers(world, any_size, model):
    out, agreement = any_size
    assert agreement.num_images == 3
    assert agreement.largest_difference < 1e-4
    assert agreement.equal_decided == 1
    predictor = Predictor(out)
    labels, probabilities = inference_segmentor(model, paths_of(world), with_probabilities=True)
    for index, path in enumerate(paths_of(world)):
        np.testing.assert_allclose(
            predictor.probabilities(path), probabilities[index], rtol=1e-4, atol=1e-5
        )
        assert (predictor(path) == labels[index]).mean() > 0.999
        assert predictor(path).shape == SIZES[index]
    assert 0 < labels[0].mean() < 1  # else equal labels say nothing


def test_a_file_says_what_it_is(any_size, world):
    metadata = Predictor(any_size[0]).metadata
    assert metadata.classes == ('earth', 'plate')
    assert metadata.palette == ((1, 2, 3), (200, 100, 0))
    assert metadata.input.shape == (None, 3, None, None)
    assert metadata.output.meaning == 'logits'
    assert metadata.preprocessing.mean == (127.5,) * 3
    assert metadata.preprocessing.to_rgb
    beside = json.loads((world[0] / f'{any_size[0].name}.json').read_text())
    assert beside['file_bytes'] == any_size[0].stat().st_size
    assert beside['origin']['config'] == str(world[1])


def test_a_file_for_bytes_gives_labels_by_twos(small, fixed):
    folder, config, checkpoint = small
    out, agreement = fixed
    assert agreement.largest_difference is None
    assert agreement.equal_decided == 1
    predictor = Predictor(out)
    assert predictor.metadata.input.shape == (2, 48, 64, 3)
    first = cv2.imread(str(folder / 'data' / 'images' / 'disc_0.png'))
    images = [first, first[::-1], first[:, ::-1]]
    model = init_segmentor(config, checkpoint, 'CPU')
    for found, expected in zip(
        predictor.predict(images), inference_segmentor(model, images), strict=True
    ):
        assert (found == expected).mean() > 0.999
        assert found.dtype == np.int32
        assert 0 < found.mean() < 1
    with pytest.raises(ValueError, match=r'takes images of 48x64 \(height x width\), got 36x64'):
        predictor(first[:36])


def test_an_onnx_file_holds_resizes_and_no_batch_norm(any_size):
    if any_size[0].suffix != '.onnx':
        return
    graph = onnx.load(any_size[0]).graph
    operators = [node.op_type for node in graph.node]
    assert operators.count('Resize') == 2 * 10 + 3 + 1  # fusions, concatenation, output
    assert 'BatchNormalization' not in operators
    assert not any('moving' in each.name for each in graph.initializer)


def test_scores_are_those_of_the_checkpoint(world, any_size, model, tmp_path):
    cfg = load_config(world[1])
    expected = evaluate(inferencer_of(model), build_split(cfg, 'test'), 0).as_dict()
    scores = deploy_test(any_size[0], cfg, out=tmp_path / 'labels.npz', device='CPU').as_dict()
    assert scores == pytest.approx(expected, abs=1e-4)
    labels = np.load(tmp_path / 'labels.npz')
    assert [labels[f'disc_{index}'].shape for index in range(3)] == SIZES


def test_a_file_that_disagrees_is_not_kept(small, monkeypatch):
    def fold_badly(graph):
        fold_graph(graph)
        weight = next(node.inputs[1] for node in graph.nodes if node.op == CONV)
        graph.values[weight] = graph.values[weight] * 1.1

    monkeypatch.setattr(writers, 'fold_graph', fold_badly)
    with pytest.raises(ValueError, match='disagrees with the checkpoint: .*nothing was written'):
        export(small, 'spoilt.onnx')
    assert not list(small[0].glob('*spoilt*'))
    assert not list(small[0].glob('.export-*'))

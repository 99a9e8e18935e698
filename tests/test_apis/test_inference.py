"""init_segmentor, inference_segmentor, show_result_pyplot on a tiny network with random weights."""

import inspect

import cv2
import numpy as np
import PIL.Image
import pytest

from msseg import apis
from msseg.apis import (
    build_model,
    inference_segmentor,
    init_segmentor,
    load_config,
    show_result_pyplot,
)
from msseg.apis.build import eval_pipeline, inner_datasets
from msseg.apis.inference import inferencer_of
from msseg.config import Config
from msseg.inference.preparation import Preparation
from msseg.runner.checkpoint import save_checkpoint
from msseg.utils.device import set_seed
from msseg.utils.display import as_bgr, display_limits
from tests.tiny import write_config, write_discs

META = {'CLASSES': ['earth', 'plate'], 'PALETTE': [[1, 2, 3], [200, 100, 0]]}


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """The folder of a data set, a config, a checkpoint and the model of both."""
    folder = tmp_path_factory.mktemp('inference')
    config = write_config(folder, write_discs(folder, count=2))
    checkpoint = folder / 'random.ckpt'
    set_seed(2)  # with which both classes occur
    cfg = load_config(config)
    save_checkpoint(checkpoint, build_model(cfg), meta={**META, 'config': cfg.pretty_text})
    return folder, config, checkpoint, init_segmentor(config, checkpoint)


def test_a_model_knows_its_config_classes_and_colours(tiny):
    _, config, _, model = tiny
    assert model.CLASSES == ('earth', 'plate')
    assert model.PALETTE == [(1, 2, 3), (200, 100, 0)]
    assert model.cfg.filename == str(config)
    assert not model.training


def test_a_checkpoint_alone_is_enough(tiny):
    folder, _, checkpoint, model = tiny
    image = folder / 'images' / 'disc_0.png'
    for arguments in ((checkpoint,), (None, str(checkpoint))):
        alone = init_segmentor(*arguments)
        assert alone.CLASSES == ('earth', 'plate')
    expected = inference_segmentor(model, image)
    np.testing.assert_array_equal(inference_segmentor(alone, image), expected)


def test_without_a_checkpoint_the_data_set_says_the_classes(tiny):
    _, config, _, _ = tiny
    model = init_segmentor(Config.fromfile(config), device='CPU')
    assert model.CLASSES == ('ground', 'disc')
    assert model.PALETTE == [(0, 0, 0), (255, 200, 0)]


def test_options_replace_settings(tiny, caplog):
    _, config, _, _ = tiny
    names = {'data.test.classes': ['a', 'b', 'c'], 'data.test.palette': [[0, 0, 0]] * 3}
    model = init_segmentor(config, cfg_options=names)
    assert model.CLASSES == ('class 0', 'class 1')  # three names for two classes are none
    assert 'neither the checkpoint nor data.test of the config names the 2 classes' in caplog.text


def test_images_come_as_paths_arrays_and_lists(tiny):
    folder, _, _, model = tiny
    path = folder / 'images' / 'disc_0.png'
    array = cv2.imread(str(path))
    assert array.shape == (48, 64, 3)
    (one,) = inference_segmentor(model, path)
    assert (one.shape, one.dtype) == ((48, 64), np.int32)
    results = inference_segmentor(model, [str(path), array, array[:40, :50]])
    assert [result.shape for result in results] == [(48, 64), (48, 64), (40, 50)]
    np.testing.assert_array_equal(results[0], one)
    np.testing.assert_array_equal(results[1], one)
    assert 0 < one.mean() < 1  # else the comparisons above say nothing


@pytest.mark.parametrize('mode', ['RGB', 'L', 'P', 'RGBA', '1', 'LA'])
def test_pillow_images_are_segmented_as_their_files(tiny, tmp_path, mode):
    folder, _, _, model = tiny
    picture = PIL.Image.open(folder / 'images' / 'disc_0.png').convert(mode)
    picture.save(tmp_path / 'a.png')
    with PIL.Image.open(tmp_path / 'a.png') as opened:
        (from_image,) = inference_segmentor(model, opened)
    np.testing.assert_array_equal(from_image, inference_segmentor(model, tmp_path / 'a.png')[0])
    show_result_pyplot(model, picture, from_image, out_file=tmp_path / 'b.png', opacity=0.01)
    shown = cv2.imread(str(tmp_path / 'b.png'))[:48].astype(int)
    assert abs(shown - cv2.imread(str(tmp_path / 'a.png'))).max() < 6


def test_a_pillow_image_of_more_bits_is_refused(tiny):
    deep = PIL.Image.fromarray(np.full((48, 64), 4000, np.uint16))
    with pytest.raises(ValueError, match=r"mode 'I;16', which holds more than 8 bits"):
        inference_segmentor(tiny[-1], [deep])


@pytest.mark.parametrize('dtype', [np.uint16, np.int32, np.float32])
def test_a_pillow_image_of_more_bits_is_scaled_as_its_file(tiny, dtype, tmp_path):
    cfg = Config.fromfile(tiny[1])
    cfg.data.test.pipeline[0].max_value = 4095
    prepare = Preparation(eval_pipeline(cfg))
    image = PIL.Image.fromarray((np.arange(48 * 64).reshape(48, 64) % 4096).astype(dtype))
    image.save(tmp_path / 'a.tif')
    np.testing.assert_array_equal(
        prepare.start(image)['img'], prepare.load(tmp_path / 'a.tif')['img']
    )


def test_pillow_images_are_turned_and_converted(tiny):
    prepare = Preparation(eval_pipeline(tiny[-1].cfg))
    colours = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    image = PIL.Image.fromarray(colours)
    image.getexif()[274] = 6  # to be turned clockwise
    turned = np.rot90(colours, -1)[..., ::-1]
    np.testing.assert_array_equal(prepare.start(image)['img'], turned)
    inks = PIL.Image.fromarray(colours).convert('CMYK')
    assert abs(prepare.start(inks)['img'].astype(int) - colours[..., ::-1]).max() < 3


def test_a_folder_stands_for_its_images(tiny, tmp_path):
    folder, _, _, model = tiny
    paths = [folder / 'images' / f'disc_{i}.png' for i in range(2)]
    (tmp_path / 'in' / 'deeper').mkdir(parents=True)
    for path, name in zip(paths, ('b.png', 'deeper/a.png'), strict=True):
        (tmp_path / 'in' / name).write_bytes(path.read_bytes())
    (tmp_path / 'in' / 'notes.txt').write_text('no image')
    expected = inference_segmentor(model, paths)
    results = inference_segmentor(model, tmp_path / 'in')
    assert len(results) == 2
    np.testing.assert_array_equal(results, expected)
    assert len(inference_segmentor(model, [paths[0], str(tmp_path / 'in')])) == 3
    show_result_pyplot(model, tmp_path / 'in', results, out_file=tmp_path / 'out', legend=False)
    for name, path, labels in zip(('b', 'deeper/a'), paths, expected, strict=True):
        show_result_pyplot(model, path, labels, out_file=tmp_path / 'one.png', legend=False)
        written = (tmp_path / 'out' / f'{name}.png').read_bytes()
        assert written == (tmp_path / 'one.png').read_bytes()
    for suffix in ('.png', '.jpg'):  # the names keep their suffixes, and become too long
        (tmp_path / 'long').mkdir(exist_ok=True)
        (tmp_path / 'long' / ('c' * 251 + suffix)).write_bytes(paths[0].read_bytes())
    (tmp_path / 'long' / 'a.png').write_bytes(paths[0].read_bytes())
    with pytest.raises(ValueError, match='^2 results could not be written and were skipped'):
        show_result_pyplot(
            model, tmp_path / 'long', [expected[0]] * 3, out_file=tmp_path / 'short', show=False
        )
    assert [path.name for path in (tmp_path / 'short').iterdir()] == ['a.png']
    with pytest.raises(ValueError, match='there are 1 results for 2 images'):
        show_result_pyplot(model, tmp_path / 'in', results[:1])
    before = paths[0].read_bytes()
    with pytest.raises(ValueError, match=r'would replace the input .*disc_0\.png'):
        show_result_pyplot(model, paths[0], expected[0], out_file=paths[0])
    assert paths[0].read_bytes() == before
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match='holds no image'):
        inference_segmentor(model, tmp_path / 'empty')


def test_probabilities_come_when_asked_for(tiny):
    folder, _, _, model = tiny
    paths = [folder / 'images' / f'disc_{i}.png' for i in range(2)]
    labels, probabilities = inference_segmentor(model, paths, with_probabilities=True)
    assert [p.shape for p in probabilities] == [(2, 48, 64)] * 2
    np.testing.assert_allclose(probabilities[1].sum(0), 1, atol=1e-5)
    np.testing.assert_array_equal(labels[1], probabilities[1].argmax(0))
    np.testing.assert_array_equal(labels[1], inference_segmentor(model, paths[1])[0])


def test_names_and_methods_of_mmsegmentation_do_the_same(tiny, tmp_path):
    folder, config, checkpoint, model = tiny
    path = folder / 'images' / 'disc_0.png'
    (expected,) = inference_segmentor(model, path)
    np.testing.assert_array_equal(apis.inference_model(model, path), expected)
    (one,) = apis.inference_model(model, [str(path)])
    np.testing.assert_array_equal(one, expected)
    assert apis.init_model(config, checkpoint, device='cpu').CLASSES == model.CLASSES
    palette = [[0, 0, 0], [0, 0, 255]]
    out = tmp_path / 'shown.png'
    shown = model.show_result(path, [expected], palette=palette, opacity=1, out_file=out)
    np.testing.assert_array_equal(shown[expected == 1], np.full((expected.sum(), 3), [255, 0, 0]))
    np.testing.assert_array_equal(cv2.imread(str(out)), shown)
    assert model.show_result(cv2.imread(str(path)), expected).shape == (48, 64, 3)


def test_apis_show_what_is_for_users():
    assert dir(apis) == sorted(apis.__all__)
    assert all(callable(getattr(apis, name)) for name in dir(apis))
    assert not [name for name in dir(apis) if inspect.ismodule(getattr(apis, name))]


def test_graphs_are_compiled_once(tiny):
    model = tiny[-1]
    assert inferencer_of(model) is inferencer_of(model)


def test_a_result_is_written_as_a_picture(tiny, tmp_path):
    folder, _, _, model = tiny
    path = folder / 'images' / 'disc_0.png'
    labels = np.zeros((48, 64), np.int32)
    labels[:, 32:] = 1
    show_result_pyplot(model, path, [labels], opacity=0.25, out_file=tmp_path / 'new' / 'a.png')
    shown = cv2.imread(str(tmp_path / 'new' / 'a.png'))[..., ::-1].astype(float)
    shown, legend = shown[:48], shown[48:]
    assert all((legend == colour).all(axis=2).any() for colour in META['PALETTE'])
    image = cv2.imread(str(path))[..., ::-1].astype(float)
    colours = np.array(META['PALETTE'])[labels]
    np.testing.assert_allclose(shown, 0.75 * image + 0.25 * colours, atol=1)
    array = cv2.imread(str(path))
    palette = np.array([[9, 9, 9], [90, 0, 0]])
    show_result_pyplot(
        model, array, labels, palette, opacity=1, out_file=tmp_path / 'b.png', legend=False
    )
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / 'b.png'))[..., ::-1], palette[labels])


def test_a_window_shows_the_result_where_there_is_one(tiny, monkeypatch):
    import matplotlib.pyplot as plt

    seen = {}
    monkeypatch.setattr(plt, 'get_backend', lambda: 'QtAgg')
    monkeypatch.setattr(plt, 'imshow', lambda picture: seen.update(shape=picture.shape))
    monkeypatch.setattr(plt, 'show', lambda block: seen.update(block=block))
    folder, _, _, model = tiny
    labels = np.zeros((48, 64), int)
    path = folder / 'images' / 'disc_0.png'
    show_result_pyplot(model, path, labels, title='disc', block=False, legend=False)
    assert seen == {'shape': (48, 64, 3), 'block': False}
    plt.close('all')


@pytest.mark.parametrize(
    ('labels', 'opacity', 'message'),
    [
        (np.zeros((5, 5), int), 0.5, r'labels are of size \(5, 5\), but the image is of \(48, 64'),
        (np.zeros((48, 64), int), 0.0, r'opacity is 0.0, expected a number in \(0, 1\]'),
    ],
)
def test_labels_that_do_not_fit_are_told(tiny, labels, opacity, message):
    folder, _, _, model = tiny
    with pytest.raises(ValueError, match=message):
        show_result_pyplot(model, folder / 'images' / 'disc_0.png', labels, opacity=opacity)


@pytest.mark.parametrize('image', [None, 3, np.zeros(5), np.zeros((0, 4, 3))])
def test_what_is_no_image_is_told(tiny, image):
    with pytest.raises(TypeError, match=r'an image is .*expected the path of a file, an array'):
        inference_segmentor(tiny[-1], [image])


def test_wrong_arguments_of_init_are_told(tiny):
    _, config, _, _ = tiny
    with pytest.raises(TypeError, match='config is 3 .*expected the path of a config file'):
        init_segmentor(3)
    with pytest.raises(ValueError, match="device 'CPU:x' is not known, expected auto, CPU, GPU"):
        init_segmentor(config, device='CPU:x')
    with pytest.raises(FileNotFoundError, match=r"checkpoint 'absent.ckpt' is not a file"):
        init_segmentor(config, 'absent.ckpt')


def test_a_pipeline_without_steps_is_told(tiny):
    cfg = Config.fromfile(tiny[1])
    cfg.data.test.pipeline = []
    with pytest.raises(ValueError, match=r'data\.test\.pipeline is \[\], expected the transforms'):
        Preparation(eval_pipeline(cfg))


def test_the_first_of_several_test_sets_says_the_pipeline():
    inner = {'type': 'CustomDataset'}
    joined = [{'type': 'ConcatDataset', 'datasets': [inner, {}]}]
    assert next(inner_datasets(joined)) is inner
    repeated = {'type': 'RepeatDataset', 'dataset': inner}
    assert list(inner_datasets(repeated)) == [inner]


def test_pictures_of_any_kind_can_be_looked_at():
    grey = np.arange(6, dtype=np.uint8).reshape(2, 3)
    np.testing.assert_array_equal(as_bgr(grey), np.repeat(grey[..., None], 3, 2))
    assert as_bgr(np.full((2, 2), 65535, np.uint16)).min() == 255
    assert as_bgr(np.full((2, 2, 3), 300.0)).dtype == np.uint8
    assert as_bgr(np.zeros((2, 2, 4), np.uint8)).shape == (2, 2, 3)
    assert as_bgr(np.zeros((2, 2, 1), np.uint8)).shape == (2, 2, 3)
    assert as_bgr(np.zeros((2, 2, 2), np.float32)).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ('image', 'expected'),
    [
        (np.float32([[0, 51, 255]]), [0, 51, 255]),  # bytes as floats stay
        (np.float32([[0, 0.2, 1]]), [0, 51, 255]),
        (np.float32([[-1, -0.6, 1]]), [0, 51, 255]),
        (np.float32([[np.nan, np.inf, 0.2, 0, 1]]), [0, 255, 51, 0, 255]),
        (np.uint16([[100, 919, 4195]]), [0, 51, 255]),  # 12 of 16 bits
        (np.int32([[-500, -420, -100]]), [0, 51, 255]),
        (np.zeros((1, 2), np.uint16), [0, 0]),
    ],
)
def test_images_that_are_no_bytes_are_shown_from_black_to_white(image, expected):
    shown = as_bgr(image)[0, :, 0].astype(int)
    assert abs(shown - expected).max() <= 2  # but half a percent at both ends


def test_parts_of_an_image_are_shown_alike():
    image = np.arange(4000, dtype=np.uint16).reshape(40, 100)
    limits = display_limits(image)
    parts = [as_bgr(image[top : top + 10], limits) for top in range(0, 40, 10)]
    np.testing.assert_array_equal(np.concatenate(parts), as_bgr(image))

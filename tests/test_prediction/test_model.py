"""msseg.load, and what a model and its results can do, with a tiny network of random weights."""

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest

import msseg
from msseg.apis import build_model, inference_segmentor, load_config
from msseg.prediction import PredictOptions, predict_files
from msseg.runner.checkpoint import save_checkpoint
from msseg.utils.device import set_seed
from msseg.utils.logging import close_logging
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
        dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'),
        dict(type='Normalize', mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True),
        dict(type='ImageToTensor', keys=['img']), dict(type='Collect', keys=['img'])])]
data = dict(test=dict(
    type='CustomDataset', data_root=r'{root}', img_suffix='.png', img_dir='images',
    ann_dir='labels', classes=('ground', 'disc'), pipeline=test_pipeline))
"""


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """The folder with config.py, work_dir/iter_1.ckpt and images, and the model of these."""
    folder = tmp_path_factory.mktemp('model')
    write_discs(folder, count=3)
    config = folder / 'config.py'
    config.write_text(CONFIG.replace('{root}', str(folder)))
    cfg = load_config(str(config))
    set_seed(5)
    (folder / 'work_dir').mkdir()
    checkpoint = folder / 'work_dir' / 'iter_1.ckpt'
    save_checkpoint(checkpoint, build_model(cfg), meta={'config': cfg.pretty_text, 'iter': 1})
    return folder, msseg.load(config, weights=checkpoint)


@pytest.fixture
def image(tiny):
    return tiny[0] / 'images' / 'disc_0.png'


def test_labels_are_those_of_the_python_interface_and_probabilities_belong_to_them(tiny, image):
    _, model = tiny
    result = model(image)
    assert (result.labels.dtype, result.labels.shape) == (
        np.int32,
        cv2.imread(str(image)).shape[:2],
    )
    [labels], [probabilities] = inference_segmentor(model.network, [image], with_probabilities=True)
    np.testing.assert_array_equal(result.labels, labels)
    np.testing.assert_array_equal(result.probabilities, probabilities)
    np.testing.assert_array_equal(result.probabilities.argmax(0), result.labels)
    assert set(np.unique(labels)) == {0, 1}, 'both classes, or the test shows nothing'


@pytest.mark.parametrize('kind', ['config', 'checkpoint', 'work dir', 'latest'])
def test_what_a_model_is_loaded_from(tiny, image, kind):
    folder, model = tiny
    source, weights = {
        'config': (folder / 'config.py', folder / 'work_dir'),
        'checkpoint': (folder / 'work_dir' / 'iter_1.ckpt', None),
        'work dir': (str(folder / 'work_dir'), None),
        'latest': (load_config(str(folder / 'config.py')), folder / 'work_dir' / 'latest'),
    }[kind]
    loaded = msseg.load(source, weights, device='CPU')
    assert loaded.classes == ('ground', 'disc')
    for mine, theirs in zip(
        loaded.network.get_parameters(), model.network.get_parameters(), strict=True
    ):
        np.testing.assert_array_equal(mine.asnumpy(), theirs.asnumpy())


def test_arrays_pictures_lists_folders_and_patterns(tiny, image):
    folder, model = tiny
    expected = model(str(image)).labels
    array, picture = cv2.imread(str(image)), PIL.Image.open(image)
    for one in (array, picture):
        np.testing.assert_array_equal(model(one).labels, expected)
    several = model([image, array, picture, image])
    assert [r.name for r in several] == ['disc_0', 'image', 'image~2', 'disc_0~2']
    assert all((r.labels == expected).all() for r in several)
    names = ['disc_0', 'disc_1', 'disc_2']
    for many in (folder / 'images', str(folder / 'images' / '*.png'), [folder / 'images']):
        assert [r.name for r in model(many)] == names
    assert [r.path for r in model([image])] == [image]
    lazily = model.stream(path for path in [image, array])
    assert next(lazily).name == 'disc_0' and next(lazily).name == 'image'


def test_saved_files_are_those_of_predict(tiny, image, tmp_path):
    _, model = tiny
    files = model(image).save(tmp_path / 'mine', probabilities=True)
    predict_files(model.network, [image], tmp_path / 'theirs', PredictOptions(probabilities=True))
    assert [f.relative_to(tmp_path / 'mine').as_posix() for f in files] == [
        'labels/disc_0.png', 'overlays/disc_0.png', 'probabilities/disc_0.npy'
    ]  # fmt: skip
    for file in files:
        other = tmp_path / 'theirs' / file.relative_to(tmp_path / 'mine')
        assert file.read_bytes() == other.read_bytes()


def test_results_replace_nothing_of_the_users(tiny, image, tmp_path):
    _, model = tiny
    (tmp_path / 'labels').mkdir()
    PIL.Image.new('L', (4, 4)).save(tmp_path / 'labels' / 'disc_0.png')
    with pytest.raises(FileExistsError, match='not written by msseg'):
        model(image).save(tmp_path)
    with pytest.raises(ValueError, match=r'outside of'):
        result = model(image)
        result.name = '../disc_0'
        result.save(tmp_path / 'out')


def test_an_overlay_is_a_picture_and_shares_add_up(tiny, image):
    _, model = tiny
    result = model(image)
    bare = result.overlay(opacity=1, legend=False)
    assert isinstance(bare, PIL.Image.Image) and bare.size == result.labels.shape[::-1]
    colours = np.asarray(model.palette)[result.labels]
    np.testing.assert_array_equal(np.asarray(bare), colours)
    assert result.overlay().height > bare.height  # the legend
    assert sum(result.shares.values()) == pytest.approx(1)
    assert result.shares['disc'] == np.mean(result.labels == 1)
    assert repr(result).startswith("Result('disc_0', ") and '%' in repr(result)


def test_large_images_are_labelled_in_tiles_as_predict_does(tiny, tmp_path):
    folder, model = tiny
    tiled = msseg.load(
        folder / 'config.py', folder / 'work_dir', tile=(48, 64), overlap=12,
        cfg_options={'test_pipeline.1.img_scale': (64, 48)},
    )  # fmt: skip
    picture = np.random.default_rng(0).integers(0, 255, (96, 150, 3), np.uint8)
    cv2.imwrite(str(tmp_path / 'large.png'), picture)
    options = PredictOptions(tile=(48, 64), overlap=12)
    predict_files(tiled.network, [tmp_path / 'large.png'], tmp_path / 'out', options)
    labels = np.array(PIL.Image.open(tmp_path / 'out' / 'labels' / 'large.png'))
    result = tiled(tmp_path / 'large.png')
    np.testing.assert_array_equal(result.labels, labels)
    assert result.probabilities.shape == (2, 96, 150)
    np.testing.assert_array_equal(result.probabilities.argmax(0), labels)


def test_without_weights_a_warning_says_that_the_network_is_random(tiny, caplog):
    folder, _ = tiny
    close_logging()  # what another test's tool has set up
    msseg.load(folder / 'config.py')
    assert 'no weights are given: the network of' in caplog.text and 'random' in caplog.text


@pytest.mark.parametrize(
    ('source', 'weights', 'error', 'message'),
    [
        ('ocrnet_nucleii', None, FileNotFoundError, "Did you mean 'ocrnet_nuclei'"),
        ('no/such.ckpt', None, FileNotFoundError, 'no config, no checkpoint and no work dir'),
        ('none.py', None, FileNotFoundError, "'none.py' does not exist"),
        ('{folder}/work_dir', '{folder}/work_dir', ValueError, 'name the config first'),
        ('{folder}/config.py', 'none.ckpt', FileNotFoundError, 'none.ckpt'),
        ('{folder}/config.py', 'open-mmlab://x', ValueError, 'weights'),
        (3, None, TypeError, 'config is 3'),
    ],
)
def test_what_cannot_be_loaded_is_named(tiny, source, weights, error, message):
    folder, _ = tiny
    fill = lambda value: value.format(folder=folder) if isinstance(value, str) else value  # noqa: E731
    with pytest.raises(error, match=message):
        msseg.load(fill(source), fill(weights))


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        ('none.png', 'there is no such file'),
        (np.zeros((2, 2, 2, 3), np.uint8), r'of shape \(2, 2, 2, 3\)'),
        (None, 'None'),
        ([3], 'an image is 3'),
    ],
)
def test_what_is_no_image_is_named(tiny, images, message):
    with pytest.raises((FileNotFoundError, TypeError), match=message):
        tiny[1](images)


def test_a_damaged_file_is_named(tiny, tmp_path):
    (tmp_path / 'broken.png').write_bytes(b'\x89PNG\r\n\x1a\nxxxx')
    with pytest.raises(ValueError, match='broken.png'):
        tiny[1](tmp_path)


def test_nothing_lies_in_a_folder_without_images(tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match='holds no image'):
        tiny[1](Path(tmp_path))
    assert tiny[1]([]) == []

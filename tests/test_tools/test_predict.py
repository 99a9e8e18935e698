"""tools/predict.py: what it writes, what it skips, what it refuses."""

import csv
import os
import runpy
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.apis import build_model, inference_segmentor, init_segmentor, load_config
from msseg.apis import inference as inference_module
from msseg.apis.build import eval_pipeline
from msseg.inference.preparation import Preparation
from msseg.prediction import PredictOptions, predict_files
from msseg.prediction.raster import Raster
from msseg.runner.checkpoint import save_checkpoint
from tests.tiff_bands import write_band_tiff
from tests.tiled_tiff import write_tiled_tiff
from tests.tiny import write_config, write_discs

TOOL = str(Path(__file__).resolve().parents[2] / 'tools' / 'predict.py')
# the tiny config resizes images to 48x64: tiles of this size stay as they are
TILE = ['--tile', '48', '64', '--overlap', '12']


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp('predict')
    config = write_config(folder, write_discs(folder, count=3))
    checkpoint = folder / 'random.ckpt'
    meta = {'CLASSES': ['ground', 'disc'], 'PALETTE': [[0, 0, 0], [255, 200, 0]]}
    save_checkpoint(checkpoint, build_model(load_config(config)), meta=meta)
    return folder, config, checkpoint, init_segmentor(config, checkpoint)


@pytest.fixture
def predict(tiny, monkeypatch, capfd):
    """Run the tool in this process, with the one model; return status, stdout and stderr."""
    _, config, checkpoint, model = tiny
    monkeypatch.setattr(inference_module, 'init_segmentor', lambda *_, **__: model)

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, (config, checkpoint, *arguments))])
        status = 0
        try:
            runpy.run_path(TOOL, run_name='__main__')
        except SystemExit as end:
            status = end.code
        return status, *capfd.readouterr()

    return run


def read(path):
    return np.array(Image.open(path))


def files_in(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob('*') if p.is_file())


def test_a_folder_gives_labels_overlays_and_probabilities(tiny, predict, tmp_path):
    folder, _, _, model = tiny
    out = tmp_path / 'out'
    status, said, _ = predict(folder / 'images', '--out', out, '--probabilities', '--opacity', 0.25)
    assert status == 0
    assert said == f'labelled 3 of 3, results in {out}\n'
    names = [f'disc_{i}' for i in range(3)]
    assert files_in(out) == sorted(
        [f'labels/{n}.png' for n in names]
        + [f'overlays/{n}.png' for n in names]
        + [f'probabilities/{n}.npy' for n in names]
    )
    image = cv2.imread(str(folder / 'images' / 'disc_1.png'))
    (labels,), (probabilities,) = inference_segmentor(model, image, with_probabilities=True)
    picture = Image.open(out / 'labels' / 'disc_1.png')
    assert picture.mode == 'P'
    assert picture.getpalette()[:6] == [0, 0, 0, 255, 200, 0]
    np.testing.assert_array_equal(np.array(picture), labels)
    colours = np.array(model.PALETTE)[labels]
    shown = read(out / 'overlays' / 'disc_1.png').astype(float)
    shown, legend = shown[:48], shown[48:]
    assert all((legend == colour).all(axis=2).any() for colour in model.PALETTE)
    np.testing.assert_allclose(shown, 0.75 * image[..., ::-1] + 0.25 * colours, atol=1)
    values = np.load(out / 'probabilities' / 'disc_1.npy')
    assert (values.shape, values.dtype) == ((48, 64, 2), np.uint8)
    np.testing.assert_array_equal(values, np.rint(probabilities.transpose(1, 2, 0) * 255))


@pytest.mark.parametrize('kind', ['png', 'tif'])
def test_large_images_are_segmented_in_tiles(tiny, predict, tmp_path, kind):
    _, _, _, model = tiny
    scene = np.tile(cv2.imread(str(tiny[0] / 'images' / 'disc_0.png')), (3, 3, 1))[:130, :170]
    path = tmp_path / f'scene.{kind}'
    if kind == 'tif':
        write_tiled_tiff(path, scene[..., ::-1], tile=(32, 32), compress=True)
        assert Raster(path, Preparation(eval_pipeline(model.cfg)), 48 * 64).whole is None, (
            'it is read by parts'
        )
    else:
        cv2.imwrite(str(path), scene)
    options = ('--probabilities', '--no-legend', *TILE)
    status, _, _ = predict(path, '--out', tmp_path / 'out', *options)
    assert status == 0
    values = np.load(tmp_path / 'out' / 'probabilities' / 'scene.npy').astype(int)
    labels = read(tmp_path / 'out' / 'labels' / 'scene.png')
    assert labels.shape == (130, 170)
    assert (abs(values.sum(2) - 255) <= 1).all()
    # the labels are the larger probability, where 8 bits tell which that is
    clear = abs(values[..., 1] - values[..., 0]) > 1
    np.testing.assert_array_equal(labels[clear], values.argmax(2)[clear])
    # the first tile's inside, which no other tile reaches, is what it is alone
    alone = inference_segmentor(model, scene[:48, :64])[0]
    np.testing.assert_array_equal(labels[:20, :26], alone[:20, :26])
    overlay = read(tmp_path / 'out' / 'overlays' / 'scene.png').astype(float)
    colours = np.array(model.PALETTE)[labels]
    np.testing.assert_allclose(overlay, (scene[..., ::-1] + colours) / 2, atol=1)


def write_video(path, count=5, size=(48, 64)):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 10, size[::-1])
    for i in range(count):
        frame = np.full((*size, 3), 60, np.uint8)
        cv2.circle(frame, (10 + 8 * i, 20), 9, (200, 190, 180), -1)
        writer.write(frame)
    writer.release()


@pytest.mark.parametrize('size', [(48, 64), (96, 80)])
def test_a_video_gives_labels_by_frame_and_a_video(tiny, predict, tmp_path, size):
    _, _, _, model = tiny
    write_video(tmp_path / 'clip.mp4', size=size)
    arguments = (tmp_path / 'clip.mp4', '--out', tmp_path / 'out', '--probabilities', *TILE)
    for _ in range(2):  # the second run replaces the first one's results
        assert predict(*arguments)[0] == 0
    assert files_in(tmp_path / 'out') == [
        *(f'labels/clip/{i:06d}.png' for i in range(5)),
        'overlays/clip.mp4',
        *(f'probabilities/clip/{i:06d}.npy' for i in range(5)),
    ]
    frames = cv2.VideoCapture(str(tmp_path / 'clip.mp4'))
    shown = cv2.VideoCapture(str(tmp_path / 'out' / 'overlays' / 'clip.mp4'))
    assert shown.get(cv2.CAP_PROP_FPS) == 10
    for i in range(5):
        frame, overlay = frames.read()[1], shown.read()[1]
        labels = read(tmp_path / 'out' / 'labels' / 'clip' / f'{i:06d}.png')
        assert labels.shape == size
        assert overlay.shape[0] > size[0] and overlay.shape[1] == size[1]
        overlay = overlay[: size[0]]  # below is the legend
        if size == (48, 64):
            np.testing.assert_array_equal(labels, inference_segmentor(model, frame)[0])
        values = np.load(tmp_path / 'out' / 'probabilities' / 'clip' / f'{i:06d}.npy')
        assert values.shape == (*size, 2)
        colours = np.array(model.PALETTE)[labels][..., ::-1]
        assert abs(overlay.astype(float) - (frame + colours) / 2).mean() < 12  # it is compressed


@pytest.fixture
def damaged(tiny, tmp_path):
    """A folder of one good image and several that cannot be read."""
    folder = tmp_path / 'in'
    folder.mkdir()
    good = tiny[0] / 'images' / 'disc_0.png'
    shutil.copy(good, folder / 'good.png')
    (folder / 'cut.png').write_bytes(good.read_bytes()[:-100])
    (folder / 'empty.jpg').touch()
    (folder / 'text.bmp').write_text('no picture')
    (folder / 'text.mp4').write_text('no video')
    scene = np.zeros((120, 160, 3), np.uint8)
    Image.fromarray(scene).save(folder / 'cut.tif', tiffinfo={278: 10})
    data = (folder / 'cut.tif').read_bytes()
    (folder / 'cut.tif').write_bytes(data[: len(data) // 2])
    return folder


def test_what_cannot_be_read_is_said_and_left_out(predict, damaged, tmp_path):
    out = tmp_path / 'out'
    status, said, errors = predict(damaged, '--out', out, *TILE)
    assert status == 1
    assert said == f'labelled 1 of 6, results in {out}\n'
    lines = errors.splitlines()
    skipped = [line for line in lines if line.startswith('skipped: ')]
    for name, what in (
        ('cut.png', 'truncated'),
        ('empty.jpg', 'the file is empty'),
        ('text.bmp', 'cannot be decoded'),
        ('text.mp4', 'cannot be read as a video'),
        ('cut.tif', 'is truncated or damaged'),
    ):
        assert sum(str(damaged / name) in line and what in line for line in skipped) == 1, name
    assert lines[-1].startswith('error: 5 of 6 inputs could not be read and were skipped, the firs')
    assert 'Traceback' not in errors
    # nothing half-written, under whatever name
    assert files_in(out) == ['labels/good.png', 'overlays/good.png']


@pytest.mark.parametrize('options', [[], TILE, ['--cfg-options', 'percentiles']])
def test_every_page_of_a_tiff_is_labelled(tiny, predict, tmp_path, options):
    model = tiny[3]
    rng = np.random.default_rng(0)
    size = (100, 70) if options == TILE else (48, 64)
    pages = [rng.integers(0, 4096, (*size, 1)).astype(np.uint16) for _ in range(3)]
    write_band_tiff(tmp_path / 'stack.tif', *pages)
    before = model.cfg.data.test.pipeline[0]
    scale = {'percentiles': (1, 99)} if 'percentiles' in options else {'max_value': 4095}
    model.cfg.data.test.pipeline[0] = dict(type='LoadImageFromFile', **scale)
    try:
        files = TILE if options == TILE else []
        status, said, errors = predict(tmp_path / 'stack.tif', '--out', tmp_path / 'out', *files)
        assert (status, errors) == (0, '')
        names = [f'stack/{page:03d}.png' for page in range(3)]
        kinds = ('labels', 'overlays')
        assert files_in(tmp_path / 'out') == [f'{kind}/{name}' for kind in kinds for name in names]
        if options == TILE:
            return
        for page, name in zip(pages, names, strict=True):
            path = tmp_path / 'page.png'
            cv2.imwrite(str(path), page)
            expected = inference_segmentor(model, path)[0]
            np.testing.assert_array_equal(read(tmp_path / 'out' / 'labels' / name), expected)
    finally:
        model.cfg.data.test.pipeline[0] = before


def test_odd_files_are_left_out_and_the_rest_is_labelled(tiny, predict, tmp_path, monkeypatch):
    folder = tmp_path / 'in'
    folder.mkdir()
    shutil.copy(tiny[0] / 'images' / 'disc_0.png', folder / 'good.png')
    cv2.imwrite(str(folder / 'strip.png'), np.zeros((1, 3000), np.uint8))
    os.mkfifo(folder / 'pipe.png')
    os.mkfifo(folder / 'pipe.mp4')
    (folder / 'zero.tif').symlink_to('/dev/zero')
    (folder / 'gone.png').symlink_to('nowhere')
    frames = [Image.new('L', (64, 48), value) for value in (0, 200)]
    frames[0].save(folder / 'moving.png', save_all=True, append_images=frames[1:])
    Image.new('1', (5000, 4000)).save(folder / 'huge.png')
    monkeypatch.setenv('MSSEG_MAX_IMAGE_PIXELS', '10000000')
    status, said, errors = predict(folder, '--out', tmp_path / 'out')
    assert (status, said) == (1, f'labelled 2 of 8, results in {tmp_path / "out"}\n')
    lines = [line for line in errors.splitlines() if line.startswith('skipped: ')]
    for name, words in (
        ('pipe.png', 'is a named pipe'),
        ('pipe.mp4', 'is a named pipe'),
        ('zero.tif', 'is a device'),
        ('gone.png', 'there is no such file'),
        ('moving.png', 'holds 2 frames'),
        ('huge.png', 'MSSEG_MAX_IMAGE_PIXELS=20000000'),
    ):
        assert sum(str(folder / name) in line and words in line for line in lines) == 1, name
    assert read(tmp_path / 'out' / 'labels' / 'strip.png').shape == (1, 3000)


def test_what_a_step_of_the_pipeline_cannot_take_is_left_out(tiny, predict, tmp_path):
    model = tiny[3]
    cv2.imwrite(str(tmp_path / 'strip.png'), np.zeros((1, 30000), np.uint8))
    shutil.copy(tiny[0] / 'images' / 'disc_0.png', tmp_path / 'good.png')
    before = model.cfg.data.test.pipeline[1]['transforms'][0]
    model.cfg.data.test.pipeline[1]['transforms'][0] = dict(type='Resize', min_size=300)
    try:
        status, said, errors = predict(tmp_path, '--out', tmp_path / 'out')
    finally:
        model.cfg.data.test.pipeline[1]['transforms'][0] = before
    assert status == 1 and said.startswith('labelled 1 of 2')
    assert 'strip.png' in errors and 'Traceback' not in errors
    assert 'an image of 1x30000' in errors and '300x9000000' in errors


def test_a_video_that_ends_too_early_is_left_out(predict, tmp_path, monkeypatch):
    write_video(tmp_path / 'clip.mp4', count=4)
    from msseg.prediction import video

    # beside it, not derived from it: cv2 frees objects of derived classes wrongly, and what lies
    # around them in memory is destroyed
    class CutCapture:
        def __init__(self, *args):
            self._capture = capture(*args)

        def __getattr__(self, name):
            return getattr(self._capture, name)

        def get(self, key):
            return 40 if key == cv2.CAP_PROP_FRAME_COUNT else self._capture.get(key)

    capture = cv2.VideoCapture
    monkeypatch.setattr(video.cv2, 'VideoCapture', CutCapture)
    status, _, errors = predict(tmp_path / 'clip.mp4', '--out', tmp_path / 'out')
    assert status == 1
    assert 'clip.mp4: the video ends after 4 of 40 frames' in errors
    assert files_in(tmp_path / 'out') == []


def test_a_result_that_cannot_be_written_ends_the_run(tiny, tmp_path, monkeypatch):
    folder, _, _, model = tiny
    (tmp_path / 'labels' / 'disc_0.png').mkdir(parents=True)
    with pytest.raises(OSError, match=r'disc_0\.png'):
        predict_files(model, [folder / 'images'], tmp_path)


@pytest.mark.parametrize(
    ('arguments', 'phrase'),
    [
        (['absent.png'], "'absent.png': there is no such file or folder"),
        (['{images}', '--overlap', '900'], '--overlap is 900, expected 0 to 341'),
        (['{images}', '--tile', '0', '5'], '--tile is [0, 5]'),
        (['{images}', '--opacity', '2'], '--opacity is 2.0'),
    ],
)
def test_wrong_arguments_are_told_in_one_line(tiny, predict, tmp_path, arguments, phrase):
    given = [a.format(images=tiny[0] / 'images') for a in arguments]
    status, _, errors = predict(*given, '--out', tmp_path / 'out')
    assert status == 1
    assert errors.startswith('error: ')
    assert len(errors.splitlines()) == 1
    assert phrase in errors
    assert not (tmp_path / 'out').exists()


def test_a_folder_that_cannot_be_made_is_told_first(tiny, predict, tmp_path):
    (tmp_path / 'file').touch()
    status, _, errors = predict(tiny[0] / 'images', '--out', tmp_path / 'file' / 'out')
    assert status == 1
    assert len(errors.splitlines()) == 1


def test_defaults_fit_cityscapes():
    PredictOptions().check()
    assert PredictOptions().tile == (1024, 2048)


def test_areas_are_those_of_the_label_files(tiny, predict, tmp_path):
    folder, _, _, model = tiny
    (tmp_path / 'in').mkdir()
    for name in ('disc_0.png', 'disc_1.png'):
        shutil.copy(folder / 'images' / name, tmp_path / 'in' / name)
    scene = np.tile(cv2.imread(str(folder / 'images' / 'disc_0.png')), (3, 3, 1))
    cv2.imwrite(str(tmp_path / 'in' / 'scene.png'), scene)
    write_video(tmp_path / 'in' / 'clip.mp4', count=2)
    for _ in range(2):  # the second run replaces the first one's results
        status, _, errors = predict(tmp_path / 'in', '--out', tmp_path / 'out', '--csv', *TILE)
        assert status == 0, errors
    with open(tmp_path / 'out' / 'areas.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    names = ['clip/000000', 'clip/000001', 'disc_0', 'disc_1', 'scene']
    assert [row['image'] for row in rows] == [name for name in names for _ in range(2)]
    for row in rows:
        index = int(row['class_index'])
        mask = read(tmp_path / 'out' / 'labels' / f'{row["image"]}.png') == index
        assert row['class'] == model.CLASSES[index]
        assert int(row['pixels']) == mask.sum()
        assert float(row['share']) == pytest.approx(mask.mean(), abs=1e-6)
        assert int(row['components']) == cv2.connectedComponents(mask.astype(np.uint8))[0] - 1
    with open(tmp_path / 'out' / 'areas_by_class.csv', newline='') as file:
        sums = list(csv.DictReader(file))
    for index, row in enumerate(sums):
        assert int(row['pixels']) == sum(int(r['pixels']) for r in rows[index::2])
    # a table of the user's own is not replaced
    (tmp_path / 'out' / 'areas.csv').write_text('my,own,table\n')
    status, _, errors = predict(tmp_path / 'in', '--out', tmp_path / 'out', '--csv', *TILE)
    assert status == 1
    assert 'areas.csv' in errors and 'was not written by msseg' in errors

"""What predict.py writes lies below --out and replaces nothing of the user's."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.apis.image_inputs import find_inputs
from msseg.prediction import PredictOptions, predict_files
from msseg.prediction.predict import prepare_folder
from msseg.prediction.raster import reading
from msseg.prediction.results import writing_png
from msseg.prediction.video import VideoFrames, writing_video
from msseg.utils.outputs import Outputs


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 5), 9, np.uint8)).save(path, format='png')

    return make


def prepare(out, *arguments, sources=(), **options):
    prepare_folder(out, PredictOptions(**options), find_inputs(arguments, without=out), sources)


def write(path, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing_png(path, (2, 2), palette) as write_rows:
        write_rows(np.zeros((2, 2) if palette else (2, 2, 3), np.uint8))


@pytest.mark.parametrize('palette', [None, [[0, 0, 0]] * 2, [[0, 0, 0]] * 300])
def test_pictures_of_msseg_are_known_and_may_be_replaced(files, palette):
    files('in/a.png')
    write(Path('out/labels/a.png'), palette)
    prepare('out', 'in')
    assert cv2.imread('out/labels/a.png') is not None
    assert Image.open('out/labels/a.png').text == {'Software': 'msseg'}


def test_label_files_of_the_user_are_kept(files):
    files('data/images/a.png', 'data/labels/a.png')
    with pytest.raises(FileExistsError, match=r"--out: 'data/labels/a\.png'.*not written by msseg"):
        prepare('data', 'data/images')


def test_a_folder_with_frames_of_the_user_is_kept(files):
    files('in/clip.mp4', 'out/labels/clip/000000.png')
    with pytest.raises(FileExistsError, match=r"'out/labels/clip'.*not written by msseg"):
        prepare('out', 'in')
    os.remove('out/labels/clip/000000.png')
    write(Path('out/labels/clip/000000.png'), [[0, 0, 0]])
    prepare('out', 'in')


def test_a_video_of_the_user_is_kept(files):
    files('in/clip.mp4', 'out/overlays/clip.mp4')
    with pytest.raises(FileExistsError, match=r"'out/overlays/clip\.mp4'.*not written by msseg"):
        prepare('out', 'in')


def test_inputs_are_kept(files):
    files('out/labels/a.png')
    with pytest.raises(ValueError, match=r"would replace the input '.*out/labels/a\.png'"):
        prepare('out', 'out/labels/a.png')
    files('in/a.png')
    Path('in/b.ckpt').touch()
    Path('out2/overlays').mkdir(parents=True)
    os.link('in/b.ckpt', 'out2/overlays/a.png')
    with pytest.raises(ValueError, match=r"would replace the input 'in/b\.ckpt'"):
        prepare('out2', 'in/a.png', sources=['in/b.ckpt'])


@pytest.mark.parametrize('kind', ['labels', 'overlays', 'probabilities'])
def test_links_that_lead_out_are_refused(files, kind):
    files('in/deep/a.png', 'elsewhere/b.png')
    Path('out', kind).mkdir(parents=True)
    Path('out', kind, 'deep').symlink_to(Path('elsewhere').resolve())
    with pytest.raises(ValueError, match=r"outside of 'out'"):
        prepare('out', 'in', probabilities=True)
    assert os.listdir('elsewhere') == ['b.png']


def test_names_that_are_too_long_are_skipped(files, monkeypatch, capfd):
    files(
        'in/' + 'a' * 251 + '.png',
        'in/b.png',
        'in/' + 'c' * 251 + '.jpg',
        'in/' + 'c' * 251 + '.png',
    )
    seen = []

    class Predictor:
        def __init__(self, model, out, options, areas):
            self.out = out

        def image(self, each):
            seen.append(each.name)
            write(self.out / 'labels' / f'{each.name}.png', [[0, 0, 0]])

    monkeypatch.setattr('msseg.prediction.predict._Predictor', Predictor)
    problems = predict_files(None, ['in'], 'out')
    assert len(seen) == 4
    assert len(os.listdir('out/labels')) == 2
    assert len(problems) == 2 and all('no file can be called' in line for line in problems)
    assert capfd.readouterr().err.count('skipped: ') == 2


def test_lines_on_skipped_files_have_no_control_characters(files, monkeypatch, capfd):
    files('in/a\n\x1b[31m.png')

    class Predictor:
        def __init__(self, model, out, options, areas):
            pass

        def image(self, each):
            with reading(each.path):
                raise ValueError(f'{each.path}: is damaged\nat its end')

    monkeypatch.setattr('msseg.prediction.predict._Predictor', Predictor)
    (problem,) = predict_files(None, ['in'], 'out')
    assert problem.endswith('/a \\x1b[31m.png: is damaged')
    assert f'skipped: {problem}\n' in capfd.readouterr().err


def test_a_video_whose_name_is_no_utf_8_is_skipped(files, monkeypatch):
    files(os.fsdecode(b'in/\xff.mp4'))

    class Predictor:
        def __init__(self, model, out, options, areas):
            pass

        def video(self, each):
            VideoFrames(each.path)

    monkeypatch.setattr('msseg.prediction.predict._Predictor', Predictor)
    (problem,) = predict_files(None, ['in'], 'out')
    assert problem.endswith(r'\udcff.mp4: OpenCV takes no video whose path is not UTF-8: rename it')
    video = writing_video(Path(os.fsdecode(b'\xff.mp4')), (8, 8), 5.0)
    with pytest.raises(ValueError, match='whose path is not UTF-8'), video:
        pass


def test_predicting_again_replaces_results(files):
    files('in/a.png')
    names = ['labels/a.png', 'overlays/a.png']
    for name in names:
        write(Path('out', name))
    paths = Outputs(['in/a.png']).files('out', names, '--out')
    assert paths == [Path('out', name) for name in names]

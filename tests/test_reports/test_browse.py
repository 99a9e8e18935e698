import base64
import re

import cv2
import numpy as np
import pytest

from msseg.apis import load_config
from msseg.config import Config
from msseg.datasets import build_dataset
from msseg.datasets.sample_rng import load_sample
from msseg.reports.browse import browse_dataset, undo_normalize
from tests.tiny import write_config, write_discs


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    folder = tmp_path_factory.mktemp('browse')
    return load_config(write_config(folder, write_discs(folder, count=5)))


def pictures_in(html):
    found = re.findall(r'base64,([^"]+)"', html)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(f), np.uint8), 1) for f in found]


def test_a_page_shows_files_and_what_becomes_of_them(cfg, tmp_path):
    page = browse_dataset(cfg, tmp_path / 'new', count=3, draws=2, opacity=0.001)
    assert page == tmp_path / 'new' / 'samples.html'
    html = page.read_text()
    for index in (0, 2, 4):
        assert html.count(f'disc_{index}.png</b>') == 1
    assert 'disc_1.png' not in html
    assert html.count('draw 2: 32x32</figcaption>') == 3
    assert '6 of 32x32' in html and 'RandomCrop, RandomFlip' in html
    pictures = pictures_in(html)
    assert [p.shape[:2] for p in pictures[:3]] == [(48, 64), (32, 32), (32, 32)]
    # the second picture is the network's input of the first epoch
    data = load_sample(build_dataset(cfg.data.train), 0, 0, 0)
    expected = np.clip(data['img'].transpose(1, 2, 0)[..., ::-1] * 64 + 127.5, 0, 255)
    assert abs(pictures[1].astype(float) - expected).mean() < 9  # it is compressed


def test_shares_of_classes_are_those_of_the_drawn_labels(cfg, tmp_path):
    html = browse_dataset(cfg, tmp_path, count=5, draws=3, seed=4).read_text()
    dataset = build_dataset(cfg.data.train)
    labels = [
        load_sample(dataset, i, 4, epoch)['gt_semantic_seg'] for i in range(5) for epoch in range(3)
    ]
    discs, all_pixels = sum(int((x == 1).sum()) for x in labels), sum(x.size for x in labels)
    assert f'>{discs:,}</td>' in html
    assert f'>{100 * discs / all_pixels:.2f}</td>' in html
    ignored = sum(int((x == 255).sum()) for x in labels)
    assert f'<b>{100 * ignored / all_pixels:.1f} %</b>' in html


def test_normalisation_is_undone():
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    norm = {'mean': np.array([10.0, 20, 30]), 'std': np.array([50.0, 60, 70]), 'to_rgb': True}
    network = (image[..., ::-1] - norm['mean']) / norm['std']
    shown = undo_normalize(network.transpose(2, 0, 1).astype(np.float32), norm)
    np.testing.assert_array_equal(shown, image)
    plain = undo_normalize(image.transpose(2, 0, 1).astype(np.float32), None)
    np.testing.assert_array_equal(plain, image)
    assert undo_normalize(np.full((1, 4, 5), 300, np.float32), None).shape == (4, 5, 3)


def test_raw_values_are_shown_on_the_scale_of_their_file(tmp_path):
    for folder in ('images', 'labels'):
        (tmp_path / folder).mkdir()
    values = np.linspace(300, 1200, 48 * 64).reshape(48, 64).astype(np.uint16)
    cv2.imwrite(str(tmp_path / 'images' / 'a.png'), values)
    cv2.imwrite(str(tmp_path / 'labels' / 'a.png'), np.zeros((48, 64), np.uint8))
    steps = [
        dict(type='LoadImageFromFile', color_type='unchanged'), dict(type='LoadAnnotations'),
        dict(type='RandomCrop', crop_size=(24, 64)), dict(type='RandomFlip', prob=0.0),
        dict(type='Normalize', mean=[700], std=[200], to_rgb=False),
        dict(type='DefaultFormatBundle'), dict(type='Collect', keys=['img', 'gt_semantic_seg']),
    ]  # fmt: skip
    train = dict(
        type='CustomDataset', data_root=str(tmp_path), img_dir='images', ann_dir='labels',
        img_suffix='.png', classes=('background', 'disc'), pipeline=steps,
    )  # fmt: skip
    html = browse_dataset(Config({'data': {'train': train}}), tmp_path / 'out', draws=1).read_text()
    file, draw = (picture[..., 0].astype(float) for picture in pictures_in(html))
    expected = np.clip((values - 305.0) * 255 / 890, 0, 255)
    assert abs(file - expected).max() < 9  # it is compressed
    assert min(abs(draw - expected[top : top + 24]).max() for top in range(25)) < 9

    cv2.imwrite(str(tmp_path / 'labels' / 'a.png'), np.zeros((48, 63), np.uint8))
    with pytest.raises(ValueError, match=r'a\.png: .*48, 64.*48, 63'):
        browse_dataset(Config({'data': {'train': train}}), tmp_path / 'out')


@pytest.mark.parametrize('options', [{'count': 0}, {'draws': 0}, {'opacity': 0}])
def test_nonsense_is_refused(cfg, tmp_path, options):
    with pytest.raises(ValueError, match='--count is .*expected whole numbers from 1'):
        browse_dataset(cfg, tmp_path, **options)


def test_a_pipeline_without_labels_is_told(cfg, tmp_path):
    cfg = cfg.copy() if hasattr(cfg, 'copy') else cfg
    steps = [dict(step) for step in cfg.data.train.pipeline]
    steps[-1] = {'type': 'Collect', 'keys': ['img']}
    cfg.data.train.pipeline = steps
    with pytest.raises(ValueError, match=r'data\.train\.pipeline gives no image and label'):
        browse_dataset(cfg, tmp_path)

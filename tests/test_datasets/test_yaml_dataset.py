"""Data sets that a data YAML describes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msseg.apis import load_config
from msseg.datasets import YamlDataset, build_dataset
from msseg.datasets.data_yaml import read_data_yaml

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
TEXT = 'path: .\ntrain: images/train\nval: images/val\nmasks_dir: masks\nnames: {0: road, 1: sky}\n'


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with three images of two splits, in folders below."""
    monkeypatch.chdir(tmp_path)
    for name, suffix in (('train/a/1', '.JPG'), ('train/b/1', '.png'), ('val/2', '.jpg')):
        for folder, end in (('images', suffix), ('masks', '.png')):
            path = tmp_path / 'set' / folder / f'{name}{end}'
            path.parent.mkdir(parents=True, exist_ok=True)
            mode = 'RGB' if folder == 'images' else 'L'
            Image.new(mode, (8, 6), 1).save(path)
    (tmp_path / 'set' / 'data.yaml').write_text(TEXT)
    return tmp_path / 'set'


def names_of(dataset):
    return [Path(dataset.get_filename(i)).name for i in range(len(dataset))]


def test_images_and_masks_are_paired(root):
    dataset = YamlDataset(LOAD, 'set/data.yaml')
    assert (names_of(dataset), dataset.CLASSES) == (['1.JPG', '1.png'], ['road', 'sky'])
    assert dataset[1]['gt_semantic_seg'].tolist() == np.ones((6, 8)).tolist()
    assert names_of(YamlDataset(LOAD, 'set/data.yaml', part='val')) == ['2.jpg']
    assert names_of(YamlDataset(LOAD, 'set/data.yaml', part='test', test_mode=True)) == ['2.jpg']


@pytest.mark.parametrize(
    'text',
    [
        'train: images/train\nnames: [road, sky]',
        'train: [images/train/a, images/train/b]\nnames: [road, sky]\nnc: 2',
        'path: ..\ntrain: set/list.txt\nnames: {1: sky, 0: road}\nmasks_dir: masks',
        "train: list.txt\nnames: {'0': road, '1': sky}\ndownload: https://host/x.zip",
    ],
)
def test_other_spellings_mean_the_same(root, text):
    (root / 'list.txt').write_text('./images/train/a/1.JPG\nimages/train/b/1.png\n')
    (root / 'other.yaml').write_text(text)
    dataset = YamlDataset(LOAD, 'set/other.yaml')
    assert (names_of(dataset), dataset.CLASSES) == (['1.JPG', '1.png'], ['road', 'sky'])
    dataset.check_labels()


def test_a_part_of_the_classes_may_be_used(root):
    dataset = YamlDataset(LOAD, 'set/data.yaml', classes=['sky'])
    assert dataset.get_gt_seg_map(0).tolist() == np.zeros((6, 8)).tolist()


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('trian: images\nnames: [a]', "data.yaml: the key 'trian' .*mean 'train'"),
        ('train: images/nothing\nnames: [a]', 'data.yaml: train: .*nothing.* missing'),
        ('train: images/train\nnames: [a, yes]', 'names is True.*data.yaml.*quotes'),
        ('train: images/train\nnames: [a, a]', 'data.yaml.*same'),
        ('train: images/train\nnames: {0: a, 2: b}', 'names is .*data.yaml.*0 to 1'),
        ('train: images/train\nnames: [a]\nnc: 2', 'nc is 2.*data.yaml'),
        ('train: images/train\nnames: []', 'names is .*data.yaml'),
        ('train: 3\nnames: [a]', 'train is 3.*data.yaml'),
        ('val: images/val\nnames: [a]', "data.yaml: 'train' is missing"),
        ('- a', 'data.yaml: got'),
        ('', 'data.yaml: got None'),
        ('a: [', 'data.yaml, line'),
        ('train: !!python/object/apply:os.getcwd []\nnames: [a]', 'data.yaml.*plain data'),
        ('train: x\ntrain: y\nnames: [a]', "data.yaml.*'train' stands twice"),
        ('train: data.yaml\nnames: [a]', 'data.yaml: train: '),
        ('train: masks/train\nnames: [a]', 'data.yaml.*images'),
        (f'names: {"[" * 5000}', 'data.yaml'),
    ],
)
def test_what_is_wrong_is_one_line_with_the_file(root, text, message):
    (root / 'data.yaml').write_text(text)
    with pytest.raises((ValueError, TypeError, OSError, KeyError), match=message) as caught:
        YamlDataset(LOAD, 'set/data.yaml')
    assert '\n' not in str(caught.value)


def test_a_missing_label_or_file_is_named(root):
    (root / 'masks' / 'val' / '2.png').unlink()
    with pytest.raises(FileNotFoundError, match=r'val.2\.png'):
        YamlDataset(LOAD, 'set/data.yaml', part='val')
    with pytest.raises(FileNotFoundError, match='none.yaml'):
        read_data_yaml('none.yaml')


CONFIG = """
train_pipeline = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
test_pipeline = [dict(type='LoadImageFromFile')]
data = dict(train={train}, val='set/data.yaml')
"""


def test_configs_may_name_the_file_alone(root):
    Path('a.py').write_text(CONFIG.format(train="'set/data.yaml'"))
    cfg = load_config('a.py', parts=['data'])
    assert names_of(build_dataset(cfg.data.train)) == ['1.JPG', '1.png']
    assert (cfg.data.val.part, len(cfg.data.val.pipeline)) == ('val', 1)
    repeated = "[dict(type='RepeatDataset', times=2, dataset='set/data.yaml'), 'set/data.yaml']"
    Path('b.py').write_text(CONFIG.format(train=repeated))
    cfg = load_config('b.py', parts=['data'])
    assert len(build_dataset(cfg.data.train)) == 6


def test_options_may_name_the_file(root):
    Path('a.py').write_text(CONFIG.format(train="dict(type='NucleiDataset', pipeline=[])"))
    cfg = load_config('a.py', {'data.train': 'set/data.yaml'}, parts=['data'])
    assert names_of(build_dataset(cfg.data.train)) == ['1.JPG', '1.png']


def test_a_file_without_a_pipeline_is_an_error(root):
    Path('a.py').write_text("data = dict(train='set/data.yaml')")
    with pytest.raises(ValueError, match="data.train is 'set/data.yaml'.*train_pipeline"):
        load_config('a.py', parts=['data'])

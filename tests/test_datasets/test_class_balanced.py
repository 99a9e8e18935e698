"""Images of rare classes come more often, and a resumed run goes on with the same ones."""

import logging
import math

import numpy as np
import pytest
from PIL import Image

from msseg.datasets import ClassBalancedDataset, CustomDataset, TrainLoader, build_dataset

# the classes in each of ten images: class 2 is in one, class 1 in four
PRESENT = [{0}, {0, 1}, {0}, {0, 1}, {0}, {0, 1, 2}, {0}, {0, 1}, {0}, {0}]
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RareClassCrop', crop_size=(4, 4), classes=[2], prob=1.0),
    dict(type='DefaultFormatBundle'),
    dict(type='Collect', keys=['img', 'gt_semantic_seg'], meta_keys=()),
]


@pytest.fixture
def folders(tmp_path):
    """Ten images, with a pixel of each further class at a place of its own."""
    for i, present in enumerate(PRESENT):
        label = np.zeros((12, 16), np.uint8)
        for value in present - {0}:
            label[3 * value, 5 * value] = value
        label[11, 15] = 255
        Image.fromarray(label).save(tmp_path / f'{i}.png')
        Image.new('RGB', (16, 12), (i, i, i)).save(tmp_path / f'{i}.jpg')
    root = str(tmp_path)
    classes = ('ground', 'car', 'sign')
    return dict(
        type='CustomDataset', img_dir=root, ann_dir=root, classes=classes, pipeline=PIPELINE
    )


def balanced(folders, threshold):
    return build_dataset(
        dict(type='ClassBalancedDataset', dataset=folders, oversample_thr=threshold)
    )


@pytest.mark.parametrize('threshold', [0.05, 0.3, 0.9, 1.0])
def test_images_come_as_often_as_their_rarest_class_asks(folders, threshold):
    expected = []
    for i, present in enumerate(PRESENT):
        shares = [sum(value in other for other in PRESENT) / 10 for value in present]
        factor = max(max(1.0, math.sqrt(threshold / share)) for share in shares)
        expected += [i] * math.ceil(factor)
    dataset = balanced(folders, threshold)
    assert dataset.repeat_indices == expected
    assert len(dataset) == len(dataset.img_infos) == len(expected)
    assert [dataset.get_filename(k) for k in range(len(dataset))] == [
        f'{folders["img_dir"]}/{i}.jpg' for i in expected
    ]


def test_the_log_shows_the_frequencies(folders, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger('msseg'), 'propagate', True)
    dataset = balanced(folders, 0.9)
    with caplog.at_level(logging.INFO, logger='msseg'):
        assert len(dataset) == 15  # 3 times the sign, 2 times three cars, 6 others
    assert caplog.messages == [
        'ClassBalancedDataset: 10 images come as 15 in an epoch',
        'ClassBalancedDataset: ground: in 100.0 % of the images before, 100.0 %',
        'ClassBalancedDataset: car: in 40.0 % of the images before, 60.0 %',
        'ClassBalancedDataset: sign: in 10.0 % of the images before, 20.0 %',
    ]


def test_a_resumed_run_gets_the_same_batches(folders):
    def batches(start, count):
        loader = TrainLoader(balanced(folders, 0.9), 3, workers_per_gpu=0, seed=7)
        found = loader.batches(start_iter=start)
        return [next(found) for _ in range(count)]

    whole, resumed = batches(0, 12), batches(8, 4)
    for one, other in zip(whole[8:], resumed, strict=True):
        assert one.filenames == other.filenames
        assert (one.img == other.img).all() and (one.gt == other.gt).all()


def test_it_is_for_training_only(folders):
    with pytest.raises(ValueError, match='ClassBalancedDataset: .*training only'):
        ClassBalancedDataset(build_dataset(folders, {'test_mode': True}), 0.5)
    with pytest.raises(ValueError, match='oversample_thr'):
        ClassBalancedDataset(CustomDataset(**{k: v for k, v in folders.items() if k != 'type'}), 0)


def test_crops_hold_the_rare_class(folders):
    dataset = build_dataset(folders)
    for index, present in enumerate(PRESENT):
        for _ in range(10):
            label = dataset[index]['gt_semantic_seg']
            assert label.shape[-2:] == (4, 4)
            assert (2 in label) == (2 in present)


def test_without_classes_small_ones_gain_and_places_vary(folders):
    pipeline = [*PIPELINE]
    pipeline[2] = dict(type='RareClassCrop', crop_size=(4, 4), prob=1.0)
    dataset = build_dataset({**folders, 'pipeline': pipeline})
    labels = [dataset[5]['gt_semantic_seg'] for _ in range(300)]
    for value in (1, 2):
        share = np.mean([value in label for label in labels])
        assert 0.2 < share < 0.6  # a third, and some of the others by chance
    places = {tuple(np.argwhere(label == 2)[0].tolist()) for label in labels if 2 in label}
    assert len(places) > 8


def test_crops_larger_than_the_image_keep_it(folders):
    pipeline = [*PIPELINE]
    pipeline[2] = dict(type='RareClassCrop', crop_size=(40, 8), prob=1.0)
    dataset = build_dataset({**folders, 'pipeline': pipeline})
    assert dataset[5]['gt_semantic_seg'].shape[-2:] == (12, 8)

"""Scores equal those of Cityscapes' own tool, and asking for that tool works."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.synthetic_cityscapes import write_synthetic_cityscapes
from msseg.apis import test_segmentor as run_test
from msseg.apis.cityscapes_scores import CityscapesCounter
from msseg.apis.evaluate import ScoreCounter
from msseg.apis.test import check_test_options
from msseg.config import Config
from msseg.datasets import CityscapesDataset, CustomDataset, EvalLoader
from msseg.datasets.cityscapes import LABEL_IDS
from tests.tiny import write_discs

PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(
        type='MultiScaleFlipAug',
        img_ratios=1.0,
        transforms=[
            dict(type='Resize'),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ],
    ),
]


def cityscapes(root, **changes):
    settings = dict(data_root=str(root), img_dir='leftImg8bit/val', ann_dir='gtFine/val')
    return CityscapesDataset(pipeline=PIPELINE, test_mode=True, **{**settings, **changes})


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """Drawn streets."""
    root = tmp_path_factory.mktemp('streets') / 'data'
    write_synthetic_cityscapes(root, 1, 3, 96, 192, 0)
    return root


@pytest.fixture(scope='module')
def noise(tmp_path_factory):
    """Labels of all 34 ids at random."""
    return write_ids(tmp_path_factory.mktemp('noise'), np.random.default_rng(0), 3, (40, 60))


def write_ids(root, rng, count, size):
    for i in range(count):
        ids = rng.integers(0, 34, size, dtype=np.uint8)
        write_frame(root, i, ids)
    return root


def write_frame(root, number, ids, instances=None):
    stem = f'town_{number:06d}_000019'
    for folder in ('leftImg8bit/val/town', 'gtFine/val/town'):
        (root / folder).mkdir(parents=True, exist_ok=True)
    image = np.zeros((*ids.shape, 3), np.uint8)
    cv2.imwrite(str(root / f'leftImg8bit/val/town/{stem}_leftImg8bit.png'), image)
    train_ids = np.full(256, 255, np.uint8)
    train_ids[list(LABEL_IDS)] = np.arange(19)
    label = str(root / f'gtFine/val/town/{stem}_gtFine_')
    cv2.imwrite(f'{label}labelIds.png', ids)
    cv2.imwrite(f'{label}labelTrainIds.png', train_ids[ids])
    if instances is not None:
        cv2.imwrite(f'{label}instanceIds.png', instances.astype(np.uint16))


def predictions_for(dataset, rng, share_wrong):
    """The labels, moved by some pixels, with other labelled classes here and there."""
    labels = [dataset.get_gt_seg_map(i) for i in range(len(dataset))]
    present = np.unique(np.concatenate([label.ravel() for label in labels]))
    present = present[present != 255]
    predictions = []
    for label in labels:
        guess = np.roll(label, (3, -5), (0, 1))
        is_random = (rng.random(label.shape) < share_wrong) | (guess == 255)
        predictions.append(np.where(is_random, rng.choice(present, label.shape), guess))
    return predictions


def both_scores(dataset, predictions, folder):
    own, official = ScoreCounter(dataset), CityscapesCounter(dataset, folder)
    for sample in EvalLoader(dataset, 0):
        own.add(sample, predictions[sample.index])
        official.add(sample, predictions[sample.index])
    return own.scores('mIoU').as_dict(), official.scores()


@pytest.mark.parametrize('root', ['drawn', 'noise'])
@pytest.mark.parametrize('suffix', ['_gtFine_labelTrainIds.png', '_gtFine_labelIds.png'])
def test_scores_equal_those_of_cityscapes_own_tool(root, suffix, request, tmp_path):
    dataset = cityscapes(request.getfixturevalue(root), seg_map_suffix=suffix)
    predictions = predictions_for(dataset, np.random.default_rng(1), 0.2)
    own, official = both_scores(dataset, predictions, tmp_path)

    assert 0.01 < own['mIoU'] < 0.9
    assert abs(own['mIoU'] - official.results['averageScoreClasses']) < 1e-9
    compared = 0
    for name in dataset.CLASSES:
        theirs = official.results['classScores'][name]
        assert math.isnan(own[f'IoU.{name}']) == math.isnan(theirs)
        if not math.isnan(theirs):
            assert abs(own[f'IoU.{name}'] - theirs) < 1e-9
            compared += 1
    assert compared >= 12
    matrix = np.array(official.results['confMatrix'], np.int64)[np.ix_(LABEL_IDS, LABEL_IDS)]
    assert abs(own['aAcc'] - np.trace(matrix) / matrix.sum()) < 1e-9


def test_class_predicted_but_not_labelled_has_no_score_here_and_zero_there(tmp_path):
    write_frame(tmp_path, 0, np.full((4, 6), 7, np.uint8))  # all road
    predictions = [np.array([[0, 0, 0, 0, 0, 13]] * 4)]  # a column of car
    own, official = both_scores(cityscapes(tmp_path), predictions, tmp_path / 'out')

    assert own['IoU.road'] == official.results['classScores']['road'] == pytest.approx(5 / 6)
    assert math.isnan(own['IoU.car']) and official.results['classScores']['car'] == 0
    assert own['mIoU'] == pytest.approx(5 / 6)
    assert official.as_dict()['averageScoreClasses'] == pytest.approx(5 / 12)


def test_scores_by_instance_where_their_files_are(tmp_path):
    ids = np.full((4, 6), 7, np.uint8)
    ids[:2] = 26
    instances = ids.astype(int)
    instances[0], instances[1] = 26000, 26001
    write_frame(tmp_path, 0, ids, np.where(instances > 1000, instances + 1, instances))
    predictions = [np.where(np.arange(6) < 3, 13, 0) * np.ones((4, 1), int)]
    _, official = both_scores(cityscapes(tmp_path), predictions, tmp_path / 'out')

    # Each of two cars of 6 pixels is half found; each pixel weighs the average car over 6.
    weight = 12794.0202738185 / 6
    expected = 6 * weight / (12 * weight + 6)
    assert official.as_dict()['classInstScores.car'] == pytest.approx(expected)
    assert official.as_dict()['classScores.car'] == pytest.approx(6 / (12 + 6))


class Repeats:
    """Predicts class 0 everywhere, and 1 in the first row."""

    def __init__(self, model):
        pass

    def labels(self, imgs, metas):
        prediction = np.zeros(metas[0]['ori_shape'][:2], np.int32)
        prediction[0] = 1
        return prediction


def test_asking_for_it_beside_other_metrics_and_files(noise, tmp_path, monkeypatch):
    monkeypatch.setattr('msseg.apis.test.Inferencer', Repeats)
    cfg = Config(dict(data=dict(workers_per_gpu=0)))
    dataset = cityscapes(noise)
    check_test_options(['cityscapes', 'mIoU'], None, None, 0.5, None)
    scores = run_test(None, dataset, cfg, ['cityscapes', 'mIoU'], format_dir=tmp_path / 'out')

    values = scores.as_dict()
    assert values['IoU.road'] == pytest.approx(values['classScores.road'], abs=1e-9)
    assert values['mIoU'] == pytest.approx(values['averageScoreClasses'], abs=1e-9)
    table = scores.table()
    assert '| road ' in table and '| construction' in table and '| mean ' in table
    files = sorted((tmp_path / 'out').glob('*.png'))
    assert [file.name for file in files] == [f'town_00000{i}_000019_leftImg8bit.png' for i in '012']
    written = np.array(Image.open(files[0]))
    assert (written[0] == 8).all() and (written[1:] == 7).all()  # sidewalk and road, as labelIds
    alone = run_test(None, dataset, cfg, ['cityscapes'])
    assert alone.as_dict().keys() < values.keys()
    assert alone.as_dict()['classScores.road'] == values['classScores.road']


def test_what_it_cannot_do_is_explained(noise, tmp_path, monkeypatch):
    discs = CustomDataset(
        PIPELINE,
        data_root=str(write_discs(tmp_path / 'discs', 1)),
        img_dir='images',
        img_suffix='.png',
        classes=('ground', 'disc'),
        test_mode=True,
    )
    with pytest.raises(ValueError, match='data set is a CustomDataset, expected a Cityscapes'):
        CityscapesCounter(discs, tmp_path)
    root = write_ids(tmp_path / 'half', np.random.default_rng(0), 2, (4, 4))
    missing = Path(root, 'gtFine/val/town/town_000001_000019_gtFine_labelIds.png')
    missing.unlink()
    with pytest.raises(FileNotFoundError, match='town_000001.*needs the .*_gtFine_labelIds.png'):
        CityscapesCounter(cityscapes(root), tmp_path)
    with pytest.raises(KeyError, match="'cityscape' is not known.*Did you mean 'cityscapes'"):
        check_test_options(['cityscape'], None, None, 0.5, None)
    name = 'cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling'
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r'metric .cityscapes. needs .*msseg\[cityscapes\]'):
        CityscapesCounter(cityscapes(noise), tmp_path)

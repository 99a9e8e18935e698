import shutil
import tracemalloc

import cv2
import numpy as np
import pytest

from msseg.apis.evaluate import evaluate, evaluation_keys, predict_all, scoring
from msseg.apis.test import check_test_options
from msseg.datasets import ConcatDataset, CustomDataset
from msseg.evaluation import bootstrap_intervals, confusion_matrix, count_boundaries
from tests.tiny import write_discs

PIPELINE = [
    {'type': 'LoadImageFromFile'},
    {
        'type': 'MultiScaleFlipAug',
        'img_ratios': 1.0,
        'transforms': [
            {'type': 'Resize'},
            {'type': 'Normalize', 'mean': [0] * 3, 'std': [1] * 3},
            {'type': 'ImageToTensor', 'keys': ['img']},
            {'type': 'Collect', 'keys': ['img']},
        ],
    },
]


class Brightness:
    """Calls bright pixels class 1."""

    def labels(self, imgs, metas):
        return (imgs[0].mean(0) > 110).astype(np.uint8)


def discs(root, **settings):
    return CustomDataset(
        PIPELINE,
        data_root=str(root),
        img_dir='images',
        img_suffix='.png',
        classes=('ground', 'disc'),
        test_mode=True,
        **settings,
    )


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_discs(tmp_path_factory.mktemp('discs'), count=12, size=(120, 160))


@pytest.mark.parametrize('workers', [0, 2])
def test_scores_equal_a_loop_over_pixels(root, workers):
    dataset = discs(root, ann_dir='labels')
    scores = evaluate(Brightness(), dataset, workers)
    hits = labelled = predicted = 0
    for index in range(len(dataset)):
        label = dataset.get_gt_seg_map(index)
        prediction = Brightness().labels([dataset[index]['img'][0]], None)
        valid = label != 255
        hits += int(((label == 1) & (prediction == 1))[valid].sum())
        labelled += int((label == 1)[valid].sum())
        predicted += int((prediction == 1)[valid].sum())
    assert hits > 1000
    assert scores.as_dict()['IoU.disc'] == hits / (labelled + predicted - hits)
    assert scores.parts[0].num_pixels[1] == labelled


def test_images_without_labels_are_named(root):
    with pytest.raises(FileNotFoundError, match=r'disc_0\.png.*ann_dir'):
        evaluate(Brightness(), discs(root), 0)


def test_a_label_of_another_size_is_named(root, tmp_path):
    shutil.copytree(root, tmp_path / 'set')
    name = discs(root).img_infos[3]['filename']
    cv2.imwrite(str(tmp_path / 'set' / 'labels' / name), np.zeros((7, 9), np.uint8))
    message = rf'{name}: its label is 7x9 \(height x width\), but the image is 120x160'
    with pytest.raises(ValueError, match=message):
        evaluate(Brightness(), discs(tmp_path / 'set', ann_dir='labels'), workers_per_gpu=0)


def test_joined_data_sets_are_scored_each_or_together(root):
    parts = [discs(root, ann_dir='labels', num_samples=n) for n in (3, 5)]
    alone = [evaluate(Brightness(), part, 0).as_dict()['mIoU'] for part in parts]
    each = ConcatDataset(parts, separate_eval=True)
    scores = evaluate(Brightness(), each, 0)
    assert [scores.as_dict()['0_mIoU'], scores.as_dict()['1_mIoU']] == alone
    assert list(scores.as_dict()) == evaluation_keys(each, 'mIoU')
    together = evaluate(Brightness(), ConcatDataset(parts, separate_eval=False), 0)
    assert min(alone) <= together.as_dict()['mIoU'] <= max(alone)
    assert together.parts[0].num_pixels.sum() == sum(part.num_pixels.sum() for part in scores.parts)


def without_disc(root, folder):
    shutil.copytree(root, folder)
    for path in (folder / 'labels').iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) // 255 * 255)
    return discs(folder, ann_dir='labels')


def test_classes_without_labels_are_warned_of(root, tmp_path, caplog):
    caplog.set_level('WARNING', 'msseg')
    evaluate(Brightness(), discs(root, ann_dir='labels'), 0)
    assert not caplog.records
    half = without_disc(root, tmp_path / 'half')
    scores = evaluate(Brightness(), half, 0)
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert 'over 1 of 2 classes: disc has no labelled pixel' in record.message
    assert scores.coverage('mIoU') == 'over 1 of 2 classes: disc has no labelled pixel'

    caplog.clear()
    joined = ConcatDataset([discs(root, ann_dir='labels'), half], separate_eval=True)
    scores = evaluate(Brightness(), joined, 0)
    assert 'data set 1, over 1 of 2 classes: disc' in caplog.text
    assert scores.coverage('0_mIoU') == '' and scores.coverage('1_mIoU') != ''


def test_memory_does_not_grow_with_the_number_of_images(root):
    def peak(num_samples):
        tracemalloc.start()
        handed = []
        predict_all(
            Brightness(),
            discs(root, ann_dir='labels', num_samples=num_samples),
            0,
            [lambda sample, labels: handed.append(labels.shape)],
        )
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(handed) == num_samples
        return peak_bytes

    peak(2)
    one_label_map = 120 * 160
    assert peak(12) < peak(2) + one_label_map


def test_boundaries_and_intervals_are_of_all_images(root):
    dataset = discs(root, ann_dir='labels')
    metrics = ['mIoU', 'mBoundaryIoU']
    with scoring(dataset, metrics, bootstrap=50) as scorer:
        predict_all(Brightness(), dataset, 0, scorer.handlers)
        (scores,) = scorer.scores().parts
    boundaries, matrices = 0, []
    for index in range(len(dataset)):
        label = dataset.get_gt_seg_map(index)
        prediction = Brightness().labels([dataset[index]['img'][0]], None)
        boundaries = boundaries + count_boundaries(prediction, label, 2)
        matrices.append(confusion_matrix(prediction, label, 2))
    assert (
        scores.per_class['BoundaryIoU'].tolist() == (boundaries[:, 0] / boundaries[:, 1]).tolist()
    )
    made = np.array(matrices)
    counts = made.diagonal(axis1=1, axis2=2), made.sum(axis=2), made.sum(axis=1)
    expected = bootstrap_intervals(*counts, 50)
    assert scores.intervals.iou.tolist() == expected.iou.tolist()
    keys = scores.as_dict()
    assert keys['mIoU_low'] <= keys['mIoU'] <= keys['mIoU_high']
    assert set(evaluation_keys(dataset, metrics)) == {k for k in keys if '_' not in k}


def test_separate_parts_have_intervals_of_their_own_images(root):
    halves = [discs(root, ann_dir='labels', num_samples=n) for n in (3, 5)]
    joined = ConcatDataset(halves)
    with scoring(joined, 'mIoU', bootstrap=20) as scorer:
        predict_all(Brightness(), joined, 0, scorer.handlers)
        parts = scorer.scores().parts
    for half, part in zip(halves, parts, strict=True):
        with scoring(half, 'mIoU', bootstrap=20) as scorer:
            predict_all(Brightness(), half, 0, scorer.handlers)
            (alone,) = scorer.scores().parts
        assert part.intervals.iou.tolist() == alone.intervals.iou.tolist()


@pytest.mark.parametrize(('bootstrap', 'metrics'), [(-1, ['mIoU']), (10, ['mDice']), (10, [])])
def test_intervals_need_a_number_and_the_iou(bootstrap, metrics):
    with pytest.raises(ValueError, match=f'--bootstrap is {bootstrap}'):
        check_test_options(metrics, 'a.npz', None, 0.5, None, bootstrap=bootstrap)

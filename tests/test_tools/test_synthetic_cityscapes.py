import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.synthetic_cityscapes import write_synthetic_cityscapes
from msseg.datasets import CityscapesDataset
from msseg.evaluation import confusion_matrix

SCRIPT = Path(__file__).parents[2] / 'tools' / 'convert_datasets' / 'synthetic_cityscapes.py'
TRAIN_IDS = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9,
    23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18,
}  # fmt: skip


@pytest.fixture(scope='module')
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic') / 'set'
    write_synthetic_cityscapes(root, num_train=6, num_val=8, height=96, width=192, seed=0)
    return root


def test_both_layouts_name_the_same_files(data_root):
    for split, count in (('train', 6), ('val', 8)):
        lines = (data_root / f'{split}.lst').read_text().splitlines()
        images, labels = zip(*(line.split(' ') for line in lines), strict=True)
        assert len(lines) == count
        assert sorted(images) == sorted(
            path.relative_to(data_root).as_posix()
            for path in (data_root / 'leftImg8bit' / split).glob('*/*_leftImg8bit.png')
        )
        assert sorted(labels) == sorted(
            path.relative_to(data_root).as_posix()
            for path in (data_root / 'gtFine' / split).glob('*/*_gtFine_labelIds.png')
        )
        for image, label in zip(images, labels, strict=True):
            stem = Path(image).name.removesuffix('_leftImg8bit.png')
            assert Path(label).name == f'{stem}_gtFine_labelIds.png'


def test_train_ids_are_mapped_label_ids(data_root):
    table = np.array([TRAIN_IDS.get(label, 255) for label in range(256)])
    for path in (data_root / 'gtFine').glob('*/*/*_labelIds.png'):
        ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        other = str(path).replace('labelIds', 'labelTrainIds')
        np.testing.assert_array_equal(cv2.imread(other, cv2.IMREAD_UNCHANGED), table[ids])


@pytest.mark.parametrize('split', ['train', 'val'])
def test_every_class_is_in_either_split(data_root, split):
    counts = np.zeros(256, int)
    for path in (data_root / 'gtFine' / split).glob('*/*_labelTrainIds.png'):
        counts += np.bincount(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).ravel(), minlength=256)
    assert (counts[:19] > 40).all(), counts[:19]
    assert counts[19:255].sum() == 0
    assert 0 < counts[255] < 0.15 * counts.sum()


def test_images_and_labels_have_one_size(data_root):
    for path in (data_root / 'leftImg8bit').glob('*/*/*.png'):
        assert cv2.imread(str(path)).shape == (96, 192, 3)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'num_train': 0}, 'num_train must be at least 1, but got 0'),
        ({'num_val': -1}, 'num_val must be at least 1, but got -1'),
        ({'height': 10}, 'height must be at least 64, but got 10'),
        ({'width': 20}, 'width must be at least 64, but got 20'),
    ],
)
def test_too_small_numbers_are_refused(tmp_path, change, message):
    arguments = {'num_train': 1, 'num_val': 1, 'height': 64, 'width': 128, 'seed': 0, **change}
    with pytest.raises(ValueError, match=message):
        write_synthetic_cityscapes(tmp_path / 'set', **arguments)
    assert not (tmp_path / 'set').exists()


def test_command_line_writes_the_set_and_refuses_to_mix_it(tmp_path):
    command = [
        sys.executable, str(SCRIPT), '--out', str(tmp_path / 'set'), '--num-train', '1',
        '--num-val', '1', '--height', '64', '--width', '128', '--seed', '7',
    ]  # fmt: skip
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert f'wrote 1 train and 1 val scenes to {tmp_path / "set"}' in first.stdout
    assert len(list((tmp_path / 'set').rglob('*.png'))) == 6
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 1
    assert len(again.stderr.splitlines()) == 1
    assert 'is not empty, and old files would mix with new ones' in again.stderr


def test_both_layouts_give_the_same_confusion_matrix(data_root):
    common = dict(pipeline=[], data_root=str(data_root), test_mode=True)
    folders = CityscapesDataset(img_dir='leftImg8bit/val', ann_dir='gtFine/val', **common)
    lists = CityscapesDataset(split='val.lst', **common)
    matrices = []
    for dataset in (folders, lists):
        matrix = np.zeros((19, 19), np.int64)
        for index in range(len(dataset)):
            label = dataset.get_gt_seg_map(index)
            seed = zlib.crc32(Path(dataset.get_filename(index)).name.encode())
            prediction = np.random.default_rng(seed).integers(0, 19, label.shape)
            matrix += confusion_matrix(prediction, label, 19, dataset.ignore_index)
        matrices.append(matrix)
    assert matrices[0].sum() > 0
    np.testing.assert_array_equal(*matrices)

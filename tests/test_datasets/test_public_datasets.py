"""Public data sets: their classes, file names, and what is written for their servers."""

from __future__ import annotations

import ast
import importlib.metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets import DATASETS, build_dataset

PIPELINE = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]
# name: classes, the first and the last of them, the image's and the label's suffix, zero reduced
FACTS = dict(
    ADE20KDataset=(150, 'wall', 'flag', '.jpg', '.png', True),
    PascalVOCDataset=(21, 'background', 'tvmonitor', '.jpg', '.png', False),
    PascalContextDataset=(60, 'background', 'wood', '.jpg', '.png', False),
    PascalContextDataset59=(59, 'aeroplane', 'wood', '.jpg', '.png', True),
    LIPDataset=(20, 'Background', 'Right-shoe', '.jpg', '.png', False),
    COCOStuffDataset=(171, 'person', 'wood', '.jpg', '_labelTrainIds.png', False),
    PotsdamDataset=(6, 'impervious_surface', 'clutter', '.png', '.png', True),
    ISPRSDataset=(6, 'impervious_surface', 'clutter', '.png', '.png', True),
    LoveDADataset=(7, 'background', 'agricultural', '.png', '.png', True),
    iSAIDDataset=(16, 'background', 'Harbor', '.png', '_instance_color_RGB.png', False),
    DRIVEDataset=(2, 'background', 'vessel', '.png', '_manual1.png', False),
    STAREDataset=(2, 'background', 'vessel', '.png', '.ah.png', False),
    ChaseDB1Dataset=(2, 'background', 'vessel', '.png', '_1stHO.png', False),
    HRFDataset=(2, 'background', 'vessel', '.png', '.png', False),
    DarkZurichDataset=(19, 'road', 'bicycle', '_rgb_anon.png', '_gt_labelTrainIds.png', False),
    NightDrivingDataset=(
        19, 'road', 'bicycle', '_leftImg8bit.png', '_gtCoarse_labelTrainIds.png', False,
    ),
    FaceOccludedDataset=(2, 'background', 'face', '.jpg', '.png', False),
)  # fmt: skip
OF_CITYSCAPES = ('DarkZurichDataset', 'NightDrivingDataset')
WITH_SPLIT = (
    'PascalVOCDataset', 'PascalContextDataset', 'PascalContextDataset59', 'FaceOccludedDataset',
)  # fmt: skip


def make(name, root, **changes):
    """A data set of one image whose label file holds 0, 1 and 2 (or 1)."""
    img_suffix, seg_map_suffix = FACTS[name][3:5]
    for folder in ('img', 'ann'):
        (root / folder).mkdir(exist_ok=True)
    cv2.imwrite(str(root / f'img/a{img_suffix}'), np.zeros((1, 3, 3), np.uint8))
    cv2.imwrite(
        str(root / f'ann/a{seg_map_suffix}'),
        np.array([[0, 1, min(2, FACTS[name][0] - 1)]], np.uint8),
    )
    (root / 'list.txt').write_text('a\n')
    cfg = dict(type=name, data_root=str(root), img_dir='img', ann_dir='ann', pipeline=PIPELINE)
    if name in WITH_SPLIT:
        cfg['split'] = 'list.txt'
    return build_dataset({**cfg, **changes})


def upstream_definitions():
    """CLASSES and PALETTE in MMSegmentation 0.30's files, which are read and not imported."""
    files = importlib.metadata.distribution('mmsegmentation').files
    found = {}
    for file in files:
        if file.parent.as_posix() != 'mmseg/datasets' or file.suffix != '.py':
            continue
        for node in ast.parse(Path(file.locate()).read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = {
                    each.targets[0].id: ast.literal_eval(each.value)
                    for each in node.body
                    if isinstance(each, ast.Assign)
                }
    return found


@pytest.mark.parametrize('name', FACTS)
def test_classes_and_files(name, tmp_path):
    count, first, last, _, _, reduces_zero = FACTS[name]
    dataset = make(name, tmp_path)

    assert len(dataset.CLASSES) == len(dataset.PALETTE) == count
    assert len(set(dataset.CLASSES)) == count
    assert (dataset.CLASSES[0], dataset.CLASSES[-1]) == (first, last)
    assert all(len(c) == 3 and 0 <= min(c) <= max(c) <= 255 for c in dataset.PALETTE)
    expected = [[255, 0, 1]] if reduces_zero else [[0, 1, min(2, count - 1)]]
    assert dataset.get_gt_seg_map(0).tolist() == expected
    assert dataset[0]['gt_semantic_seg'].tolist() == expected


@pytest.mark.parametrize(
    'name', [name for name in FACTS if name not in ('LIPDataset', *OF_CITYSCAPES)]
)
def test_classes_and_colours_are_upstreams(name):
    upstream = upstream_definitions()[name]

    assert upstream['CLASSES'] == DATASETS.get(name).CLASSES
    assert [list(c) for c in DATASETS.get(name).PALETTE] == upstream['PALETTE']


@pytest.mark.parametrize('name', WITH_SPLIT)
def test_split_is_needed(name, tmp_path):
    with pytest.raises(ValueError, match=f'{name}: split is None; give the text file'):
        make(name, tmp_path, split=None)


@pytest.mark.parametrize('name', FACTS)
def test_predictions_are_written_as_servers_take_them(name, tmp_path):
    if name in OF_CITYSCAPES:
        files = make(name, tmp_path).format_results([np.array([[0, 1, 5]])], str(tmp_path / 'out'))
        assert np.array(Image.open(files[0])).tolist() == [[7, 8, 17]]  # labelIds
        return
    dataset = make(name, tmp_path)
    adds_one = FACTS[name][-1] and name != 'LoveDADataset'

    files = dataset.format_results([np.array([[0, 1, 5]])], str(tmp_path / 'out'))
    assert [Path(file).name for file in files] == ['a.png']
    assert np.array(Image.open(files[0])).tolist() == [[1, 2, 6] if adds_one else [0, 1, 5]]

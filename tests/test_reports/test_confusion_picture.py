import cv2
import numpy as np
import pytest

from msseg.datasets import CustomDataset
from msseg.reports.confusion_picture import count_confusions, draw_confusion
from tests.tiny import write_discs


@pytest.fixture
def discs(tmp_path):
    write_discs(tmp_path, count=3)
    return CustomDataset(
        [], img_dir='images', ann_dir='labels', data_root=str(tmp_path), img_suffix='.png',
        classes=('ground', 'disc'), test_mode=True,
    )  # fmt: skip


def save(path, dataset, count=3):
    rng = np.random.default_rng(0)
    maps = {f'disc_{i}': rng.integers(0, 2, (48, 64)) for i in range(count)}
    np.savez(path, **maps)
    return maps


def test_label_maps_are_compared_with_the_labels(discs, tmp_path):
    maps = save(tmp_path / 'labels.npz', discs)
    expected = np.zeros((2, 2), int)
    for i in range(3):
        label = discs.get_gt_seg_map(i)
        for row in range(2):
            for column in range(2):
                expected[row, column] += ((label == row) & (maps[f'disc_{i}'] == column)).sum()
    found = count_confusions(discs, tmp_path / 'labels.npz')
    np.testing.assert_array_equal(found, expected)


def test_other_archives_are_refused(discs, tmp_path):
    save(tmp_path / 'labels.npz', discs, count=2)
    with pytest.raises(ValueError, match=r"has no label map of 'disc_2\.png': it is of other"):
        count_confusions(discs, tmp_path / 'labels.npz')
    (tmp_path / 'text.npz').write_text('no archive')
    np.save(tmp_path / 'array.npy', np.zeros(3))
    for name in ('text.npz', 'array.npy'):
        with pytest.raises(ValueError, match='this is no archive of label maps'):
            count_confusions(discs, tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r'absent\.npz'):
        count_confusions(discs, tmp_path / 'absent.npz')


@pytest.mark.parametrize('count', [2, 40])
def test_a_picture_is_drawn(tmp_path, count):
    matrix = np.eye(count, dtype=int) * 9 + 1
    draw_confusion(matrix, [f'class {i}' for i in range(count)], tmp_path / 'new' / 'a.png')
    picture = cv2.imread(str(tmp_path / 'new' / 'a.png'))
    dark_blue = (picture[..., 0] > picture[..., 2].astype(int) + 60).sum()
    assert dark_blue > 500


def test_an_unknown_colour_map_is_told(tmp_path):
    with pytest.raises(ValueError, match="colours is 'Blue', expected one of matplotlib's"):
        draw_confusion(np.eye(2), ['a', 'b'], tmp_path / 'a.png', colours='Blue')

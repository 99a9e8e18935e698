"""Classes that a flip exchanges."""

import numpy as np
import pytest

from msseg.datasets.pipelines.random_flip import RandomFlip


def flipped(direction, label):
    results = dict(img=np.zeros((*label.shape, 3), np.uint8), gt=label, seg_fields=['gt'])
    return RandomFlip(1.0, direction, swap_seg_labels=[(2, 3), (5, 4)])(results)['gt'].tolist()


@pytest.mark.parametrize('dtype', [np.uint8, np.int32])
def test_a_horizontal_flip_exchanges_left_and_right(dtype):
    label = np.array([[1, 2, 3], [4, 5, 255]], dtype)
    assert flipped('horizontal', label) == [[2, 3, 1], [255, 4, 5]]
    assert flipped('vertical', label) == [[4, 5, 255], [1, 2, 3]]


def test_pairs_are_needed():
    with pytest.raises(
        ValueError, match=r'swap_seg_labels is \[2, 3\], expected a list, each 2 values'
    ):
        RandomFlip(0.5, swap_seg_labels=[2, 3])

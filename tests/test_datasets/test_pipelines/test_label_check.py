"""A label value that is no class is found with its file."""

import numpy as np
import pytest

from msseg.datasets.pipelines.label_check import check_label_values


def label_of(*values):
    return np.array([values] * 2, np.uint8)


def test_right_labels_pass():
    label = label_of(0, 1, 255)

    assert check_label_values(label, 2, 255, 'a.png') is label
    assert check_label_values(label_of(0, 7, 2), 3, 7, 'a.png').dtype == np.uint8
    wide = check_label_values(label_of(0, 1).astype(np.int32) * 300, 301, 255, 'a.png')
    assert wide.dtype == np.int16 and wide.max() == 300
    negative = check_label_values(label_of(0, 1).astype(np.int32) - 1, 2, -1, 'a.png')
    assert negative.dtype == np.int16 and negative.min() == -1


@pytest.mark.parametrize('value', range(256))
def test_every_byte_is_judged(value):
    label = label_of(0, 1, value)
    for num_classes, ignore_index in ((2, 255), (19, 100), (256, 255), (5, 0), (5, 5)):
        if value < num_classes or value == ignore_index:
            check_label_values(label, num_classes, ignore_index, 'a.png')
        else:
            with pytest.raises(ValueError, match='a.png'):
                check_label_values(label, num_classes, ignore_index, 'a.png')


@pytest.mark.parametrize(
    'label, num_classes, ignore_index, message',
    [
        (label_of(0, 255), 2, 254, r'255 \(2 px\).*give the data set label_map=\{255: 1\}'),
        (label_of(0, 200), 2, 255, r'label_map=\{200: 1\}'),
        (label_of(0, 1, 2, 3), 2, 255, r"number the objects .*label_map=\{'1-': 1\}"),
        (label_of(0, 1, 3), 3, 255, r'values 3 \(2 px\).*reduce_zero_label=True'),
        (label_of(1, 9), 3, 255, r'9 \(2 px\).*outside \[0, 3\).*ignore_index=255.*\{9: 255\}'),
        (np.arange(40, dtype=np.uint8)[None], 3, 255, 'and 27 more values'),
    ],
)
def test_advice(label, num_classes, ignore_index, message):
    with pytest.raises(ValueError, match=message):
        check_label_values(label, num_classes, ignore_index, 'a.png')

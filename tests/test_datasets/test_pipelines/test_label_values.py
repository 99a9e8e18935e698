"""A label value that is no class is found with its file."""

import numpy as np
import pytest

from msseg.datasets.pipelines import Compose
from msseg.datasets.pipelines.label_file import check_label_values


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
        (label_of(0, 1), 1, 255, 'is a class, too: name two, and set num_classes=2'),
        (label_of(0, 1, 3), 3, 255, r'values 3 \(2 px\).*reduce_zero_label=True'),
        (label_of(1, 9), 3, 255, r'9 \(2 px\).*outside \[0, 3\).*ignore_index=255.*\{9: 255\}'),
        (np.arange(40, dtype=np.uint8)[None], 3, 255, 'and 27 more values'),
    ],
)
def test_advice(label, num_classes, ignore_index, message):
    with pytest.raises(ValueError, match=message):
        check_label_values(label, num_classes, ignore_index, 'a.png')


@pytest.mark.parametrize('ignore_index', [255, 1000, -1, 32767, 32768, 65535, -32769, 2**31 - 1])
def test_ignored_pixels_keep_their_value_through_the_pipeline(ignore_index):
    label = np.zeros((6, 8), np.int32)
    label[0], label[3, 3:] = ignore_index, 1
    label = check_label_values(label, 2, ignore_index, 'a.png')
    results = dict(img=np.zeros((6, 8, 3), np.uint8), gt_semantic_seg=label)
    results |= dict(seg_fields=['gt_semantic_seg'], num_classes=2, ignore_index=ignore_index)
    steps = [
        dict(type='Resize', img_scale=(16, 12), keep_ratio=False),
        dict(type='RandomRotate', prob=1.0, degree=45, seg_pad_val=ignore_index),
        dict(type='RandomFlip', prob=1.0),
        dict(
            type='RandomCutOut', prob=1.0, n_holes=1, cutout_shape=(2, 2), seg_fill_in=ignore_index
        ),
        dict(type='Pad', size=(20, 20), seg_pad_val=ignore_index),
        dict(type='RandomCrop', crop_size=(18, 18), cat_max_ratio=0.9, ignore_index=ignore_index),
        dict(type='DefaultFormatBundle'),
    ]
    done = Compose(steps)(results)['gt_semantic_seg']
    assert done.dtype == np.int32
    assert set(np.unique(done)) == {0, 1, ignore_index}


@pytest.mark.parametrize(
    'step',
    [
        dict(type='Pad', size=(9, 9), seg_pad_val=255),
        dict(type='RandomRotate', prob=1.0, degree=10),
        dict(type='RandomCutOut', prob=1.0, n_holes=1, cutout_shape=(2, 2), seg_fill_in=255),
    ],
)
def test_what_is_filled_in_is_a_class_or_ignored(step):
    results = dict(img=np.zeros((6, 8, 3), np.uint8), gt=np.zeros((6, 8), np.uint8))
    results |= dict(seg_fields=['gt'], num_classes=2, ignore_index=-1)
    with pytest.raises(ValueError, match='is 255, neither ignore_index=-1 .*nor one of its 2 cl'):
        Compose([step])(results)
    results |= dict(ignore_index=255)
    Compose([step])(results)


def test_a_value_that_a_byte_cannot_hold_widens_the_label():
    results = dict(
        img=np.zeros((1, 1, 3), np.uint8), gt=np.zeros((1, 1), np.uint8), seg_fields=['gt']
    )
    padded = Compose([dict(type='Pad', size=(1, 2), seg_pad_val=65535)])(results)['gt']
    assert padded.tolist() == [[0, 65535]]

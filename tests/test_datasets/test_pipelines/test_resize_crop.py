"""Resize and RandomCrop as one step equal the two steps, bit by bit."""

import cv2
import numpy as np
import pytest

from msseg.datasets.pipelines import Compose, RandomCrop, Resize
from msseg.datasets.pipelines.resize_crop import ResizeCrop, nearest_crop, resize_crop_image


def random_crops(count, seed):
    """Yield sources, resized sizes and parts of all shapes, at the edges too."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        h, w = rng.integers(8, 120, 2)
        shape = (h, w) if i % 4 == 0 else (h, w, rng.integers(1, 5))
        size = tuple(int(s) for s in rng.integers(8, 300, 2))
        y, x = (int(rng.integers(0, s)) for s in size)
        box = (y, y + int(rng.integers(1, 80)), x, x + int(rng.integers(1, 80)))
        yield rng.integers(0, 256, shape, dtype=np.uint8), size, box


def cut(img, size, box, interpolation):
    whole = cv2.resize(img, size[::-1], interpolation=interpolation)
    part = whole[box[0] : box[1], box[2] : box[3]]
    return part if img.ndim == part.ndim else part[..., None]


def test_image_equals_resizing_the_whole():
    for img, size, box in random_crops(150, seed=1):
        got = resize_crop_image(img, size, box)
        got = got if got.ndim == img.ndim else got[..., None]
        np.testing.assert_array_equal(got, cut(img, size, box, cv2.INTER_LINEAR))


def test_label_equals_resizing_the_whole():
    for img, size, box in random_crops(150, seed=2):
        label = img if img.ndim == 2 else img[..., 0].copy()
        got = nearest_crop(label, size, box)
        np.testing.assert_array_equal(got, cut(label, size, box, cv2.INTER_NEAREST))


@pytest.mark.parametrize('size', [(40, 60), (20, 30), (80, 120)])
def test_same_half_and_double_size(size):
    img = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    box = (5, 15, 7, 19)

    got = resize_crop_image(img, size, box)
    np.testing.assert_array_equal(got, cut(img, size, box, cv2.INTER_LINEAR))


def test_float_image_equals_resizing_the_whole():
    img = np.random.default_rng(0).normal(size=(40, 60, 3)).astype(np.float32)
    box = (50, 80, 20, 60)

    got = resize_crop_image(img, (300, 444), box)
    np.testing.assert_array_equal(got, cut(img, (300, 444), box, cv2.INTER_LINEAR))


@pytest.mark.parametrize('cat_max_ratio', [1.0, 0.5, 0.01])
def test_fused_pipeline_equals_its_two_transforms(cat_max_ratio):
    resize = Resize(img_scale=(64, 48), ratio_range=(0.5, 4.0))
    crop = RandomCrop((24, 40), cat_max_ratio=cat_max_ratio)
    fused = Compose([resize, crop])
    assert [type(step) for step in fused._steps] == [ResizeCrop]
    data = np.random.default_rng(5)
    img = data.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    label = data.integers(0, 3, (6, 8), dtype=np.uint8).repeat(8, 0).repeat(8, 1)

    for seed in range(25):
        both = []
        for pipeline in (fused, lambda sample: crop(resize(sample))):
            rng = np.random.default_rng(seed)
            sample = dict(img=img, gt_semantic_seg=label, seg_fields=['gt_semantic_seg'], rng=rng)
            both.append((pipeline(sample), rng.integers(2**31)))
        (got, got_draw), (expected, expected_draw) = both

        assert got_draw == expected_draw
        assert got.keys() == expected.keys()
        for key in got.keys() - {'rng'}:
            np.testing.assert_array_equal(got[key], expected[key], err_msg=key)


def test_nothing_is_resized_beyond_the_crop(monkeypatch):
    built = []
    resize = cv2.resize
    monkeypatch.setattr(cv2, 'resize', lambda *a, **k: built.append(resize(*a, **k)) or built[-1])
    img = np.zeros((1024, 2048, 3), np.uint8)
    img[...] = np.arange(2048)[None, :, None] // 8  # the colour tells the column
    pipeline = Compose([Resize(img_scale=(4096, 2048)), RandomCrop((512, 1024))])

    for seed in range(8):
        built.clear()
        sample = pipeline(dict(img=img, seg_fields=[], rng=np.random.default_rng(seed)))
        assert sample['img'].shape == (512, 1024, 3)
        assert sample['pad_shape'] == (2048, 4096, 3)
        right = int(sample['img'][0, -1, 0]) * 16 + 16
        assert [b.shape[1] <= right + 8 for b in built] == [True]


def test_subclass_is_left_alone():
    class MyResize(Resize):
        """Could do anything."""

    pipeline = Compose([MyResize(img_scale=(8, 8)), RandomCrop((4, 4))])

    assert [type(step) for step in pipeline._steps] == [MyResize, RandomCrop]


def test_label_of_another_size_is_resized_by_itself():
    sample = dict(
        img=np.zeros((40, 60, 3), np.uint8),
        gt_semantic_seg=np.zeros((20, 30), np.uint8),
        seg_fields=['gt_semantic_seg'],
        rng=np.random.default_rng(0),
    )
    results = Compose([Resize(img_scale=(90, 60)), RandomCrop((16, 16))])(sample)

    assert results['gt_semantic_seg'].shape == (16, 16)

"""What comes out of a pipeline."""

import numpy as np
import pytest

from msseg.datasets.pipelines import (
    Collect,
    Compose,
    DefaultFormatBundle,
    ImageToTensor,
    MultiScaleFlipAug,
    Normalize,
    RandomFlip,
    RGB2Gray,
    ToTensor,
    Transpose,
)

IMG = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)


def test_format_bundle():
    label = np.arange(24, dtype=np.uint8).reshape(4, 6)
    results = DefaultFormatBundle()(dict(img=IMG, gt_semantic_seg=label))

    assert results['img'].dtype == np.float32 and results['img'].flags.c_contiguous
    np.testing.assert_array_equal(results['img'], IMG.transpose(2, 0, 1))
    assert results['gt_semantic_seg'].dtype == np.int32
    np.testing.assert_array_equal(results['gt_semantic_seg'], label[None])
    assert DefaultFormatBundle()(dict(img=IMG[..., 0]))['img'].shape == (1, 4, 6)


def test_normalized_image_is_not_copied_again():
    results = Normalize(mean=[0, 0, 0], std=[1, 1, 1])(dict(img=IMG))
    memory = results['img']

    assert np.shares_memory(DefaultFormatBundle()(results)['img'], memory)


@pytest.mark.parametrize('dtype', [np.uint8, np.float32, np.float64])
def test_normalize_is_what_it_says(dtype):
    results = Normalize([1, 2, 3], [4, 5, 6])(dict(img=IMG.astype(dtype)))

    expected = (IMG[..., ::-1] - np.array([1.0, 2, 3])) / [4, 5, 6]
    np.testing.assert_allclose(results['img'], expected, rtol=1e-6, atol=1e-6)
    assert results['img'].dtype == np.float32
    assert results['img_norm_cfg']['to_rgb'] is True


def test_normalize_one_channel():
    grey = Normalize([100.0], [2.0], to_rgb=False)(dict(img=IMG[..., 0]))['img']

    np.testing.assert_allclose(grey[..., 0], (IMG[..., 0] - 100.0) / 2, rtol=1e-6)
    with pytest.raises(ValueError, match='mean has 3 numbers, but the image has 1 channels'):
        Normalize([1, 2, 3], [1, 1, 1])(dict(img=IMG[..., 0]))
    with pytest.raises(ValueError, match='to_rgb=True needs 3 channels'):
        Normalize([1], [1])(dict(img=IMG[..., 0]))


def test_collect():
    results = dict(img=IMG, rng=1, flip=False, other=2)

    assert Collect(['img'], meta_keys=['flip'])(results) == dict(
        img=IMG, img_metas=dict(flip=False)
    )
    with pytest.raises(KeyError, match="no 'pad_shape' in the sample"):
        Collect(['img'], meta_keys=['pad_shape'])(results)


def test_tensors():
    assert ImageToTensor(['img'])(dict(img=IMG))['img'].shape == (3, 4, 6)
    assert ImageToTensor(['img'])(dict(img=IMG[..., 0]))['img'].shape == (1, 4, 6)
    results = ToTensor(['a', 'b', 'c', 'd'])(dict(a=IMG, b=3, c=2.5, d=[1, 2]))
    assert results['a'] is IMG
    assert (results['b'].dtype, results['b'].tolist()) == (np.int64, [3])
    assert (results['c'].dtype, results['c'].tolist()) == (np.float32, [2.5])
    assert results['d'].tolist() == [1, 2]
    with pytest.raises(TypeError, match="ToTensor: 'a' is 'text'"):
        ToTensor(['a'])(dict(a='text'))
    assert Transpose(['img'], (1, 0, 2))(dict(img=IMG))['img'].shape == (6, 4, 3)


def test_augmentations_at_test_time():
    transforms = [
        dict(type='Resize'),
        dict(type='RandomFlip'),
        dict(type='ImageToTensor', keys=['img']),
    ]
    transform = MultiScaleFlipAug(
        transforms,
        img_scale=[6, 4],
        img_ratios=[1.0, 2.0],
        flip=True,
        flip_direction=['horizontal', 'vertical'],
    )
    results = transform(dict(img=IMG))

    assert results['scale'] == [(6, 4)] * 4 + [(12, 8)] * 4
    assert results['flip'] == [False, False, True, True] * 2
    assert results['flip_direction'] == ['horizontal', 'vertical'] * 4
    np.testing.assert_array_equal(results['img'][2], IMG.transpose(2, 0, 1)[:, :, ::-1])
    np.testing.assert_array_equal(results['img'][3], IMG.transpose(2, 0, 1)[:, ::-1])


def test_scales_of_the_images_own_size():
    transform = MultiScaleFlipAug([dict(type='Resize')], img_scale=None, img_ratios=2.0)

    assert transform(dict(img=IMG))['scale'] == [(12, 8)]
    rounding = MultiScaleFlipAug([dict(type='Resize')], img_ratios=0.75, rounds_sizes=True)
    assert rounding(dict(img=np.zeros((101, 57, 3), np.uint8)))['scale'] == [(43, 76)]
    transform = MultiScaleFlipAug([dict(type='Resize')], img_scale=[(6, 4), (3, 2)])
    assert [img.shape[:2] for img in transform(dict(img=IMG))['img']] == [(4, 6), (2, 3)]


def test_none_ends_a_pipeline():
    pipeline = Compose([lambda results: None, lambda results: 1 / 0])

    assert pipeline({}) is None


def test_what_a_transform_cannot_do_is_explained():
    flip = RandomFlip()
    with pytest.raises(ValueError, match="prob is None and results has no 'flip'"):
        flip(dict(img=IMG))
    with pytest.raises(ValueError, match='one channel for each weight'):
        RGB2Gray()(dict(img=IMG[..., :2]))
    with pytest.raises(ValueError, match='all values of the image are 0'):
        Compose([dict(type='Rerange')])(dict(img=IMG * 0))
    for step in ('PhotoMetricDistortion', 'CLAHE', 'AdjustGamma'):
        for img in (IMG.astype(np.float32) - 128, IMG.astype(np.uint16) * 16):
            with pytest.raises(ValueError, match=f'{step}: the image is .* load images of more'):
                Compose([dict(type=step)])(dict(img=img))
    with pytest.raises(ValueError, match='neither ratio_range nor'):
        Compose([dict(type='Resize')])(dict(img=IMG))

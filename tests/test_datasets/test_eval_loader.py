"""Samples for evaluation."""

import numpy as np
import pytest

from msseg.config import Config
from msseg.datasets import EvalLoader, RepeatDataset, TrainLoader, build_dataset
from tests.test_datasets.data_folder import TRAIN, config, write_images


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    write_images(folder, 5)
    return folder


def test_sample(root):
    dataset = build_dataset(config(root, test_mode=True))
    loader = EvalLoader(dataset, 0)
    samples = list(loader)

    assert len(loader) == 5 and [s.index for s in samples] == list(range(5))
    first = samples[0]
    assert [img.shape for img in first.imgs] == [(3, 20, 30)] * 2
    assert first.imgs[0].dtype == np.float32
    np.testing.assert_array_equal(first.imgs[1], first.imgs[0][:, :, ::-1])
    assert [meta['flip'] for meta in first.metas] == [False, True]
    assert first.metas[0]['filename'] == dataset.get_filename(0)
    np.testing.assert_array_equal(first.gt, dataset.get_gt_seg_map(0))


def test_workers_give_the_same_samples_beside_a_training_loader(root):
    dataset = build_dataset(config(root, test_mode=True))
    training = TrainLoader(build_dataset(config(root)), 2, 2, seed=0)
    batches = training.batches()
    next(batches)

    for ours, theirs in zip(EvalLoader(dataset, 2), EvalLoader(dataset, 0), strict=True):
        assert (ours.index, ours.metas) == (theirs.index, theirs.metas)
        for a, b in zip(ours.imgs, theirs.imgs, strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(ours.gt, theirs.gt)
    next(batches)
    training.close()


@pytest.mark.parametrize('workers', [0, 2])
def test_processes_share_the_samples(root, workers):
    dataset = build_dataset(config(root, test_mode=True))
    loaders = [EvalLoader(dataset, workers, rank, 2) for rank in range(2)]

    assert [[s.index for s in loader] for loader in loaders] == [[0, 2, 4], [1, 3]]
    assert [len(loader) for loader in loaders] == [3, 2]


@pytest.mark.parametrize('workers', [0, 2])
def test_without_labels(root, workers):
    dataset = build_dataset(config(root, test_mode=True, ann_dir=None))

    assert all(sample.gt is None for sample in EvalLoader(dataset, workers))
    labelled = build_dataset(config(root, test_mode=True))
    assert next(iter(EvalLoader(labelled, workers, with_labels=False))).gt is None


def test_pipeline_without_test_time_augmentation(root):
    pipeline = [t for t in TRAIN if t['type'] not in ('LoadAnnotations', 'RandomCrop')]
    pipeline[-1] = dict(type='Collect', keys=['img'], meta_keys=['ori_shape'])
    sample = next(
        iter(EvalLoader(build_dataset(config(root, test_mode=True, pipeline=pipeline)), 0))
    )

    assert [img.shape for img in sample.imgs] == [(3, 20, 30)] and len(sample.metas) == 1
    meta = sample.metas[0]
    assert (meta['flip'], meta['flip_direction'], meta['ori_filename']) == (
        False,
        'horizontal',
        'image0.jpg',
    )
    dataset = build_dataset(config(root, test_mode=True, pipeline=[lambda results: None]))
    with pytest.raises(ValueError, match='image0.jpg: the test pipeline gave no image'):
        next(iter(EvalLoader(dataset, 0)))


@pytest.mark.parametrize('workers', [0, 2])
def test_missing_label_names_its_file(tmp_path, workers):
    write_images(tmp_path, 3)
    (tmp_path / 'ann/train/image1.png').unlink()
    dataset = build_dataset(config(tmp_path, test_mode=True))

    with pytest.raises(FileNotFoundError, match='image1.png: there is no such file'):
        list(EvalLoader(dataset, workers))


@pytest.mark.parametrize('meta_keys', [['filename'], None])
def test_a_pipeline_that_does_not_collect_the_size_is_named(root, meta_keys):
    pipeline = [t for t in TRAIN if t['type'] not in ('LoadAnnotations', 'RandomCrop')]
    last = dict(type='Collect', keys=['img'], meta_keys=meta_keys)
    pipeline = [*pipeline[:-1], *([last] if meta_keys else [])]
    cfg = Config({'data': {'val': config(root, test_mode=True, pipeline=pipeline)}})
    dataset = RepeatDataset(build_dataset(cfg.data.val), 2)
    with pytest.raises(ValueError, match="jpg: data.val.pipeline gave no 'ori_shape' in img_metas"):
        EvalLoader(dataset, 0).load(0)


def test_a_key_that_no_transform_writes_is_said_with_its_pipeline(root):
    pipeline = [*TRAIN[:-1], dict(type='Collect', keys=['img'], meta_keys=['colour'])]
    cfg = Config({'data': {'train': config(root, pipeline=pipeline)}})
    dataset = build_dataset(cfg.data.train)
    with pytest.raises(KeyError, match="data.train.pipeline: Collect: there is no 'colour'"):
        dataset[0]

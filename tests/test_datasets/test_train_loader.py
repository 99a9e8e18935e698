"""Batches: the same whoever loads them, and errors that say what failed."""

from itertools import islice

import cv2
import numpy as np
import pytest

from msseg.datasets import TrainLoader, build_dataloader, build_dataset, worker_pool
from msseg.datasets.builder import PIPELINES
from msseg.datasets.worker_pool import usable_workers
from tests.test_datasets.data_folder import TRAIN, config, write_images


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('data')
    write_images(folder, 7)
    return folder


def first_batches(dataset, count, start=0, **arguments):
    loader = TrainLoader(
        dataset, **{**dict(samples_per_gpu=2, workers_per_gpu=0, seed=4), **arguments}
    )
    try:
        return list(islice(loader.batches(start), count))
    finally:
        loader.close()


def assert_same(ours, theirs):
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.img, b.img)
        np.testing.assert_array_equal(a.gt, b.gt)
        assert (a.indices, a.filenames) == (b.indices, b.filenames)


def test_batch(root):
    dataset = build_dataset(config(root))
    (batch,) = first_batches(dataset, 1, samples_per_gpu=3)

    assert batch.img.shape == (3, 3, 12, 16) and batch.img.dtype == np.float32
    assert batch.gt.shape == (3, 12, 16) and batch.gt.dtype == np.int32
    assert batch.filenames == [dataset.get_filename(i) for i in batch.indices]


def test_one_batch_is_loaded_in_this_process(root):
    dataset = build_dataset(config(root))
    loader = TrainLoader(dataset, 2, 2, seed=4)
    img, gt = loader.load(3)
    (batch,) = first_batches(dataset, 1, start=3)
    np.testing.assert_array_equal(img, batch.img)
    np.testing.assert_array_equal(gt, batch.gt)


def test_number_of_workers_is_at_most_that_of_cores(monkeypatch, caplog):
    for cores, wish, used in ((8, 0, 0), (8, 1, 1), (8, 5, 5), (4, 6, 4), (1, 0, 0), (1, 3, 1)):
        monkeypatch.setattr(worker_pool, 'num_cores', lambda cores=cores: cores)
        assert usable_workers(wish) == used
    assert 'workers_per_gpu=6 is more than the 4 cores' in caplog.text


@pytest.mark.parametrize('workers', [1, 2, 9])
def test_workers_give_the_same_stream(root, workers):
    dataset = build_dataset(config(root))

    assert_same(
        first_batches(dataset, 8, start=2, workers_per_gpu=workers),
        first_batches(dataset, 8, start=2),
    )


def test_starting_later_skips_without_reading(root, monkeypatch):
    dataset = build_dataset(config(root))
    expected = first_batches(dataset, 9)[6:]
    read = []
    load = type(dataset).__getitem__
    monkeypatch.setattr(type(dataset), '__getitem__', lambda s, i: read.append(i) or load(s, i))

    assert_same(first_batches(dataset, 3, start=6), expected)
    assert read == [i for batch in expected for i in batch.indices]


def test_two_devices_share_one_global_batch(root):
    dataset = build_dataset(config(root))
    one = first_batches(dataset, 5, samples_per_gpu=4)
    two = [first_batches(dataset, 5, rank=r, world_size=2) for r in range(2)]

    for whole, a, b in zip(one, *two, strict=True):
        np.testing.assert_array_equal(whole.img, np.concatenate([a.img, b.img]))
        np.testing.assert_array_equal(whole.gt, np.concatenate([a.gt, b.gt]))


def test_epochs(root):
    loader = TrainLoader(build_dataset(config(root)), 2, 0, seed=0, world_size=1)

    assert (loader.global_batch, loader.iters_per_epoch) == (2, 3)
    assert TrainLoader(loader.dataset, 2, 0, seed=0, world_size=2).global_batch == 4


def test_small_data_set_is_repeated(root, caplog):
    dataset = build_dataset(config(root, num_samples=2))
    (batch,) = first_batches(dataset, 1, samples_per_gpu=5)

    assert sorted(set(batch.indices)) == [0, 1] and len(batch.indices) == 5
    assert len({img.tobytes() for img in batch.img}) > 2
    assert 'fewer than a batch of 5' in caplog.text


def test_transforms_written_for_upstream_are_reproducible(root):
    @PIPELINES.register_module(force=True)
    class AddNoise:
        def __call__(self, results):
            results['img'] = results['img'] + np.float32(np.random.rand())
            return results

    pipeline = [*TRAIN[:-2], dict(type='AddNoise'), *TRAIN[-2:]]
    dataset = build_dataset(config(root, pipeline=pipeline))
    PIPELINES.module_dict.pop('AddNoise')

    assert_same(first_batches(dataset, 4, workers_per_gpu=2), first_batches(dataset, 4))


@pytest.mark.parametrize('workers', [0, 2])
def test_failing_sample_raises_its_own_error(tmp_path, workers):
    write_images(tmp_path, 4)
    dataset = build_dataset(config(tmp_path))
    (tmp_path / 'img/train/image2.jpg').unlink()

    with pytest.raises(FileNotFoundError, match='image2.jpg: there is no such file'):
        first_batches(dataset, 9, workers_per_gpu=workers)
    cv2.imwrite(str(tmp_path / 'img/train/image2.jpg'), np.zeros((20, 30, 3), np.uint8))
    cv2.imwrite(str(tmp_path / 'ann/train/image2.png'), np.full((20, 30), 9, np.uint8))
    with pytest.raises(ValueError, match=r'image2.png: label values 9 \(600 px\)'):
        first_batches(dataset, 9, workers_per_gpu=workers)


@pytest.mark.parametrize(
    'drop, message',
    [
        ((2,), r'image\d.jpg is \(3, 2[05], 30\) after the pipeline, but .*image\d.jpg is'),
        ((5, 6), 'end it with DefaultFormatBundle and Collect|expected .c, h, w. and .1, h, w.'),
        ((1, 2), "'gt_semantic_seg'"),
    ],
)
def test_pipeline_that_makes_no_batch(tmp_path, drop, message):
    write_images(tmp_path, 4)
    for kind in ('img', 'ann'):
        name = 'image1.jpg' if kind == 'img' else 'image1.png'
        cv2.imwrite(str(tmp_path / kind / 'train' / name), np.zeros((25, 30), np.uint8))
    pipeline = [t for i, t in enumerate(TRAIN) if i not in drop]
    dataset = build_dataset(config(tmp_path, pipeline=pipeline))

    with pytest.raises((ValueError, KeyError), match=message):
        first_batches(dataset, 3)


def test_wrong_numbers(root):
    dataset = build_dataset(config(root))
    for arguments, message in (
        (dict(samples_per_gpu=0), 'samples_per_gpu is 0, expected a whole number from 1'),
        (dict(workers_per_gpu=-1), 'workers_per_gpu is -1'),
        (dict(seed=-1), 'seed is -1'),
        (dict(seed=0.5), 'seed is 0.5'),
        (dict(worker_timeout=0), 'worker_timeout is 0, expected a number above 0'),
        (dict(worker_timeout='1'), "worker_timeout is '1'"),
        (dict(worker_timeout=True), 'worker_timeout is True'),
    ):
        with pytest.raises(ValueError, match=message):
            first_batches(dataset, 1, **arguments)
    with pytest.raises(ValueError, match='list is empty'):
        TrainLoader([], 1, 0, 0)


def test_build_dataloader(root):
    train = build_dataloader(build_dataset(config(root)), 2, 0)
    test = build_dataloader(build_dataset(config(root, test_mode=True)))

    assert (type(train).__name__, type(test).__name__) == ('TrainLoader', 'EvalLoader')
    assert train.worker_timeout == test.worker_timeout == 50
    quick = [build_dataloader(d.dataset, 2, 0, worker_timeout=9) for d in (train, test)]
    assert [loader.worker_timeout for loader in quick] == [9, 9]

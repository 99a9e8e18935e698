"""Data sets joined and repeated."""

import numpy as np
import pytest

from msseg.datasets import ConcatDataset, RepeatDataset, build_dataset
from msseg.datasets.sample_rng import load_sample
from tests.test_datasets.data_folder import config, write_images


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path, 2, 'a')
    write_images(tmp_path, 3, 'b', first=5)
    return tmp_path


def two_folders(root, **changes):
    folders = dict(img_dir=['img/a', 'img/b'], ann_dir=['ann/a', 'ann/b'])
    return config(root, **{**folders, **changes})


def files(dataset):
    return [dataset.get_filename(i).rsplit('/', 2)[1:] for i in range(len(dataset))]


def test_folders_are_joined(root):
    cfg = two_folders(root, separate_eval=False)
    before = dict(cfg)
    dataset = build_dataset(cfg)

    assert isinstance(dataset, ConcatDataset) and dataset.separate_eval is False
    assert cfg == before
    expected = [['a', 'image0.jpg'], ['a', 'image1.jpg']]
    expected += [['b', f'image{i}.jpg'] for i in (5, 6, 7)]
    assert files(dataset) == expected
    assert [info['filename'] for info in dataset.img_infos] == [name for _, name in expected]
    np.testing.assert_array_equal(dataset.get_gt_seg_map(3), dataset.datasets[1].get_gt_seg_map(1))
    assert dataset.get_dataset_idx_and_sample_idx(-1) == (1, 2)
    with pytest.raises(IndexError, match='index 5 is outside its 5 samples'):
        dataset[5]
    dataset.check_labels()


def test_list_of_configs_and_config_of_the_wrapper(root):
    parts = [config(root, img_dir=f'img/{f}', ann_dir=f'ann/{f}') for f in 'ab']

    for cfg in (parts, dict(type='ConcatDataset', datasets=parts)):
        assert len(build_dataset(cfg)) == 5
    repeated = build_dataset(dict(type='RepeatDataset', times=3, dataset=parts[0]))
    assert len(repeated) == 6
    assert files(repeated) == [['a', 'image0.jpg'], ['a', 'image1.jpg']] * 3
    assert len(repeated.img_infos) == 6
    np.testing.assert_array_equal(repeated.get_gt_seg_map(3), repeated.get_gt_seg_map(1))
    testing = build_dataset(two_folders(root, num_samples=1), dict(test_mode=False))
    assert len(testing) == 2


def test_splits_of_one_folder(root):
    (root / '0.txt').write_text('image5')
    (root / '1.txt').write_text('image7\nimage6')
    cfg = config(root, img_dir='img/b', ann_dir='ann/b', split=['0.txt', '1.txt'])

    assert [f for _, f in files(build_dataset(cfg))] == ['image5.jpg', 'image7.jpg', 'image6.jpg']


def test_repeated_sample_is_augmented_anew(root):
    part = config(root, img_dir='img/a', ann_dir='ann/a')
    repeated = build_dataset(dict(type='RepeatDataset', times=4, dataset=part))
    imgs = [load_sample(repeated, i, seed=0, epoch=0)['img'].tobytes() for i in range(0, 8, 2)]

    assert len(set(imgs)) > 1


def test_results_of_each_part_get_a_folder(root):
    dataset = build_dataset(two_folders(root))
    written = dataset.format_results([np.zeros((2, 2))] * 2, str(root / 'out'), [1, 2])

    assert [f.rsplit('/', 2)[1:] for f in written] == [['0', 'image1.png'], ['1', 'image5.png']]


def test_results_of_a_repeated_set_are_those_of_its_images(root):
    part = config(root, img_dir='img/a', ann_dir='ann/a')
    repeated = build_dataset(dict(type='RepeatDataset', times=2, dataset=part))
    written = repeated.format_results([np.zeros((2, 2))] * 2, str(root / 'out'), [1, 3])

    assert [f.rsplit('/', 1)[1] for f in written] == ['image1.png', 'image1.png']


def test_mistakes(root):
    with pytest.raises(ValueError, match='equally long.*img_dir.: 2, .ann_dir.: 1'):
        build_dataset(two_folders(root, ann_dir=['ann/a']))
    with pytest.raises(ValueError, match='give one img_dir for each ann_dir'):
        build_dataset(two_folders(root, img_dir='img/a'))
    with pytest.raises(ValueError, match='no data set to join'):
        ConcatDataset([])
    part = build_dataset(config(root, img_dir='img/a', ann_dir='ann/a'))
    other = build_dataset(config(root, img_dir='img/a', ann_dir='ann/a', classes=list('xyz')))
    with pytest.raises(ValueError, match='CLASSES of the data sets differ'):
        ConcatDataset([part, other])
    with pytest.raises(TypeError, match="separate_eval is 'no'"):
        ConcatDataset([part], separate_eval='no')
    with pytest.raises(ValueError, match='times is 0'):
        RepeatDataset(part, 0)
    with pytest.raises(IndexError, match='index 4 is outside its 4 samples'):
        RepeatDataset(part, 2)[4]
    with pytest.raises(TypeError, match=r"img_dir is \['a', 'b'\], expected a path"):
        type(part)(pipeline=[], img_dir=['a', 'b'])


LOADING = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]


def mixed(root, pipeline, **changes):
    inner = config(root, img_dir='img/b', ann_dir='ann/b', pipeline=LOADING)
    return dict(type='MultiImageMixDataset', dataset=inner, pipeline=pipeline, **changes)


class Twice:
    """Remembers what it is mixed with."""

    def __init__(self):
        self.seen = []

    def get_indexes(self, dataset):
        return len(dataset) - 1

    def __call__(self, results):
        self.seen.append([other['img_info']['filename'] for other in results['mix_results']])
        return results


def test_samples_are_mixed_with_those_that_transforms_choose(root):
    transform = Twice()
    dataset = build_dataset(mixed(root, [transform, dict(type='RandomFlip', prob=1.0), transform]))
    sample = dataset[0]
    assert transform.seen == [['image7.jpg'], ['image7.jpg']]
    assert 'mix_results' not in sample and sample['flip']
    assert len(dataset) == 3 and files(dataset)[0] == ['b', 'image5.jpg']
    dataset.update_skip_type_keys(['Twice'])
    assert dataset[0]['flip'] and len(transform.seen) == 2
    dataset.update_skip_type_keys(None)
    dataset.check_labels()


def test_mosaics_are_a_function_of_seed_epoch_and_index(root):
    mosaic = dict(type='RandomMosaic', prob=1.0, img_scale=(6, 8))
    dataset = build_dataset(mixed(root, [mosaic]))
    first, again, later = (load_sample(dataset, 1, 5, epoch)['img'] for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape == later.shape == (12, 16, 3)
    assert (first != later).any()


def test_mixing_is_for_training_and_its_inner_data_set_may_be_wrapped(root):
    inner = dict(type='RepeatDataset', times=2, dataset=mixed(root, [])['dataset'])
    assert len(build_dataset({**mixed(root, []), 'dataset': inner})) == 6
    outer = dict(type='RepeatDataset', times=2, dataset=mixed(root, []))
    assert len(build_dataset(outer)) == 6
    with pytest.raises(ValueError, match='MultiImageMixDataset: it mixes images.*training only'):
        build_dataset(mixed(root, []), dict(test_mode=True))

"""What holds for every transform: determinism, an unharmed config, documented keys."""

import copy
import re

import cv2
import numpy as np
import pytest

from msseg.datasets.builder import PIPELINES
from msseg.registry import build_from_cfg
from tests.test_datasets.test_pipelines.upstream_cases import make_sample

NORMALIZE = dict(type='Normalize', mean=[10.0, 20.0, 30.0], std=[2.0, 3.0, 4.0])
AUGMENTED = dict(
    type='MultiScaleFlipAug',
    img_scale=(40, 30),
    img_ratios=[0.5, 1.0],
    flip=True,
    transforms=[dict(type='Resize'), dict(type='RandomFlip'), NORMALIZE],
)
CONFIGS = {
    'AdjustGamma': dict(gamma=2.0),
    'BandDistortion': {},
    'CLAHE': dict(tile_grid_size=[4, 4]),
    'Collect': dict(keys=['img'], meta_keys=['img_shape']),
    'Compose': dict(transforms=[dict(type='RandomFlip', prob=0.5), NORMALIZE]),
    'DefaultFormatBundle': {},
    'ImageToTensor': dict(keys=['img']),
    'LoadAnnotations': {},
    'LoadImageFromFile': dict(to_float32=True),
    'MultiScaleFlipAug': {k: v for k, v in AUGMENTED.items() if k != 'type'},
    'Normalize': {k: v for k, v in NORMALIZE.items() if k != 'type'},
    'Pad': dict(size=[40, 50], pad_val=[1, 2, 3]),
    'PhotoMetricDistortion': {},
    'RGB2Gray': {},
    'RandomCrop': dict(crop_size=[12, 16], cat_max_ratio=0.75),
    'RandomCutOut': dict(prob=0.9, n_holes=[1, 3], cutout_shape=[[4, 9], [8, 3]], seg_fill_in=255),
    'RandomFlip': dict(prob=0.5),
    'RandomMosaic': dict(prob=0.9, img_scale=[20, 30]),
    'RandomRotate': dict(prob=0.9, degree=20.0),
    'RareClassCrop': dict(crop_size=[12, 16], classes=[1], prob=0.9),
    'Rerange': {},
    'Resize': dict(img_scale=[60, 40], ratio_range=[0.5, 2.0]),
    'ResizeToMultiple': dict(size_divisor=16),
    'SegRescale': dict(scale_factor=0.5),
    'ToTensor': dict(keys=['img', 'scale_factor']),
    'Transpose': dict(keys=['img'], order=[2, 0, 1]),
}
KEYS = {
    'img', 'gt_semantic_seg', 'seg_fields', 'rng', 'scale', 'scale_idx', 'img_shape', 'pad_shape',
    'ori_shape', 'scale_factor', 'keep_ratio', 'flip', 'flip_direction', 'pad_fixed_size',
    'pad_size_divisor', 'img_norm_cfg', 'img_prefix', 'img_info', 'seg_prefix', 'ann_info',
    'filename', 'ori_filename', 'label_map', 'class_map', 'num_classes', 'ignore_index',
    'reduce_zero_label', 'mix_results', 'no_data',
}  # fmt: skip
OF_OTHERS = {'Collect', 'Compose', 'MultiScaleFlipAug', 'ImageToTensor', 'ToTensor', 'Transpose'}


class Watched(dict):
    """A dict that remembers what was read and written."""

    def __init__(self, *args):
        super().__init__(*args)
        self.read, self.written = set(), set()

    def __getitem__(self, key):
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key, default=None):
        self.read.add(key)
        return super().get(key, default)

    def __contains__(self, key):
        self.read.add(key)
        return super().__contains__(key)

    def __setitem__(self, key, value):
        self.written.add(key)
        super().__setitem__(key, value)

    def setdefault(self, key, default=None):
        if not super().__contains__(key):
            self.written.add(key)
        self.read.add(key)
        return super().setdefault(key, default)

    def update(self, *args, **kwargs):
        self.written.update(dict(*args, **kwargs))
        super().update(*args, **kwargs)

    def copy(self):
        return Watched(self)


@pytest.fixture
def sample(tmp_path):
    made = make_sample()
    cv2.imwrite(str(tmp_path / 'a.png'), made['img'])
    cv2.imwrite(str(tmp_path / 'a_label.png'), made['gt_semantic_seg'])
    files = dict(
        img_prefix=str(tmp_path),
        seg_prefix=str(tmp_path),
        img_info=dict(filename='a.png'),
        ann_info=dict(seg_map='a_label.png'),
    )
    mixed = {'mix_results': [make_sample() for _ in range(3)]}
    return {**made, **files, **mixed, 'num_classes': 4, 'ignore_index': 255}


def build(name):
    return build_from_cfg(dict(type=name, **CONFIGS[name]), PIPELINES)


def run(transform, sample, seed):
    results = Watched(copy.deepcopy(sample))
    results.update(rng=np.random.default_rng(seed))
    results.written.clear()
    return results, transform(results)


def comparable(value):
    if isinstance(value, dict):
        return {k: comparable(v) for k, v in value.items() if k != 'rng'}
    if isinstance(value, (list, tuple)):
        return [comparable(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


def test_every_transform_is_tried():
    assert set(PIPELINES.module_dict) >= set(CONFIGS)
    own = {n for n, c in PIPELINES.module_dict.items() if c.__module__.startswith('msseg.')}
    assert own == set(CONFIGS)


@pytest.mark.parametrize('name', CONFIGS)
def test_same_generator_same_result_whatever_the_global_state(name, sample):
    transform = build(name)
    np.random.seed(1)
    first = comparable(run(transform, sample, 7)[1])
    np.random.seed(2)
    state = np.random.get_state()[1].copy()
    second = comparable(run(transform, sample, 7)[1])

    assert first == second
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    'name',
    [
        'BandDistortion',
        'PhotoMetricDistortion',
        'RandomCrop',
        'RandomRotate',
        'RandomCutOut',
        'Resize',
    ],
)
def test_other_generators_give_other_results(name, sample):
    transform = build(name)
    outcomes = {repr(comparable(run(transform, sample, seed)[1]['img'])) for seed in range(6)}

    assert len(outcomes) > 1


@pytest.mark.parametrize('name', CONFIGS)
def test_config_is_not_changed_and_repr_names_the_transform(name, sample):
    cfg = dict(type=name, **copy.deepcopy(CONFIGS[name]))
    before = copy.deepcopy(cfg)
    transform = build_from_cfg(cfg, PIPELINES)
    run(transform, sample, 0)

    assert cfg == before
    assert repr(transform).startswith(name)


@pytest.mark.parametrize('name', CONFIGS)
def test_arrays_of_the_caller_are_not_changed(name, sample):
    before = copy.deepcopy(sample)
    results = Watched(sample)
    results.update(rng=np.random.default_rng(3), seg_fields=list(sample['seg_fields']))
    build(name)(results)

    assert comparable(sample) == comparable(before)


@pytest.mark.parametrize('name', sorted(set(CONFIGS) - OF_OTHERS))
def test_reads_and_writes_what_its_docstring_says(name, sample):
    doc = ' '.join(PIPELINES.get(name).__doc__.split())
    found = re.search(r'(?:Reads: (.*?)\. )?(?:Writes: (.*?)\. )', doc)
    may_read, may_write = (
        set(re.findall(r'\w+', part or '')) & KEYS
        | ({'gt_semantic_seg'} if 'label' in (part or '') else set())
        for part in found.groups()
    )
    for seed in range(5):
        results, _ = run(build(name), sample, seed)

        assert results.read - may_write <= may_read
        assert results.written <= may_write


def test_rng_must_be_a_generator(sample):
    sample['rng'] = np.random.RandomState(0)

    with pytest.raises(TypeError, match=r"results\['rng'\].*expected a numpy.random.Generator"):
        build('RandomFlip')(sample)

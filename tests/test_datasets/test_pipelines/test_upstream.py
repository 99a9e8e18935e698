"""Seeding numpy gives MMSegmentation's result: same values, same keys, same draws."""

from pathlib import Path

import numpy as np
import pytest

from msseg.datasets.pipelines import Compose
from tests.test_datasets.test_pipelines.upstream_cases import CASES, META_KEYS, make_sample

STORED = np.load(Path(__file__).parents[2] / 'data' / 'upstream_transforms.npz')


@pytest.mark.parametrize('name', CASES)
def test_transform_gives_upstreams_result(name):
    transforms, seeds = CASES[name]
    pipeline = Compose(transforms)
    for seed in range(seeds):
        np.random.seed(seed)
        results = pipeline(make_sample())
        next_draw = np.random.randint(2**31)

        assert next_draw == STORED[f'{name}/{seed}/next_draw'], 'other random numbers were drawn'
        for key in ('img', 'gt_semantic_seg', *META_KEYS):
            if f'{name}/{seed}/{key}' in STORED:
                expected = STORED[f'{name}/{seed}/{key}']
                got = np.asarray(results[key])
                assert got.dtype.kind == expected.dtype.kind, key
                np.testing.assert_array_equal(got, expected, err_msg=f'{key}, seed {seed}')

"""Write upstream_transforms.npz: what MMSegmentation gives for the cases of the tests.

Run where mmsegmentation 0.30.0, mmcv 1.7.2 and torch are installed (they are no dependencies):
    python tests/data/make_upstream_transforms.py
"""

import sys
from pathlib import Path

import numpy as np
from mmseg.datasets.pipelines import Compose

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / 'test_datasets' / 'test_pipelines'))
from upstream_cases import CASES, META_KEYS, make_sample  # noqa: E402

arrays = {}
for name, (transforms, seeds) in CASES.items():
    pipeline = Compose(transforms)
    for seed in range(seeds):
        np.random.seed(seed)
        sample = make_sample()
        start = dict(sample)
        results = pipeline(sample)
        arrays[f'{name}/{seed}/img'] = results['img']
        arrays[f'{name}/{seed}/gt_semantic_seg'] = results['gt_semantic_seg']
        for key in META_KEYS:
            if key in results and results[key] is not None and results[key] is not start.get(key):
                arrays[f'{name}/{seed}/{key}'] = np.asarray(results[key])
        arrays[f'{name}/{seed}/next_draw'] = np.asarray(np.random.randint(2**31))
np.savez_compressed(HERE / 'upstream_transforms.npz', **arrays)

"""MMSegmentation 0.30's own config files with an HRNet backbone load and build here, unmodified.

Configs of this repository that have a file of the same name there are compared with it.

The package is installed for its config files alone and never imported.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections import Counter
from pathlib import Path

import pytest

from msseg.apis.config_schema import load_config
from msseg.config import Config
from tests.test_configs.shapes import built_shapes, expected_shapes, upstream_shapes

NUM_CLASSES = dict(
    cityscapes=19,
    ade20k=150,
    voc12aug=21,
    pascal_context=60,
    pascal_context_59=59,
    vaihingen=6,
    potsdam=6,
    isaid=16,
    loveda=7,
)
ROOT = Path(__file__).parents[2]
_NAME = re.compile(r'configs/(?:hrnet|ocrnet)/((ocrnet|fcn)_(hr18s|hr18|hr48)_\w+?k_(\w+))\.py$')


def upstream_files() -> dict[str, tuple[Path, str, str, int]]:
    distribution = importlib.metadata.distribution('mmsegmentation')
    assert distribution.version == '0.30.0'
    found = {}
    for file in distribution.files or ():
        if match := _NAME.search(file.as_posix()):
            name, method, width, dataset = match.groups()
            found[name] = Path(file.locate()), method, width, NUM_CLASSES[dataset]
    return found


FILES = upstream_files()


def test_all_of_them_are_found():
    families = [(method, width) for _, method, width, _ in FILES.values()]
    counts = {family: families.count(family) for family in set(families)}
    assert counts == {
        ('fcn', 'hr18s'): 15,
        ('fcn', 'hr18'): 15,
        ('fcn', 'hr48'): 15,
        ('ocrnet', 'hr18s'): 7,
        ('ocrnet', 'hr18'): 7,
        ('ocrnet', 'hr48'): 7,
    }


def test_the_reference_names_have_upstreams_counts():
    assert [len(upstream_shapes(width)) for width in ('hr18s', 'hr18', 'hr48')] == [769, 1574, 1574]


@pytest.mark.parametrize('name', FILES)
def test_an_unmodified_config_builds_upstreams_model(name):
    file, method, width, num_classes = FILES[name]
    cfg = Config.fromfile(file)
    assert built_shapes(cfg) == expected_shapes(method, width, num_classes)
    assert Config.fromstring(cfg.pretty_text, '.py')._cfg_dict == cfg._cfg_dict


@pytest.mark.parametrize('name', FILES)
def test_an_unmodified_config_passes_the_strict_check(name):
    cfg = load_config(str(FILES[name][0]))
    assert 'cudnn_benchmark' not in cfg and 'pre_eval' not in cfg.evaluation


UPSTREAM = Path(importlib.metadata.distribution('mmsegmentation').locate_file('mmseg/.mim/configs'))
OWN = sorted(
    path.relative_to(ROOT / 'configs').as_posix()
    for path in ROOT.glob('configs/*/*.py')
    if (UPSTREAM / path.parent.name / path.name).exists() and path.parent.name != '_base_'
)


def test_the_families_here_that_upstream_has_too():
    assert Counter(name.partition('/')[0] for name in OWN) == dict(
        hrnet=9,
        ocrnet=9 + 3 + 3,
        pspnet=5,
        deeplabv3plus=4,
        upernet=4,
        unet=9,
        mobilenet_v2=4,
        mobilenet_v3=2,
        bisenetv1=2,
        bisenetv2=1,
        stdc=4,
        fastscnn=1,
        cgnet=2,
        erfnet=1,
    )


@pytest.mark.parametrize('file', OWN)
def test_a_config_of_upstreams_name_says_the_same(file):
    own, upstream = load_config(str(ROOT / 'configs' / file)), load_config(str(UPSTREAM / file))
    for part in ('model', 'optimizer', 'optimizer_config', 'lr_config', 'data'):
        assert plain(own[part]) == plain(upstream[part]), part
    runner = upstream.get('runner') or dict(
        type='IterBasedRunner', max_iters=upstream.get('total_iters')
    )
    assert own.runner == runner
    assert own.checkpoint_config == upstream.checkpoint_config
    assert own.evaluation == upstream.evaluation


def plain(value):
    """Lists for tuples, roots without a last slash, today's names of arguments.

    What the data set says on zero is enough.
    """
    if isinstance(value, dict):
        names = dict(flip_ratio='prob')
        return {names.get(k, k): plain(v) for k, v in value.items() if k != 'reduce_zero_label'}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.rstrip('/') if isinstance(value, str) else value

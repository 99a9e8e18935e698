"""How many of MMSegmentation 0.30's config files load and build here, and what others lack."""

import importlib.metadata
from collections import Counter
from pathlib import Path

import pytest

from msseg.apis.config_schema import get_schema
from msseg.config import Config
from msseg.config.checking import find_problems
from tests.test_configs.shapes import built_shapes

CONFIGS = Path(importlib.metadata.distribution('mmsegmentation').locate_file('mmseg/.mim/configs'))
FILES = sorted(CONFIGS.glob('[!_]*/*.py'))
# Folders all of whose files load.
WHOLE = [
    'ann',
    'apcnet',
    'beit',
    'bisenetv1',
    'bisenetv2',
    'ccnet',
    'cgnet',
    'convnext',
    'danet',
    'deeplabv3',
    'deeplabv3plus',
    'dmnet',
    'dnlnet',
    'dpt',
    'emanet',
    'encnet',
    'erfnet',
    'fastfcn',
    'fastscnn',
    'fcn',
    'gcnet',
    'hrnet',
    'icnet',
    'isanet',
    'knet',
    'mae',
    'mobilenet_v2',
    'mobilenet_v3',
    'nonlocal_net',
    'ocrnet',
    'point_rend',
    'poolformer',
    'psanet',
    'pspnet',
    'resnest',
    'segmenter',
    'sem_fpn',
    'setr',
    'stdc',
    'twins',
    'unet',
    'upernet',
    'vit',
]


def load(file):
    """Load a file; return the config, and the parts that it lacks here; all else is an error."""
    cfg = Config.fromfile(file)
    problems = list(find_problems(cfg, get_schema()))
    assert [str(each.error) for each in problems if each.kind != 'type'] == []
    return cfg, {str(each.node.get('type')) for each in problems}


def describe(found):
    """Return the counts as text."""
    lacking = [(file.parent.name, missing) for file, (_, missing) in found.items() if missing]
    parts = Counter(part for _, missing in lacking for part in missing)
    folders = Counter(folder for folder, _ in lacking)
    count = ', '.join(f'{name} {number}' for name, number in parts.most_common())
    return (
        f'{len(found) - len(lacking)} of {len(found)} config files of MMSegmentation 0.30 load; '
        f'files that lack a part: {count or "none"}; by folder: {dict(folders)}'
    )


def test_the_files_that_load_and_the_parts_that_others_lack(capsys):
    found = {file: load(file) for file in FILES}
    with capsys.disabled():
        print(f'\n{describe(found)}')
    assert len(found) == 644  # 638 and six whose names contain _base_, the size of a backbone
    assert {file.parent.name for file, (_, lacks) in found.items() if lacks}.isdisjoint(WHOLE)


@pytest.mark.parametrize('folder', WHOLE)
def test_a_file_of_each_folder_builds(folder):
    """The endurance tests build all models."""
    cfg, _ = load(min(file for file in FILES if file.parent.name == folder))
    assert built_shapes(cfg)

"""Every config of this repository loads, passes the strict check and builds its model."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from msseg.apis.config_schema import load_config
from msseg.config import Config
from tests.test_configs.shapes import built_shapes, expected_shapes

ROOT = Path(__file__).parents[2]
CONFIGS = sorted(
    file.relative_to(ROOT).as_posix()
    for file in ROOT.glob('configs/*/*.py')
    if file.parent.name != '_base_'
)
BASES = sorted(file.relative_to(ROOT).as_posix() for file in ROOT.glob('configs/_base_/**/*.py'))


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_there_are_configs():
    assert len(CONFIGS) >= 20 and len(BASES) >= 15


@pytest.mark.parametrize('file', CONFIGS)
def test_a_config_passes_the_strict_check_and_builds(file):
    cfg = load_config(file)
    assert built_shapes(cfg)
    assert Config.fromstring(cfg.pretty_text, '.py')._cfg_dict == cfg._cfg_dict
    heads = cfg.model.decode_head
    heads = heads if isinstance(heads, list) else [heads]
    heads = [head.get('kernel_generate_head', head) for head in heads]  # K-Net's first one
    assert len({head.num_classes for head in heads}) == 1


@pytest.mark.parametrize('file', CONFIGS)
def test_a_configs_docstring_says_where_it_comes_from_and_what_to_expect(file):
    docstring = ast.get_docstring(ast.parse(Path(file).read_text()))
    headings = re.findall(r'^([A-Z]\w+):', docstring, re.MULTILINE)
    assert headings == ['Paper', 'Command', 'Hardware', 'Expected']
    assert f'python tools/train.py {file}' in docstring
    assert re.search(r'^Paper: .+?https?://\S+$', docstring, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize('file', BASES)
def test_a_base_has_a_docstring_and_loads(file):
    assert ast.get_docstring(ast.parse(Path(file).read_text()))
    Config.fromfile(file)


@pytest.mark.parametrize('width', ['hr18s', 'hr18', 'hr48'])
@pytest.mark.parametrize(('folder', 'method'), [('ocrnet', 'ocrnet'), ('hrnet', 'fcn')])
@pytest.mark.parametrize('iters', [40, 80, 160])
def test_the_cityscapes_families(folder, method, width, iters):
    cfg = load_config(f'configs/{folder}/{method}_{width}_512x1024_{iters}k_cityscapes.py')
    assert built_shapes(cfg) == expected_shapes(method, width, 19)
    assert cfg.runner.max_iters == iters * 1000
    assert cfg.checkpoint_config.interval == cfg.evaluation.interval == iters * 100


def test_the_model_zoos_recipe():
    cfg = load_config('configs/ocrnet/ocrnet_hr48_512x1024_1000e_cityscapes-model-zoo.py')
    dropout_counter = {'decode_head.1.dropout.state': (2,)}
    assert built_shapes(cfg) == expected_shapes('ocrnet', 'hr48', 19) | dropout_counter
    assert cfg.optimizer.lr == 0.0013
    assert cfg.lr_config == dict(policy='gaussian', power=4e-10, by_epoch=False)
    assert cfg.runner == dict(type='EpochBasedRunner', max_epochs=1000)
    assert (cfg.checkpoint_config.interval, cfg.checkpoint_config.max_keep_ckpts) == (20, 20)
    assert (cfg.evaluation.interval, cfg.data.samples_per_gpu) == (50, 4)
    assert cfg.data.train.split == 'train.lst' and cfg.data.val.split == 'val.lst'
    losses = [head.loss_decode for head in cfg.model.decode_head]
    assert [loss.loss_weight for loss in losses] == [0.4, 1.0]
    assert all(len(loss.class_weight) == 19 for loss in losses)
    assert [t.crop_size for t in cfg.data.train.pipeline if t.type == 'RandomCrop'] == [(512, 1024)]


def test_the_two_layouts_of_the_synthetic_streets_differ_in_their_lists_alone():
    name = 'configs/ocrnet/ocrnet_small_128x256_400_synthetic-cityscapes'
    folders, lists = load_config(f'{name}.py'), load_config(f'{name}-lists.py')
    for split in ('train', 'val', 'test'):
        for key in ('img_dir', 'ann_dir', 'split'):
            folders.data[split].pop(key, None)
            lists.data[split].pop(key, None)
    assert folders._cfg_dict == lists._cfg_dict
    assert folders.data.train.data_root == folders.data.val.data_root

"""The catalogue names what configs name, and every checkpoint of MMSegmentation's metafiles."""

import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from msseg.convert import known_styles
from msseg.models import BACKBONES
from msseg.weights import find_entry, find_file, list_entries, parse_source
from msseg.weights.catalogue import hint_at_original

DOCS = Path(__file__).parents[2] / 'docs'
ENTRIES = {entry.name: entry for entry in list_entries()}


@pytest.fixture(scope='module')
def script():
    sys.path.insert(0, str(DOCS))
    try:
        import weights

        yield weights
    finally:
        sys.path.remove(str(DOCS))
        sys.modules.pop('weights', None)


@pytest.fixture(scope='module')
def models(script):
    return script.read_metafiles()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path))
    monkeypatch.delenv('MSSEG_DOWNLOAD', raising=False)
    return tmp_path


def test_every_checkpoint_of_the_metafiles_is_found_for_its_config(models, home):
    assert len(models) == 602
    for model in models:
        name, address = model['Name'], model['Weights']
        file = address.rpartition('/')[2]
        entry = find_entry(name)
        with pytest.raises(FileNotFoundError) as caught:
            find_file(f'mmseg://{name}', 'checkpoint')
        message = str(caught.value)
        assert f'get it from {address} and put it to {str(home / file)!r}' in message
        assert f'({entry.size})' in message
        assert 'about ' in entry.size
        assert '--download or MSSEG_DOWNLOAD=1' in message
        assert parse_source(address, 'load_from') is entry
        assert entry.fits == model['Config'].removeprefix('configs/').removesuffix('.py')
        assert entry.digits == re.search(r'-([0-9a-f]{8})\.pth$', file)[1]
        metrics = model['Results'][0]['Metrics']
        assert (entry.figure, entry.metric) == (metrics[entry.metric], entry.metric)
        assert entry.data == model['Results'][0]['Dataset']
        (home / file).touch()
        assert find_file(f'mmseg://{name}', 'checkpoint') == home / file


def test_every_name_that_a_config_of_mmsegmentation_has_is_known(script):
    text = ''.join(path.read_text('utf-8') for path in script.upstream_configs().glob('*/*.py'))
    names = set(re.findall(r"'((?:open-mmlab|torchvision|mmcls|https?)://[^']+)'", text))
    assert len(names) > 40
    assert {name for name in names if not parse_source(name, 'x').kind} == set()
    paths = set(re.findall(r"'(?:\./)?(pretrain/[^']+)'", text))
    assert {path for path in paths if not hint_at_original(path)} == set()


def test_every_name_that_a_config_here_has_is_known():
    files = (DOCS.parent / 'configs').rglob('*.py')
    text = ''.join(path.read_text('utf-8') for path in files)
    names = set(re.findall(r"'((?:open-mmlab|torchvision|mmcls|mmseg|timm|hf)://[^']+)'", text))
    assert len(names) > 8
    assert {name for name in names if not parse_source(name, 'x').kind} == set()


def test_the_file_is_what_the_script_writes(script):
    statistics, sections, _ = script.make_catalogue()
    for name in ('cgnet_680x680_60k_cityscapes', 'segmenter_vit-t_mask_8x1_512x512_160k_ade20k'):
        entry = find_entry(name)
        known = statistics[script.statistics_of(entry.fits, statistics)]
        assert known == [list(entry.statistics.mean), list(entry.statistics.std), True]
    stored = json.loads(script.CATALOGUE.read_text('utf-8'))
    assert stored == json.loads(json.dumps({'statistics': statistics, 'sections': sections}))
    assert script.CATALOGUE.stat().st_size < 180_000


def test_entries_are_whole():
    assert max(Counter(entry.file for entry in ENTRIES.values()).values()) == 1
    for entry in ENTRIES.values():
        assert entry.address.startswith('https://')
        assert entry.licence and entry.data and entry.fits and entry.statistics
        assert entry.kind in ('model', 'backbone')
        assert entry.style == 'backbone' or entry.style in known_styles()
        assert len(entry.statistics.mean) == len(entry.statistics.std) == 3
        if match := re.match(r'(\w+)\(', entry.fits):
            assert match[1] in BACKBONES

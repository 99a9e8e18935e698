"""Configs by name: msseg's own, and files of the present folder before them."""

import json
import os
from pathlib import Path

import pytest

from msseg.commands import main
from msseg.config import Config, own_configs
from msseg.config.find_base import find_config, is_config
from msseg.config.own_configs import family_of, list_configs, own_folder, own_names

NAME = 'fast_scnn_lr0.12_8x4_160k_cityscapes'
PATH = own_folder() / 'fastscnn' / f'{NAME}.py'


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    'name',
    [
        NAME,
        f'{NAME}.py',
        f'fastscnn/{NAME}',
        f'fastscnn/{NAME}.py',
        f'msseg::{NAME}',
        f'msseg::fastscnn/{NAME}.py',
        f'configs/fastscnn/{NAME}.py',
    ],
)
def test_an_own_config_has_these_names(name, capfd):
    assert Path(find_config(name)) == PATH
    assert is_config(name)
    assert Config.fromfile(name).filename == str(PATH)
    said = capfd.readouterr().err
    assert ('taken from msseg::fastscnn/' in said) == name.startswith('configs/')


@pytest.mark.parametrize(
    'name', ['', 'x', f'unet/{NAME}', f'a/fastscnn/{NAME}', f'_base_/{NAME}', NAME[:-1], '../x.py']
)
def test_other_names_are_left_alone(name):
    assert find_config(name) == name


def test_every_own_config_has_a_name_of_its_own_and_is_listed_with_figures(capsys):
    files = [f for f in own_folder().glob('*/*.py') if f.parent.name != '_base_']
    assert sorted(own_names()) == sorted(f.stem for f in files) == sorted(list_configs())
    main(['models', '--json'])
    rows = json.loads(capsys.readouterr().out)
    assert {name: row['family'] for name, row in rows.items()} == {
        f.stem: f.parent.name for f in files
    }
    assert rows['stdc1_512x1024_80k_cityscapes']['mIoU'] == 71.82


@pytest.mark.parametrize(
    ('pattern', 'number'),
    [('OCR*hr18s*40k_cityscapes', 1), ('hr18s*40k', 0), ('hr18s_512x1024_40k', 2), ('cgnet/*', 2),
     ('no_such', 0), ('', 84)],
)  # fmt: skip
def test_patterns_are_of_names_or_of_families(pattern, number):
    found = list_configs(pattern)
    assert len(found) >= number if pattern == '' else len(found) == number


def test_models_prints_a_table_or_one_line(capsys):
    main(['models', 'demo/ocrnet*'])
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ['config', 'family', 'parameters', 'mIoU', 'on', 'source']
    figures = '2.28 85.89 nuclei, 500 iterations measured with msseg'
    assert row.split() == ['ocrnet_nuclei', 'demo', *figures.split()]
    with pytest.raises(KeyError, match="Did you mean 'unet'"):
        main(['models', 'unt'])


def test_a_file_here_comes_first_and_that_is_said(capfd):
    Path(f'{NAME}.py').write_text('seed = 1\n')
    Path('mine.yaml').write_text('seed: 2\n')
    assert Config.fromfile(NAME).seed == 1
    assert f'note: {NAME} is the file {NAME}.py here; msseg::fastscnn/' in capfd.readouterr().err
    assert Config.fromfile('mine').seed == 2
    assert capfd.readouterr().err == 'note: mine is the file mine.yaml here\n'
    assert Config.fromfile(f'msseg::{NAME}').filename == str(PATH)
    assert family_of(NAME) == 'fastscnn'


def test_a_folder_of_that_name_is_a_work_dir_and_no_config():
    os.mkdir(NAME)
    assert not is_config(NAME)
    assert Config.fromfile(NAME).filename == str(PATH)  # where only a config can stand


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('ocrnet_nucleii', "Did you mean 'ocrnet_nuclei'"),
        ('zzz', 'msseg models lists'),
        ('msseg::demo/ocrnet_nucleus.py', "Did you mean 'demo/ocrnet_nuclei.py'"),
        ('no_such_package::x.py', "no package 'no_such_package'"),
    ],
)
def test_a_wrong_name_leads_to_the_right_one(name, message):
    with pytest.raises(FileNotFoundError, match=message):
        Config.fromfile(name)


def test_bases_may_be_named_shortly():
    Path('c.py').write_text(f"_base_ = 'msseg::{NAME}'\nseed = 7\n")
    assert Config.fromfile('c.py').model.type == 'EncoderDecoder'


def test_an_installed_package_has_its_configs_inside(tmp_path, monkeypatch):
    inside = tmp_path / 'msseg' / '.mim' / 'configs'
    inside.mkdir(parents=True)
    monkeypatch.setattr(own_configs, '_PLACES', (inside, own_folder()))
    assert own_folder() == inside

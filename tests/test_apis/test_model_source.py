"""Which config and checkpoint a user means, and a config that a checkpoint holds."""

import sys
import types

import numpy as np
import pytest

from msseg.apis.model_source import find_checkpoint, find_model, find_weights, stored_config
from msseg.apis.resume import choose_checkpoint
from msseg.apis.train_settings import checkpoint_folders, work_dir_of
from msseg.config import Config
from msseg.runner.checkpoint import load_meta, save_checkpoint
from tests.test_convert.torch_files import save_torch
from tests.test_runner.line_model import Line

MODEL = "model = dict(type='EncoderDecoder', backbone=dict(type='HRNet', extra={}))\n"


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint that holds a config's text."""

    def save_one(name='iter_4.ckpt', config=MODEL, iteration=4):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        save_checkpoint(path, Line(), meta={'config': config, 'iter': iteration})
        return path

    return save_one


def test_a_checkpoint_alone_gives_its_config_and_its_folder_is_the_work_dir(save, tmp_path):
    path = save(config=MODEL + "work_dir = '/elsewhere'\nsize = (1, 2)\n")
    for arguments in ((path,), (None, path), (str(tmp_path),), (f'{tmp_path}/latest.pth',)):
        cfg, found = find_model(*arguments)
        assert found == path
        assert cfg.model.backbone.type == 'HRNet'
        assert cfg.size == (1, 2)
        assert cfg.work_dir == str(tmp_path)
    cfg, _ = find_model(path, cfg_options={'model.backbone.norm_eval': True})
    assert cfg.model.backbone.norm_eval is True


def test_a_config_comes_with_the_checkpoints_of_its_work_dir(save, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'my.py').write_text(MODEL)
    newest = save('run/iter_4.ckpt')
    cfg, found = find_model('my.py', 'latest', {'work_dir': 'run'})
    assert (found, cfg.filename) == (newest.relative_to(tmp_path), 'my.py')
    assert find_model('my.py')[1] is None
    assert find_model(cfg, newest) == (cfg, newest)
    assert work_dir_of(Config.fromfile('my.py')).parts == ('work_dirs', 'my')
    assert work_dir_of(Config()) is None
    elsewhere = Config({'work_dir': 'absent', 'checkpoint_config': {'out_dir': 'run'}})
    assert find_checkpoint(elsewhere, 'latest') == newest.relative_to(tmp_path)
    assert find_checkpoint(Config(), 'latest', 'run') == newest.relative_to(tmp_path)


def test_training_starts_and_goes_on_from_checkpoints_by_such_names(save, tmp_path):
    path, best = save(), save('best_mIoU_iter_2.ckpt')
    cfg = Config({'work_dir': str(tmp_path), 'resume_from': 'latest'})
    assert choose_checkpoint(cfg, tmp_path, auto_resume=False) == str(path)
    folders = checkpoint_folders(cfg)
    assert find_weights('best', 'load_from', folders) == best
    assert find_weights(str(tmp_path), 'load_from', folders) == path
    with pytest.raises(FileNotFoundError, match="load_from: .*Did you mean 'iter_4.ckpt'"):
        find_weights(f'{tmp_path}/iter_4.ckp', 'load_from', folders)


def test_mmsegmentations_checkpoint_holds_its_config_too(tmp_path):
    path = tmp_path / 'theirs.pth'

    def write(**meta):
        save_torch(path, {'a': np.ones(3, np.float32)}, lambda w: {'meta': meta, 'state_dict': w})

    write(config=MODEL + 'gpu_ids = [0]\n')
    cfg, found = find_model(path)
    assert (found, cfg.model.backbone.type) == (path, 'HRNet')


def test_mmengines_checkpoint_holds_a_config_that_is_translated(tmp_path, caplog):
    text = MODEL + "default_scope = 'mmseg'\nparam_scheduler = [dict(type='PolyLR', end=9)]\n"
    meta = {'cfg': text, 'dataset_meta': {'classes': ['a', 'b'], 'palette': [[0, 0, 0], [9, 9, 9]]}}
    path = save_torch(
        tmp_path / 'theirs.pth', {'a': np.ones(3, np.float32)}, lambda w: {'meta': meta, 'model': w}
    )
    with caplog.at_level('INFO'):
        cfg = stored_config(path)
    assert cfg.lr_config == dict(policy='poly', end=9, by_epoch=True)
    assert 'param_scheduler -> lr_config' in caplog.text
    assert load_meta(path)['CLASSES'] == ['a', 'b']


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, "iter_4.ckpt' holds no config: give the config file as well"),
        ('', 'holds no config'),
        (
            "__import__('pathlib').Path('ran').touch()\n",
            'iter_4.ckpt, line 1: .*nothing in it is run',
        ),
        (MODEL + "a = open('ran', 'w')\n", "line 2: .open.'ran', 'w'.. is no plain value"),
        ("model = dict(type='os.system', command='touch ran')\n", 'os.system is not in the segm'),
        ("custom_imports = dict(imports=['evil'])\n", r'needs modules of its own \(evil\), which'),
        ("custom_imports = dict(imports='evil')\n", r'needs modules of its own \(evil\), which'),
        ("custom_imports = 'evil'\n", r'needs modules of its own \(evil\), which'),
        ("custom_imports = dict(imports=[['evil']])\n", 'needs modules of its own'),
        ("filename = 'x'\n", 'filename is reserved'),
    ],
)
def test_a_config_in_a_checkpoint_is_data_and_nothing_of_it_is_run(
    save, text, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'evil.py').write_text("open('ran', 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    path = save(config=text)
    with pytest.raises((ValueError, KeyError), match=message):
        stored_config(path)
    assert not (tmp_path / 'ran').exists()
    assert 'evil' not in sys.modules


def test_modules_that_the_caller_has_imported_are_there(save, monkeypatch):
    monkeypatch.setitem(sys.modules, 'my_imported_parts', types.ModuleType('my_imported_parts'))
    cfg = stored_config(save(config=MODEL + "custom_imports = dict(imports='my_imported_parts')\n"))
    assert 'custom_imports' not in cfg


@pytest.mark.parametrize('value', ['5', 'dict(imports=5)', 'dict(imports=dict(a=1))'])
def test_imports_of_a_wrong_kind_are_told(save, value):
    with pytest.raises(ValueError, match=r'the config in .*: custom_imports is .*, expected names'):
        stored_config(save(config=f'{MODEL}custom_imports = {value}\n'))


def test_neither_is_an_error(tmp_path):
    with pytest.raises(TypeError, match='neither a config nor a checkpoint'):
        find_model(None)
    with pytest.raises(TypeError, match='config is 3'):
        find_model(3)
    with pytest.raises(ValueError, match="the config comes first: 'a.py', 'b.ckpt'"):
        find_model('b.ckpt', 'a.py')
    with pytest.raises(FileNotFoundError, match='write WORK_DIR/best'):
        find_model('best')

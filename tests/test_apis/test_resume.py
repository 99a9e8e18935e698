"""What a run goes on from, and what it says has changed."""

from types import SimpleNamespace

import pytest

from msseg.apis.resume import (
    choose_checkpoint,
    choose_seed,
    list_changes,
    load_start,
    report_changes,
)
from msseg.apis.train_settings import StartSettings
from msseg.config import Config
from msseg.runner.checkpoint import save_checkpoint
from msseg.runner.find_checkpoint import name_last
from tests.test_runner.line_model import Line

CONFIG = {
    'optimizer': {'type': 'SGD', 'lr': 0.1},
    'runner': {'type': 'IterBasedRunner', 'max_iters': 8},
    'data': {
        'samples_per_gpu': 4,
        'train': {'data_root': 'here', 'pipeline': [{'type': 'A', 'size': (1, 2)}, {'type': 'B'}]},
    },
    'log_config': {'interval': 5},
    'odd': {1: float('inf'), 'a b': {3}},
}


@pytest.fixture
def save(tmp_path):
    def save_one(iteration, **meta):
        path = tmp_path / f'iter_{iteration}.ckpt'
        save_checkpoint(path, Line(), meta={'iter': iteration, **meta})
        name_last(path)
        return path

    return save_one


def manifest(samples=6, sha256='x', seed=0, world_size=1, **changes):
    cfg = Config(CONFIG)
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in changes.items()})
    data = {'train': {'samples': samples, 'sha256': sha256}}
    return {'seed': seed, 'world_size': world_size, 'data': data, 'config': cfg.pretty_text}


def test_newest_one_is_chosen_by_itself_and_the_named_one_otherwise(tmp_path, save):
    named, newest = save(4), save(8)
    cfg = Config({'resume_from': str(named)})
    assert choose_checkpoint(cfg, tmp_path, auto_resume=True) == str(newest)
    assert choose_checkpoint(cfg, tmp_path, auto_resume=False) == str(named)
    assert choose_checkpoint(cfg, tmp_path / 'empty', auto_resume=True) == str(named)
    assert choose_checkpoint(Config({}), tmp_path / 'empty', auto_resume=True) is None


def test_of_two_that_are_named_the_newest_one_counts_and_a_line_says_so(tmp_path, save, caplog):
    named, newest = save(4), save(8)
    choose_checkpoint(Config({'resume_from': str(named)}), tmp_path, auto_resume=True)
    (line,) = caplog.messages
    assert f'resume_from={str(named)!r} is not used' in line and str(newest) in line
    choose_checkpoint(Config({'resume_from': str(newest)}), tmp_path, auto_resume=True)
    assert len(caplog.messages) == 1


def test_load_from_beside_resume_from_is_said_not_to_count(caplog):
    resumed = []
    runner = SimpleNamespace(model=None, resume=resumed.append)
    load_start(runner, StartSettings('a.ckpt', 'b.ckpt'))
    (line,) = caplog.messages
    assert resumed == ['a.ckpt'] and "load_from='b.ckpt' is not used" in line and 'a.ckpt' in line
    load_start(runner, StartSettings('a.ckpt'))
    assert len(caplog.messages) == 1


def test_checkpoints_in_a_folder_of_their_own_are_found(tmp_path, save):
    newest = save(8)
    cfg = Config({'checkpoint_config': {'out_dir': str(tmp_path)}})
    assert choose_checkpoint(cfg, tmp_path / 'work', auto_resume=True) == str(newest)


def test_damaged_one_names_the_newest_good_one_beside_it(tmp_path, save):
    good, bad = save(4), save(8)
    bad.write_bytes(bad.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"iter_8\.ckpt.*damaged.*beside it is '.*iter_4\.ckpt'"):
        choose_checkpoint(Config({'resume_from': str(bad)}), tmp_path, auto_resume=False)
    good.unlink()
    with pytest.raises(ValueError, match=r'iter_8\.ckpt.*damaged.*; there is no other$'):
        choose_checkpoint(Config({'resume_from': str(bad)}), tmp_path, auto_resume=False)


def test_seed_is_the_one_asked_for_else_the_checkpoints_else_random(save):
    path = str(save(4, seed=5))
    assert choose_seed(3, path) == 3
    assert choose_seed(0, path) == 0
    assert choose_seed(None, path) == 5
    assert choose_seed(None, str(save(8, seed=None))) != choose_seed(None, None)


def test_same_run_has_no_changes():
    assert list_changes(manifest(), manifest()) == []
    assert list_changes({}, manifest()) == []


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({'samples': 5}, 'data.train: 6 samples -> 5'),
        ({'sha256': 'y'}, 'data.train: as many samples (6), but files of other names or sizes'),
        ({'seed': 1}, 'seed: 0 -> 1'),
        ({'optimizer__lr': 0.2}, 'optimizer.lr: 0.1 -> 0.2'),
        ({'optimizer__momentum': 0.9}, 'optimizer.momentum: not set -> 0.9'),
        ({'runner__max_iters': 9}, 'runner.max_iters: 8 -> 9'),
        ({'data__train__pipeline__0__size': (3, 4)}, 'pipeline.0.size: [1, 2] -> [3, 4]'),
        ({'data__samples_per_gpu': 2}, 'data.samples_per_gpu: 4 -> 2'),
        ({'fp16': {'loss_scale': 8}}, 'fp16.loss_scale: not set -> 8'),
    ],
)
def test_each_change_that_matters_is_told(changes, expected):
    (change,) = list_changes(manifest(), manifest(**changes))
    assert expected in change


@pytest.mark.parametrize(
    'changes',
    [
        {'data__samples_per_gpu': 2, 'world_size': 2},
        {'data__train__data_root': 'there'},
        {'log_config__interval': 7},
        {'work_dir': 'elsewhere'},
        {'data__workers_per_gpu': 4},
    ],
)
def test_changes_that_do_not_matter_are_not_told(changes):
    assert list_changes(manifest(), manifest(**changes)) == []


def test_changes_are_one_warning(save, caplog):
    path = str(save(4, **manifest()))
    report_changes(path, manifest())
    assert caplog.text == ''
    report_changes(path, manifest(seed=1, optimizer__lr=0.2))
    (record,) = caplog.records
    assert record.levelname == 'WARNING'
    assert record.getMessage() == (
        f'{path} was trained otherwise than it goes on now:\n  seed: 0 -> 1\n'
        '  optimizer.lr: 0.1 -> 0.2'
    )
    many = {f'model__key_{number}': number for number in range(20)}
    report_changes(path, manifest(**many))
    assert caplog.records[-1].getMessage().endswith('  and 8 more')

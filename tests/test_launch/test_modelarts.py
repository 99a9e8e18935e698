"""Copies to the machine and back, with a moxing that takes a folder for object storage."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from msseg.apis.model_source import use_local_weights
from msseg.config import Config
from msseg.launch.modelarts import Urls, cache_folder, on_modelarts
from tests.moxing_stand_in import Storage

ROOT = Path(__file__).parents[2]


@pytest.fixture
def storage(tmp_path, monkeypatch):
    storage = Storage(tmp_path / 'storage')
    monkeypatch.syspath_prepend(storage.root)
    monkeypatch.delitem(sys.modules, 'moxing', raising=False)
    monkeypatch.delitem(sys.modules, 'moxing.file', raising=False)
    monkeypatch.setenv('MSSEG_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path))
    for name in ('data/images/a.png', 'weights/w48.ckpt', 'weights/old/net.pth'):
        path = storage.path(f'obs://bucket/{name}')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return storage


CONFIG = """
data = dict(
    train=dict(type='RepeatDataset', times=2, dataset=dict(data_root='data/x', img_dir='i')),
    val=dict(data_root='data/x'), test=[dict(data_root='data/x'), dict(data_root='data/x')])
model = dict(pretrained='w48.ckpt', backbone=dict(type='HRNet'))
load_from = 'old/net.pth'
"""
URLS = Urls('obs://bucket/data', 'obs://bucket/weights', 'obs://bucket/results')


def config(text=CONFIG):
    return Config.fromstring(text, '.py')


def test_data_and_weights_are_copied_and_the_config_names_the_copies(storage, tmp_path):
    cfg = config()
    with on_modelarts(cfg.data, URLS) as folders:
        use_local_weights(cfg, folders.find_checkpoint)
        data = tmp_path / 'cache' / 'data'
        assert (data / 'images' / 'a.png').read_text() == 'data/images/a.png'
        assert cfg.data.train.dataset.data_root == cfg.data.val.data_root == str(data)
        assert [part.data_root for part in cfg.data.test] == [str(data)] * 2
        assert Path(cfg.model.pretrained).read_text() == 'weights/w48.ckpt'
        assert Path(cfg.load_from).read_text() == 'weights/old/net.pth'
        assert folders.find_checkpoint('elsewhere/w48.ckpt') == cfg.model.pretrained
        assert folders.find_checkpoint('none.ckpt') == 'none.ckpt'
        assert folders.find_checkpoint(None) is None
        (folders.work_dir / 'iter_4.ckpt').write_text('new')
    assert storage.path('obs://bucket/results/iter_4.ckpt').read_text() == 'new'


def test_results_come_back_after_a_failure_and_the_next_run_starts_with_them(storage, tmp_path):
    with pytest.raises(FloatingPointError), on_modelarts(config().data, URLS) as folders:
        (folders.work_dir / 'iter_8.ckpt').write_text('good')
        raise FloatingPointError('the loss is nan')
    assert storage.path('obs://bucket/results/iter_8.ckpt').read_text() == 'good'

    other = tmp_path / 'other'
    with on_modelarts({}, Urls(train=URLS.train), other) as folders:
        assert folders.work_dir == other
        assert (other / 'iter_8.ckpt').read_text() == 'good'
        assert folders.find_checkpoint('iter_8.ckpt') == str(other / 'iter_8.ckpt')


def test_a_single_checkpoint_and_nothing_else(storage, tmp_path):
    urls = Urls(checkpoint='obs://bucket/weights/old/net.pth')
    cfg = config()
    with on_modelarts(cfg.data, urls) as folders:
        use_local_weights(cfg, folders.find_checkpoint)
        assert cfg.data.val.data_root == 'data/x'
        assert cfg.load_from == str(tmp_path / 'cache' / 'checkpoints' / 'net.pth')
    assert [call.split()[0] for call in storage.calls] == ['copy']


def test_weights_with_an_address_are_found_among_the_copies(storage, monkeypatch, tmp_path):
    monkeypatch.delenv('MSSEG_HOME')
    with on_modelarts(config().data, URLS):
        assert os.environ['MSSEG_HOME'] == str(tmp_path / 'cache' / 'checkpoints')
    monkeypatch.delenv('MSSEG_HOME')


def test_results_that_cannot_be_copied_back(storage, caplog):
    caplog.set_level(logging.ERROR, 'msseg')
    urls = Urls(train='obs://bucket/locked')
    message = 'not copied to --train-url .*no permission'
    with pytest.raises(OSError, match=message), on_modelarts(config().data, urls):
        pass
    with pytest.raises(FloatingPointError), on_modelarts(config().data, urls):
        raise FloatingPointError('the loss is nan')
    assert 'were not copied to --train-url' in caplog.text


@pytest.mark.parametrize(
    ('urls', 'text', 'error', 'message'),
    [
        (Urls(data='obs://bucket/dat'), CONFIG, FileNotFoundError, "--data-url is 'obs://bucket/d"),
        (Urls(checkpoint='obs://no'), CONFIG, FileNotFoundError, '--checkpoint-url .* is nothing'),
        (URLS, 'data = dict(train=dict(), val=dict())', ValueError, r'data sets is \[\]'),
        (
            URLS,
            "data = dict(train=dict(data_root='a'), val=dict(data_root='b'))",
            ValueError,
            r"one folder, but data_root of the data sets is \['a', 'b'\]",
        ),
    ],
)
def test_mistakes_are_said_before_anything_is_copied(storage, urls, text, error, message):
    with pytest.raises(error, match=message), on_modelarts(config(text).data, urls):
        pass
    assert storage.calls == []


def test_without_moxing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'moxing', None)
    message = "--modelarts needs the package 'moxing'.*elsewhere"
    with pytest.raises(ImportError, match=message), on_modelarts(config().data, URLS):
        pass


def test_where_copies_go(monkeypatch):
    monkeypatch.delenv('MSSEG_CACHE', raising=False)
    assert cache_folder().name == 'msseg'


PROGRAM = """
import sys, time
from msseg.launch.modelarts import Urls, on_modelarts
from msseg.config import Config
cfg = Config.fromstring("data = dict(val=dict(data_root='x'))", '.py')
with on_modelarts(cfg.data, Urls('obs://bucket/data', train='obs://bucket/out')) as folders:
    print((folders.data / 'images' / 'a.png').read_text(), cfg.data.val.data_root)
    time.sleep(2)
"""


def test_the_first_process_copies_and_the_others_wait(storage, tmp_path):
    environment = {
        **os.environ,
        'PYTHONPATH': f'{ROOT}{os.pathsep}{storage.root}',
        'MOXING_TAKES_S': '1',
    }
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', PROGRAM], env=environment, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    outputs = [process.communicate()[0] for process in processes]
    assert outputs == [f'data/images/a.png {tmp_path}/cache/data\n'] * 3
    assert storage.calls == [
        f'copy_parallel obs://bucket/data {tmp_path}/cache/data',
        f'copy_parallel {tmp_path}/cache/output obs://bucket/out',
    ]


def test_the_scheduler_copies_nothing(storage, monkeypatch):
    for name in ('MS_SCHED_HOST', 'MS_SCHED_PORT', 'MS_WORKER_NUM'):
        monkeypatch.setenv(name, '1')
    monkeypatch.setenv('MS_ROLE', 'MS_SCHED')
    with on_modelarts(config().data, URLS, launcher='msrun'):
        pass
    assert storage.calls == []

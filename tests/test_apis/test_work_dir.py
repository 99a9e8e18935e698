"""The work dir: one training at a time, and nothing of the user's replaced."""

import errno
import json
import logging
import os
import signal
import subprocess
import sys

import pytest

from msseg.apis import train_segmentor
from msseg.apis.work_dir import check_start, held_work_dir, write_resolved_config
from msseg.config import Config
from msseg.utils.folder_lock import LOCK_FILE, FolderInUseError, hold_folder

HOLDER = """
import multiprocessing, sys, time
from msseg.utils.folder_lock import hold_folder
with hold_folder(sys.argv[1]):
    worker = multiprocessing.get_context('fork').Process(target=time.sleep, args=(30,), daemon=True)
    worker.start()
    print(worker.pid, flush=True)
    time.sleep(30)
"""


def config(path, text='seed = 1\n'):
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return Config.fromfile(path)


def test_a_killed_process_leaves_no_lock_behind_even_if_its_workers_live(tmp_path):
    command = [sys.executable, '-c', HOLDER, str(tmp_path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    worker = int(holder.stdout.readline())
    try:
        with (
            pytest.raises(
                FolderInUseError, match=rf'process {holder.pid} on .* since .*{tmp_path}'
            ),
            hold_folder(tmp_path),
        ):
            pass
        holder.kill()
        holder.wait()
        os.kill(worker, 0)  # it is there
        with hold_folder(tmp_path):
            pass
    finally:
        holder.kill()
        os.kill(worker, signal.SIGKILL)


def test_a_second_training_is_refused_in_one_line_and_the_next_is_not(tmp_path):
    cfg = config(tmp_path / 'mine.py')
    with held_work_dir(cfg, tmp_path / 'run') as folder:
        assert cfg.work_dir == str(folder) == str(tmp_path / 'run')
        message = rf"^work dir '.*run' is in use by process {os.getpid()} on .*--work-dir$"
        with pytest.raises(FolderInUseError, match=message):
            held_work_dir(cfg, tmp_path / 'run').__enter__()
        with held_work_dir(cfg, tmp_path / 'other'):
            pass
    with held_work_dir(cfg, tmp_path / 'run'):
        pass


def test_training_a_model_of_your_own_is_refused_in_a_folder_in_use(tmp_path):
    cfg = config(tmp_path / 'mine.py')
    message = "^work dir '.*run' is in use by process"
    with held_work_dir(cfg, tmp_path / 'run'), pytest.raises(FolderInUseError, match=message):
        train_segmentor(None, None, cfg, tmp_path / 'run')


@pytest.mark.parametrize('kind', ['a named pipe', 'a file', 'a device'])
def test_a_work_dir_that_is_no_folder_is_called_what_it_is(tmp_path, kind):
    path = tmp_path / 'run'
    make = {
        'a named pipe': lambda: os.mkfifo(path),
        'a file': path.touch,
        'a device': lambda: path.symlink_to(os.devnull),
    }
    make[kind]()
    with pytest.raises(NotADirectoryError, match=f"^work dir '.*run' is {kind}, expected a folder"):
        held_work_dir(config(tmp_path / 'mine.py'), path).__enter__()


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / LOCK_FILE).symlink_to(tmp_path / 'mine')
    with pytest.raises(OSError, match=LOCK_FILE), hold_folder(tmp_path):
        pass
    assert (tmp_path / 'mine').read_text() == 'mine'


def test_without_locks_of_the_file_system_training_goes_on(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr('msseg.utils.folder_lock.fcntl.flock', refuse)
    monkeypatch.setattr(logging.getLogger('msseg'), 'propagate', True)
    with hold_folder(tmp_path):
        pass
    assert 'cannot be locked on this file system' in caplog.text


def test_the_folder_of_the_checkpoints_is_held_too(tmp_path):
    one, other = (config(tmp_path / f'{name}.py') for name in 'ab')
    for cfg in (one, other):
        cfg.checkpoint_config = dict(out_dir=str(tmp_path / 'ckpt'))
    message = "^work dir '.*ckpt' is in use"
    with held_work_dir(one, tmp_path / 'a'), pytest.raises(FolderInUseError, match=message):
        held_work_dir(other, tmp_path / 'b').__enter__()
    with held_work_dir(other, tmp_path / 'b'):
        pass


def test_a_folder_for_checkpoints_that_is_none_is_called_what_it_is(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    cfg = config(tmp_path / 'mine.py')
    cfg.checkpoint_config = dict(out_dir=str(tmp_path / 'pipe'))
    message = "^folder '.*pipe' is a named pipe, .* another with checkpoint_config.out_dir$"
    with pytest.raises(NotADirectoryError, match=message):
        held_work_dir(cfg, tmp_path / 'run').__enter__()


def test_other_ranks_of_the_job_do_not_ask_for_the_lock(tmp_path, monkeypatch):
    cfg = config(tmp_path / 'mine.py')
    with held_work_dir(cfg, tmp_path / 'run'):
        monkeypatch.setattr('msseg.apis.work_dir.get_rank', lambda: 1)
        with held_work_dir(cfg, tmp_path / 'run') as folder:
            assert folder == tmp_path / 'run'


@pytest.mark.parametrize('suffix', ['.py', '.yaml', '.json'])
def test_the_source_config_is_kept(tmp_path, suffix):
    text = {'.py': '# a note\nseed = 1\n', '.yaml': '# a note\nseed: 1\n', '.json': '{"seed":  1}'}
    source = tmp_path / f'mine{suffix}'
    cfg = config(source, text[suffix])
    cfg.seed = 2
    written = write_resolved_config(cfg, tmp_path, '20260101_000000')
    assert written == tmp_path / f'mine_20260101_000000{suffix}'
    assert source.read_text() == text[suffix]
    assert Config.fromfile(written).seed == 2


def test_a_resolved_config_is_replaced_by_the_next_run_unless_it_was_changed(tmp_path):
    cfg = config(tmp_path / 'src' / 'mine.py')
    first = write_resolved_config(cfg, tmp_path, '1')
    cfg.seed = 2
    assert write_resolved_config(cfg, tmp_path, '2') == first == tmp_path / 'mine.py'
    assert Config.fromfile(first).seed == 2
    first.write_text(first.read_text() + 'more = 1\n')
    assert write_resolved_config(cfg, tmp_path, '3') == tmp_path / 'mine_3.py'
    assert Config.fromfile(first).more == 1


def test_a_resolved_config_that_is_trained_from_is_kept(tmp_path):
    cfg = config(tmp_path / 'src' / 'mine.py')
    first = write_resolved_config(cfg, tmp_path, '1')
    again = Config.fromfile(first)
    assert write_resolved_config(again, tmp_path, '2') == first
    again.seed = 5
    assert write_resolved_config(again, tmp_path, '3') == tmp_path / 'mine_3.py'
    assert Config.fromfile(first).seed == 1


def test_a_link_to_the_users_config_is_kept(tmp_path):
    cfg = config(tmp_path / 'src' / 'mine.py')
    (tmp_path / 'mine.py').symlink_to(tmp_path / 'src' / 'mine.py')
    cfg.seed = 3
    assert write_resolved_config(cfg, tmp_path, '1') == tmp_path / 'mine_1.py'
    assert (tmp_path / 'mine.py').is_symlink()
    assert (tmp_path / 'src' / 'mine.py').read_text() == 'seed = 1\n'


@pytest.mark.parametrize('text', ['{"name": "my site"}', '[]', 'no JSON', '3'])
def test_a_manifest_of_the_users_is_not_replaced(tmp_path, text):
    cfg = config(tmp_path / 'src' / 'mine.py')
    (tmp_path / 'manifest.json').write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json' was not written by a training"):
        held_work_dir(cfg, tmp_path).__enter__()
    (tmp_path / 'manifest.json').write_text(json.dumps({'config': '', 'versions': {}, 'seed': 1}))
    with held_work_dir(cfg, tmp_path):
        pass


def test_the_checkpoint_to_start_from_is_not_replaced(tmp_path):
    cfg = config(tmp_path / 'mine.py')
    run = tmp_path / 'run'
    run.mkdir()
    for name in ('iter_4.ckpt', 'best_mIoU_iter_4.ckpt', 'epoch_1.ckpt', 'good.ckpt'):
        (run / name).touch()
        cfg.load_from = str(run / name)
        check_start(cfg, tmp_path / 'new')
        if name == 'good.ckpt':
            check_start(cfg, run)
            continue
        with pytest.raises(ValueError, match=r'load_from is .*would replace'):
            check_start(cfg, run)
        cfg.checkpoint_config = dict(out_dir=str(run))
        with pytest.raises(ValueError, match=r'load_from is .*would replace'):
            check_start(cfg, tmp_path / 'new')
        del cfg.checkpoint_config


def test_a_run_from_the_beginning_warns_of_checkpoints_it_may_replace(tmp_path, caplog):
    cfg = config(tmp_path / 'mine.py')
    run = tmp_path / 'run'
    run.mkdir()
    (run / 'weights.ckpt').touch()
    check_start(cfg, run)
    assert caplog.records == []
    for name in ('iter_4.ckpt', 'best_mIoU_iter_4.ckpt'):
        (run / name).touch()
    with caplog.at_level(logging.WARNING):
        check_start(cfg, run)
    (record,) = caplog.records
    message = record.getMessage()
    assert '(best_mIoU_iter_4.ckpt and 1 more)' in message and '--auto-resume' in message

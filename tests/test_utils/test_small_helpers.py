import inspect
import os
import shutil
import subprocess
import sys

import pytest

from msseg.utils.arguments import accepted_arguments, argument_default, named_arguments
from msseg.utils.atomic import atomic_path, atomic_write_text, remove_abandoned
from msseg.utils.cli import one_line, run_main
from msseg.utils.device import setup_device
from msseg.utils.device_name import parse_device
from msseg.utils.dist import get_rank, get_world_size
from msseg.utils.extras import import_extra
from msseg.utils.suggest import did_you_mean


class Base:
    def __init__(self, a, b=1):
        pass


class Passing(Base):
    def __init__(self, c, *, d=2, **kwargs):
        super().__init__(**kwargs)


class Silent(Passing):
    pass


class Closed(Base):
    def __init__(self, e):
        pass


class Plain:
    pass


class Open:
    def __init__(self, **kwargs):
        pass


@pytest.mark.parametrize(
    ('obj', 'expected'),
    [
        (Base, {'a', 'b'}),
        (Passing, {'a', 'b', 'c', 'd'}),
        (Silent, {'a', 'b', 'c', 'd'}),
        (Closed, {'e'}),
        (Plain, set()),
        (Open, None),
        (lambda x, y=2: None, {'x', 'y'}),
        (lambda **kwargs: None, None),
    ],
)
def test_accepted_arguments(obj, expected):
    assert accepted_arguments(obj) == expected


def test_default_of_an_argument_is_found_where_the_argument_is():
    assert [argument_default(Silent, name) for name in 'bd'] == [1, 2]
    for obj, name in ((Silent, 'a'), (Closed, 'b'), (Passing, 'z'), (Plain, 'a')):
        assert argument_default(obj, name) is inspect.Parameter.empty
    assert argument_default(lambda x, y=None: x, 'y') is None


def test_named_arguments_are_those_of_the_own_signature():
    assert named_arguments(Passing) == {'c', 'd'}
    assert named_arguments(lambda x, **kwargs: None) == {'x'}


def test_did_you_mean_is_near_and_quiet_when_nothing_is():
    choices = ['OhemCrossEntropy', 'CrossEntropyLoss']
    assert "'CrossEntropyLoss'" in did_you_mean('CrossEntropy', choices)
    assert did_you_mean('crossentropyloss', ['CrossEntropyLoss', 'Dice']) == (
        " Did you mean 'CrossEntropyLoss'?"
    )
    assert did_you_mean('xyz', ['CrossEntropyLoss']) == ''


@pytest.mark.parametrize(
    ('name', 'choices', 'expected'),
    [
        ('OCRHed', ['FCNHead', 'OCRHead'], 'OCRHead'),
        ('OCHead', ['FCNHead', 'OCRHead'], 'OCRHead'),
        ('SegformerHead', ['FCNHead', 'OCRHead'], None),
        ('UNet', ['HRNet'], None),
        ('HRNetV2', ['HRNet'], 'HRNet'),
        ('COCODataset', ['ConcatDataset', 'COCOStuffDataset', 'CustomDataset'], None),
        ('DRIVEDataset', ['LIPDataset'], None),
        ('WandbLoggerHook', ['TextLoggerHook', 'TensorboardLoggerHook'], None),
        ('TextLogerHook', ['TextLoggerHook', 'TensorboardLoggerHook'], 'TextLoggerHook'),
        ('imag_scale', ['img_scale'], 'img_scale'),
    ],
)
def test_only_a_near_name_is_suggested(name, choices, expected):
    assert did_you_mean(name, choices) == (f' Did you mean {expected!r}?' if expected else '')


def test_atomic_write_replaces_whole_files(tmp_path):
    path = tmp_path / 'note.txt'
    atomic_write_text(path, 'old')
    atomic_write_text(path, 'new')
    assert path.read_text() == 'new'
    assert os.listdir(tmp_path) == ['note.txt']


def test_failed_atomic_write_keeps_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / 'note.txt'
    path.write_text('old')
    with pytest.raises(RuntimeError, match='disk'), atomic_path(path) as temporary:
        temporary.write_text('half')
        raise RuntimeError('disk')
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['note.txt']


def test_error_of_the_write_is_not_hidden_by_a_folder_that_went(tmp_path):
    (tmp_path / 'work').mkdir()
    with pytest.raises(OSError, match='disk'), atomic_path(tmp_path / 'work/note.txt') as temporary:
        temporary.write_text('half')
        shutil.rmtree(tmp_path / 'work')
        raise OSError('disk')


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    ended = subprocess.Popen(['true'])
    ended.wait()
    with atomic_path(tmp_path / 'iter_4.ckpt') as temporary:
        temporary.write_text('mine')
        mine = temporary.name
    left = mine.replace(str(os.getpid()), str(ended.pid))
    others = mine.replace(str(os.getpid()), str(os.getppid()))
    elsewhere = f'.iter_4.node-7-{ended.pid}.tmp.ckpt'
    old = f'.iter_8.node-8-{ended.pid}.tmp.ckpt'
    users = ['.hidden.tmp', '.iter_4.tmp.ckpt', 'iter_4.x-1.tmp.ckpt']
    for name in (left, mine, others, elsewhere, old, *users):
        (tmp_path / name).write_text('')
    os.utime(tmp_path / old, (0, 0))
    assert {path.name for path in remove_abandoned(tmp_path)} == {left, mine, old}
    assert set(os.listdir(tmp_path)) == {'iter_4.ckpt', others, elsewhere, *users}


def test_users_mistake_is_one_line_and_status_1(capsys):
    def main():
        raise KeyError('no such\n  key')

    with pytest.raises(SystemExit) as end:
        run_main(main)
    assert end.value.code == 1
    assert capsys.readouterr().err == 'error: no such key\n'


def test_debug_shows_the_traceback(monkeypatch):
    monkeypatch.setenv('MSSEG_DEBUG', '1')

    def main():
        raise ValueError('wrong')

    with pytest.raises(ValueError, match='wrong'):
        run_main(main)


def test_interrupt_is_status_130(capsys):
    def main():
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as end:
        run_main(main)
    assert end.value.code == 130


def test_bugs_keep_their_traceback():
    def main():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_main(main)


def test_one_line_of_an_empty_message_is_the_class():
    assert one_line(ValueError()) == 'ValueError'


def test_missing_extra_is_named():
    with pytest.raises(ImportError, match=r"Thing needs the package 'no_such'.*msseg\[some\]"):
        import_extra('no_such', 'some', 'Thing')
    assert import_extra('sys', 'some', 'Thing') is sys


def test_one_process_is_rank_0_of_1():
    assert (get_rank(), get_world_size()) == (0, 1)


def test_devices_that_are_unknown_or_absent():
    for name in ('Ascend', 'npu:1'):
        with pytest.raises(ValueError, match="device 'Ascend' is not available"):
            setup_device(name)
    with pytest.raises(ValueError, match="device is 'cuda:0', but the number of the card is 1"):
        setup_device('cuda:0', 1)
    assert setup_device('auto') == setup_device('cpu:0') == 'CPU'


@pytest.mark.parametrize(
    ('device', 'expected'),
    [
        ('auto', ('auto', None)),
        ('cpu', ('CPU', None)),
        ('GPU', ('GPU', None)),
        ('gpu:1', ('GPU', 1)),
        ('cuda', ('GPU', None)),
        ('CUDA:12', ('GPU', 12)),
        ('ascend:0', ('Ascend', 0)),
        ('npu:3', ('Ascend', 3)),
    ],
)
def test_devices_have_pytorchs_names_too(device, expected):
    assert parse_device(device) == expected


@pytest.mark.parametrize('device', ['', 'tpu', 'auto:1', 'cuda:', 'cuda:a', 'cuda:-1', 'gpu:0:1'])
def test_other_devices_are_told_what_there_is(device):
    with pytest.raises(
        ValueError, match=r"is not known, expected .* 'GPU:0', 'cuda:0', 'Ascend:0'"
    ):
        parse_device(device)
    with pytest.raises(TypeError, match='device is 0, expected a text'):
        parse_device(0)


def test_device_may_be_set_up_again_after_computing():
    script = (
        'import mindspore as ms\n'
        'from msseg.utils.device import setup_device\n'
        'ms.Tensor([1.0]) + 1\n'
        "assert setup_device('auto') == 'CPU'\n"
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_peak_memory_counts_this_program_alone():
    script = (
        'import subprocess, sys\n'
        'from msseg.utils.resources import peak_memory_mb\n'
        'held = bytearray(300 << 20)\n'
        'print(peak_memory_mb())\n'
        "child = 'from msseg.utils.resources import peak_memory_mb; print(peak_memory_mb())'\n"
        "run = subprocess.run([sys.executable, '-c', child], capture_output=True)\n"
        'print(run.stdout.decode())\n'
    )
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    parent, child = map(int, done.stdout.split())
    assert parent > 300
    assert 1 < child < 100


@pytest.mark.parametrize(
    'name', ['n' * 251 + '.png', '图' * 83 + '.png', 'n' * 255, 'n.' + 'n' * 253]
)
def test_a_name_of_the_greatest_length_is_written(tmp_path, name):
    path = tmp_path / name
    atomic_write_text(path, 'whole')
    assert os.listdir(tmp_path) == [name]
    atomic_write_text(path, 'again')
    assert path.read_text() == 'again'
    longer = tmp_path / ('n' * 256)
    with pytest.raises(OSError, match='File name too long'):
        atomic_write_text(longer, 'no')
    assert os.listdir(tmp_path) == [name]


def test_what_is_left_of_a_long_name_is_recognised_as_abandoned(tmp_path):
    path = tmp_path / ('n' * 250 + '.ckpt')
    with atomic_path(path) as temporary:
        temporary.write_text('half')
        (left,) = remove_abandoned(tmp_path)
        assert left == temporary
        temporary.write_text('whole')

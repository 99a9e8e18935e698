"""Which checkpoint a run goes on from."""

import os

import pytest

from msseg.runner.checkpoint import save_checkpoint
from msseg.runner.find_checkpoint import (
    find_last_checkpoint,
    name_last,
    numbered_checkpoints,
    resolve_checkpoint,
)
from tests.test_runner.line_model import Line


@pytest.fixture
def save(tmp_path):
    """Write a checkpoint of an iteration; times grow by a second each."""
    clock = [1_700_000_000]

    def save_one(name, iteration, named=True):
        path = tmp_path / name
        save_checkpoint(path, Line(), meta={'iter': iteration})
        clock[0] += 1
        os.utime(path, (clock[0], clock[0]))
        if named:
            name_last(path)
            os.utime(tmp_path / 'last_checkpoint', (clock[0], clock[0]))
        return path

    return save_one


def spoil(path):
    path.write_bytes(path.read_bytes()[:-30])


def test_a_pipe_is_not_what_was_meant(tmp_path):
    os.mkfifo(tmp_path / 'iter_8.ckpt')
    with pytest.raises(FileNotFoundError, match='is not a file') as error:
        resolve_checkpoint(tmp_path / 'iter_8.ckpt')
    assert 'Did you mean' not in str(error.value)


def test_there_is_none(tmp_path):
    assert find_last_checkpoint(tmp_path / 'absent') is None
    assert find_last_checkpoint(tmp_path) is None
    (tmp_path / 'last_checkpoint').write_text('iter_9.ckpt\n')
    assert find_last_checkpoint(tmp_path) is None


def test_named_one_is_taken_before_a_larger_number_of_an_earlier_run(tmp_path, save):
    save('iter_80.ckpt', 80)
    newest = save('iter_8.ckpt', 8)
    assert find_last_checkpoint(tmp_path) == newest


def test_one_that_was_written_but_not_yet_named_is_taken(tmp_path, save):
    save('iter_8.ckpt', 8)
    newest = save('iter_16.ckpt', 16, named=False)
    assert find_last_checkpoint(tmp_path) == newest


@pytest.mark.parametrize('note', [None, '', 'iter_99.ckpt\n', '../iter_99.ckpt', '\0', b'\xff\xfe'])
def test_note_that_is_lost_or_wrong(tmp_path, save, note):
    for iteration in (4, 100, 20):
        save(f'iter_{iteration}.ckpt', iteration)
    (tmp_path / 'last_checkpoint').unlink()
    if note is not None:
        text = note if isinstance(note, bytes) else note.encode()
        (tmp_path / 'last_checkpoint').write_bytes(text)
    assert find_last_checkpoint(tmp_path).name == 'iter_100.ckpt'


def test_damaged_ones_are_reported_and_the_one_before_is_taken(tmp_path, save, caplog):
    save('iter_90.ckpt', 90)  # of an earlier run
    for iteration in (4, 8, 12):
        save(f'iter_{iteration}.ckpt', iteration)
    spoil(tmp_path / 'iter_12.ckpt')
    assert find_last_checkpoint(tmp_path).name == 'iter_8.ckpt'
    assert "iter_12.ckpt' cannot be read: it is damaged" in caplog.text
    (tmp_path / 'iter_8.ckpt').write_bytes(b'')
    assert find_last_checkpoint(tmp_path).name == 'iter_4.ckpt'
    assert find_last_checkpoint(tmp_path, but=tmp_path / 'iter_4.ckpt').name == 'iter_90.ckpt'


def test_epochs_and_an_interrupted_epochs_iteration_are_compared_by_what_they_say(tmp_path, save):
    save('epoch_1.ckpt', 10)
    save('iter_17.ckpt', 17)
    save('epoch_2.ckpt', 20)
    (tmp_path / 'last_checkpoint').unlink()
    assert find_last_checkpoint(tmp_path).name == 'epoch_2.ckpt'
    spoil(tmp_path / 'epoch_2.ckpt')
    assert find_last_checkpoint(tmp_path).name == 'iter_17.ckpt'


def test_when_all_are_damaged_nothing_is_trained_over_them(tmp_path, save):
    spoil(save('iter_4.ckpt', 4))
    spoil(save('iter_8.ckpt', 8))
    message = r'none of the checkpoints in .* can be read \(iter_8.ckpt, iter_4.ckpt\): to train'
    with pytest.raises(ValueError, match=message):
        find_last_checkpoint(tmp_path)


def test_numbers_are_sorted_as_numbers(tmp_path):
    for name in (
        'iter_10.ckpt',
        'iter_9.ckpt',
        'epoch_1.ckpt',
        'best_mIoU_iter_8.ckpt',
        '.iter_7.x',
    ):
        (tmp_path / name).touch()
    assert [p.name for p in numbered_checkpoints(tmp_path, 'iter')] == [
        'iter_9.ckpt',
        'iter_10.ckpt',
    ]


@pytest.mark.parametrize(
    'name',
    ['', 'latest', 'last', 'latest.ckpt', 'latest.pth', 'last_checkpoint'],
)
def test_a_folder_and_its_latest_are_its_newest_good_checkpoint(tmp_path, save, name, caplog):
    caplog.set_level('INFO')
    save('best_mIoU_iter_40.ckpt', 40, named=False)
    good = save('iter_8.ckpt', 8)
    spoil(save('iter_12.ckpt', 12))
    assert resolve_checkpoint(tmp_path / name) == good
    assert f'{tmp_path / name}: {good}' in caplog.text
    if name:
        assert resolve_checkpoint(name, [tmp_path / 'absent', tmp_path]) == good


def test_best_is_that_of_the_score(tmp_path, save):
    for iteration in (8, 16):
        save(f'best_mIoU_iter_{iteration}.ckpt', iteration, named=False)
    save('iter_20.ckpt', 20)
    best = tmp_path / 'best_mIoU_iter_16.ckpt'
    for name in ('best', 'best.ckpt', 'best.pth', 'best_mIoU', 'best_mIoU.ckpt'):
        assert resolve_checkpoint(tmp_path / name) == best
        assert resolve_checkpoint(name, [tmp_path]) == best
    save('best_IoU.car_iter_4.ckpt', 4, named=False)
    with pytest.raises(ValueError, match='several scores: name best_IoU.car, best_mIoU'):
        resolve_checkpoint(tmp_path / 'best')
    assert resolve_checkpoint(tmp_path / 'best_IoU.car').name == 'best_IoU.car_iter_4.ckpt'


def test_a_file_is_itself_whatever_its_name(tmp_path, save, caplog):
    caplog.set_level('INFO')
    save('iter_8.ckpt', 8)
    for name in ('latest.pth', 'best.ckpt', 'my.weights', 'best_mIoU_iter_9.ckpt'):
        (tmp_path / name).touch()
        assert resolve_checkpoint(tmp_path / name) == tmp_path / name
    assert not caplog.messages


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('iter_80.ckp', r"is not a file\. Did you mean 'iter_80.ckpt'( or|\?)"),
        ('iter_80.pth', r"Did you mean 'iter_80.ckpt'"),
        ('zzz.onnx', r'is not a file; there are: iter_4.ckpt, iter_80.ckpt$'),
        ('absent/iter_80.ckpt', r"is not a file: the folder '.*absent' does not exist"),
        ('best', r"'.*best': there is no best checkpoint in '.*'; there are: iter_4.ckpt, iter_80"),
        ('best_mIou', r'there is no best_mIou in'),
        ('best_mIoU_iter_3.ckpt', r'best_mIoU_iter_3.ckpt. is not a file'),
        ('empty', r'there is no checkpoint of a run .* in .*empty.$'),
        ('bset', r"is not a file. Did you mean 'best'"),
        ('..', r'there is no checkpoint of a run .*; folders there with checkpoints: '),
        ('absent/latest', r'there is no checkpoint of a run'),
    ],
)
def test_what_is_not_there_is_told_with_what_is(tmp_path, save, name, message):
    save('iter_4.ckpt', 4)
    save('iter_80.ckpt', 80)
    (tmp_path / 'empty').mkdir()
    with pytest.raises(FileNotFoundError, match=message):
        resolve_checkpoint(tmp_path / name)


def test_a_file_of_the_work_dir_is_suggested(tmp_path, save):
    path = save('iter_4.ckpt', 4)
    with pytest.raises(FileNotFoundError, match=f"is not a file. Did you mean '{path}'"):
        resolve_checkpoint('iter_4.ckpt', [tmp_path])


def test_latest_without_a_work_dir_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match='write WORK_DIR/latest'):
        resolve_checkpoint('latest')
    with pytest.raises(FileNotFoundError, match="in 'a' and 'b'$"):
        resolve_checkpoint('best', ['a', 'b', 'a'])

"""Which checkpoint a run goes on from."""

import os

import pytest

from msseg.runner.checkpoint import save_checkpoint
from msseg.runner.find_checkpoint import find_last_checkpoint, name_last, numbered_checkpoints
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

"""Files that were cut or spoilt, in every region, and files without a checksum."""

import errno
import json
import logging
import types

import mindspore as ms
import numpy as np
import pytest

from msseg.runner.checkpoint import load_checkpoint, save_checkpoint
from msseg.runner.checkpoint_file import (
    DamagedCheckpointError,
    has_valid_checksum,
    read_meta,
    write_checkpoint,
)
from tests.test_runner.line_model import Line

META = {'iter': 3, 'text': 'Größe, 大小', 'nested': [{}]}


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'line.ckpt'
    save_checkpoint(path, Line(), meta=META)
    return path


def region_of(content, name):
    """Where an entry's name, and what follows it up to the next one, stand."""
    start = content.index(name.encode())
    return start, start + len(name), start + len(name) + 24


def test_mindspores_own_check_accepts_the_file_and_its_reader_the_content(saved):
    content = ms.load_checkpoint(str(saved), crc_check=True)
    assert json.loads(content.pop('meta')) == META
    for parameter in Line().get_parameters():
        np.testing.assert_array_equal(content.pop(parameter.name).asnumpy(), parameter.asnumpy())
    assert not content


@pytest.mark.parametrize(
    'value',
    [
        np.float32(3.5),
        np.array([7], np.int64),
        np.array([[True], [False]]),
        np.arange(4, dtype=np.float16),
        np.array([2**31 - 1, -5], np.int32),
        np.array([1e-300]),
    ],
    ids=str,
)
def test_every_kind_of_tensor_comes_back(tmp_path, value):
    path = tmp_path / 'a.ckpt'
    write_checkpoint(path, '{}', [('hooks.value', ms.Tensor(value))])
    back = load_checkpoint(path).state['hooks.value']
    assert back.shape == np.shape(value) and back.dtype == value.dtype
    np.testing.assert_array_equal(back, value)


def test_each_flipped_byte_is_noticed(saved):
    content = saved.read_bytes()
    names = [p.name for p in Line().get_parameters()]
    places = {0, 1, 2, 3, len(content) - 1, len(content) - 10, len(content) - 11, len(content) - 17}
    for name in ['meta', *names]:
        start, end, after = region_of(content, name)
        places |= {*range(start - 4, end), *range(end, after, 3)}
    places |= set(range(0, len(content), 41))
    for place in sorted(places):
        spoilt = bytearray(content)
        spoilt[place] ^= 0x10
        saved.write_bytes(spoilt)
        with pytest.raises(DamagedCheckpointError, match=r"line\.ckpt' cannot be read: it is dam"):
            load_checkpoint(saved)


def test_each_cut_is_noticed_also_between_two_entries(saved):
    content = saved.read_bytes()
    starts = [content.index(p.name.encode()) for p in Line().get_parameters()]
    # an entry begins some bytes before its name: one of these cuts leaves whole entries only
    between = [start - back for start in starts for back in range(2, 7)]
    for cut in sorted({0, 1, 2, 5, 20, *between, *range(len(content) - 20, len(content))}):
        saved.write_bytes(content[:cut])
        with pytest.raises(DamagedCheckpointError, match=r"line\.ckpt' cannot be read: it is dam"):
            load_checkpoint(saved)


@pytest.mark.parametrize('start', [0, 1, 40, 400, -100, -17, -10])
def test_zeros_in_place_of_an_end_or_a_beginning_are_noticed(saved, start):
    content = saved.read_bytes()
    start %= len(content)
    for spoilt in (
        content[:start] + bytes(len(content) - start),
        bytes(start + 1) + content[start + 1 :],
        content + bytes(7),
        content + content,
        b'x' + content,
    ):
        saved.write_bytes(spoilt)
        with pytest.raises(DamagedCheckpointError, match='it is damaged'):
            load_checkpoint(saved)


def save_as_mindspore_does(path):
    meta = json.dumps(META)
    ms.save_checkpoint(Line(), str(path), append_dict={'meta': meta})
    path.chmod(0o644)


def test_file_without_checksum_loads_with_a_note(tmp_path, caplog):
    path = tmp_path / 'older.ckpt'
    save_as_mindspore_does(path)
    with caplog.at_level(logging.INFO, 'msseg'):
        checkpoint = load_checkpoint(path)
    assert checkpoint.meta == META and len(checkpoint.weights) == 6
    assert 'older.ckpt carries no checksum' in caplog.text
    assert not has_valid_checksum(path)
    assert read_meta(path) == {}


def test_damage_of_a_file_without_checksum_is_one_error(tmp_path, capfd):
    path = tmp_path / 'older.ckpt'
    save_as_mindspore_does(path)
    content = path.read_bytes()
    errors = 0
    for cut in (0, 1, 100, len(content) - 1):
        path.write_bytes(content[:cut])
        with pytest.raises(DamagedCheckpointError, match=r"older\.ckpt' cannot be read"):
            load_checkpoint(path)
        errors += 1
    for place in range(0, len(content), 7):
        spoilt = bytearray(content)
        spoilt[place] ^= 0x81
        path.write_bytes(spoilt)
        try:
            load_checkpoint(path)  # in the midst of the numbers, nothing can be noticed
        except DamagedCheckpointError:
            errors += 1
    assert errors > 20
    assert capfd.readouterr() == ('', '')


def test_description_is_read_without_the_rest(saved):
    assert read_meta(saved) == META
    content = saved.read_bytes()
    saved.write_bytes(content[: content.index(b'dense.weight')])
    assert read_meta(saved) == META
    for spoilt in (
        b'',
        b'\x0a',
        b'\x0a' + b'\xff' * 40,
        content[:100],
        b'\x0a\x20' + content[3:90],
    ):
        saved.write_bytes(spoilt)
        assert read_meta(saved) == {}


def test_disk_without_room_is_not_filled(saved, monkeypatch):
    before = saved.read_bytes()
    room = types.SimpleNamespace(free=2**20)
    monkeypatch.setattr('shutil.disk_usage', lambda folder: room)
    big = [('hooks.big', ms.Tensor(np.zeros(2**19, np.float32)))]
    with pytest.raises(
        OSError, match=r'No space left on device .needs 2\.0 MiB, the disk has 1\.0 MiB'
    ) as e:
        write_checkpoint(saved, '{}', big)
    assert e.value.errno == errno.ENOSPC and e.value.filename == str(saved)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ['line.ckpt']


def test_folder_that_is_gone_is_said(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"No such file.*needs 0\.0 MiB\): '.*lost/a\.ckpt'"
    ):
        write_checkpoint(tmp_path / 'lost' / 'a.ckpt', '{}', [])

"""Files whose entries are not what they say: each is one error that names the file."""

import binascii
import os

import mindspore as ms
import numpy as np
import pytest
from mindspore.train.checkpoint_pb2 import Checkpoint as Message

from msseg.runner.checkpoint import load_checkpoint, load_state, save_checkpoint
from msseg.runner.checkpoint_file import DamagedCheckpointError, read_meta
from msseg.runner.find_checkpoint import find_last_checkpoint
from tests.test_runner.line_model import Line

GOOD = np.arange(16, dtype=np.float32)


def write(path, *entries, meta='{"iter": 3}', checksum=True):
    """Write entries (name, dims, type, bytes): the description first and a checksum that fits.

    Without a checksum the description stands last, as `mindspore.save_checkpoint` has it.
    """
    content = b''
    description = ('meta', [0], 'str', meta.encode('utf-32-le'))
    for name, dims, kind, data in [description, *entries] if checksum else [*entries, description]:
        message = Message()
        value = message.value.add()
        value.tag = name
        value.tensor.dims.extend(dims)
        value.tensor.tensor_type = kind
        value.tensor.tensor_content = data
        content += message.SerializeToString()
    trailer = b'crc_num' + binascii.crc32(content).to_bytes(10, 'big') if checksum else b''
    path.write_bytes(content + trailer)
    return path


@pytest.mark.parametrize('checksum', [True, False])
@pytest.mark.parametrize(
    ('dims', 'kind', 'size'),
    [
        ([], 'Float32', 64),
        ([-1], 'Float32', 64),
        ([-4, -4], 'Float32', 64),
        ([4, 4], 'Float32', 0),
        ([4, 4], 'Float32', 63),
        ([4, 4], 'Float32', 65),
        ([4, 4], 'Float64', 64),
        ([16], 'Int4', 64),
        ([16], '', 64),
        ([16], 'x' * 10000, 64),
        ([0], 'Float32', 64),
        ([2**62, 4], 'Float32', 64),
        ([0, 2**30, 2**30, 2**30], 'Float32', 0),
        ([1] * 100 + [16], 'Float32', 64),
    ],
    ids=lambda value: str(value)[:20],
)
def test_sizes_that_do_not_fit_are_refused(tmp_path, dims, kind, size, checksum):
    path = write(tmp_path / 'evil.ckpt', ('weight', dims, kind, bytes(size)), checksum=checksum)
    with pytest.raises(DamagedCheckpointError, match=r"evil\.ckpt' .*'weight'") as error:
        load_checkpoint(path)
    assert len(str(error.value)) < 400


def test_slices_of_one_tensor_are_joined_and_other_repetitions_refused(tmp_path):
    halves = [('w', [4, 4], 'Float32', half.tobytes()) for half in np.split(GOOD, 2)]
    path = write(tmp_path / 'a.ckpt', *halves)
    np.testing.assert_array_equal(load_checkpoint(path).weights['w'], GOOD.reshape(4, 4))
    np.testing.assert_array_equal(ms.load_checkpoint(str(path))['w'].asnumpy(), GOOD.reshape(4, 4))
    other = ('v', [1], 'Int8', b'\1')
    for entries in (
        [halves[0], other, halves[1]],
        [halves[0], ('w', [4, 4], 'Int32', halves[1][3])],
        [halves[0], ('w', [16], 'Float32', halves[1][3])],
        [*halves, halves[0]],
    ):
        with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt' .*'w'"):
            load_checkpoint(write(tmp_path / 'a.ckpt', *entries))


@pytest.mark.parametrize(
    ('meta', 'message'),
    [
        ('[' * 100_000, 'no JSON'),
        ('{"a":' * 100_000, 'no JSON'),
        ('[]', 'is a list'),
        ('7', 'is a int'),
        ('null', 'is a NoneType'),
        ('"text"', 'is a str'),
        ('{"iter": "x"}', "iter='x', expected int"),
        ('{"iter": true}', 'iter=True, expected int'),
        ('{"iter": -1}', 'iter=-1'),
        ('{"iter": ' + '9' * 400 + '}', 'iter=999'),
        ('{"hooks": []}', 'hooks='),
        ('{"best_scores": {"mIoU": 5}}', 'best_scores that are no pairs'),
        ('{"CLASSES": [1]}', 'CLASSES'),
        ('{"iter": ' + '9' * 5000 + '}', 'no JSON'),
    ],
    ids=lambda value: value[:12],
)
def test_descriptions_of_other_kinds_are_refused(tmp_path, meta, message):
    path = write(tmp_path / 'iter_3.ckpt', ('w', [16], 'Float32', GOOD.tobytes()), meta=meta)
    with pytest.raises(DamagedCheckpointError, match=rf"iter_3\.ckpt' .*description.*{message}"):
        load_checkpoint(path)
    assert read_meta(path) == {}


def test_null_in_a_description_is_as_if_it_were_not_there(tmp_path):
    meta = '{"iter": null, "data": null, "CLASSES": null, "seed": 3}'
    path = write(tmp_path / 'a.ckpt', ('w', [16], 'Float32', GOOD.tobytes()), meta=meta)
    assert read_meta(path) == {'seed': 3}


def test_text_that_is_no_utf_32_is_refused(tmp_path):
    path = tmp_path / 'a.ckpt'
    save_checkpoint(path, Line(), meta={'iter': 3})
    content = path.read_bytes()[:-17].replace('ite'.encode('utf-32-le'), b'\xff' * 12)
    path.write_bytes(content + b'crc_num' + binascii.crc32(content).to_bytes(10, 'big'))
    with pytest.raises(DamagedCheckpointError, match='description is no JSON'):
        load_checkpoint(path)


def test_a_folder_goes_on_from_what_can_be_read(tmp_path):
    good = write(tmp_path / 'iter_2.ckpt', ('w', [16], 'Float32', GOOD.tobytes()))
    write(tmp_path / 'iter_4.ckpt', ('w', [-1], 'Float32', bytes(64)), checksum=False)
    epoch = write(tmp_path / 'epoch_9.ckpt', ('w', [1], 'Int8', b'1'), meta='[' * 10**5)
    assert find_last_checkpoint(tmp_path) == good
    assert read_meta(epoch) == {}


def test_bytes_that_are_no_entries(tmp_path):
    path = tmp_path / 'a.ckpt'
    rng = np.random.default_rng(0)
    start = write(path, ('w', [16], 'Float32', GOOD.tobytes()), checksum=False).read_bytes()
    for content in (
        b'',
        b'\x0a',
        b'\x0a' + b'\xff' * 31,
        b'\x0a\xff\xff\xff\xff\x7f',
        b'\x0a\x00' * 10,
        start + b'\x0a\x00',
        start + b'\x12\x02\x0a\x00',
        *(start + b'\x0a\x10' + rng.bytes(16) for _ in range(200)),
    ):
        path.write_bytes(content)
        with pytest.raises(DamagedCheckpointError, match=r"a\.ckpt' cannot be read"):
            load_checkpoint(path)


def test_every_type_of_mindspore_comes_back_bfloat16_as_float32(tmp_path):
    kinds = [ms.bool_, ms.int8, ms.uint8, ms.int16, ms.uint16, ms.int32, ms.uint32, ms.int64,
             ms.uint64, ms.float16, ms.float32, ms.float64]  # fmt: skip
    saved = [{'name': f'{kind}', 'data': ms.Tensor([[0, 1], [1, 1]], kind)} for kind in kinds]
    saved += [{'name': 'scalar', 'data': ms.Tensor(3.5, ms.float32)}]
    ms.save_checkpoint(saved, str(tmp_path / 'a.ckpt'), append_dict={'meta': '{"iter": 1}'})
    checkpoint = load_checkpoint(tmp_path / 'a.ckpt')
    for kind in kinds:
        array = checkpoint.weights[f'{kind}']
        assert array.dtype == ms.Tensor([0], kind).asnumpy().dtype
        np.testing.assert_array_equal(array, [[0, 1], [1, 1]])
    assert checkpoint.weights['scalar'].shape == () and checkpoint.weights['scalar'] == 3.5
    assert checkpoint.meta == {'iter': 1}

    # 1.0, -2.5 and 3.140625: the upper halves of their float32
    halves = np.array([0x3F80, 0xC020, 0x4049], '<u2').tobytes()
    path = write(tmp_path / 'b.ckpt', ('w', [3], 'BFloat16', halves), ('s', [], 'Bool', b'\7'))
    checkpoint = load_checkpoint(path)
    np.testing.assert_array_equal(checkpoint.weights['w'], np.float32([1.0, -2.5, 3.140625]))
    assert checkpoint.weights['s'].shape == () and checkpoint.weights['s'].dtype == bool


def test_a_pipe_in_place_of_a_checkpoint_is_passed_over(tmp_path):
    good = write(tmp_path / 'iter_2.ckpt', ('w', [16], 'Float32', GOOD.tobytes()))
    os.mkfifo(tmp_path / 'iter_4.ckpt')
    os.mkfifo(tmp_path / 'epoch_1.ckpt')
    assert find_last_checkpoint(tmp_path) == good
    assert read_meta(tmp_path / 'iter_4.ckpt') == {}
    with pytest.raises(FileNotFoundError, match='is not a file'):
        load_checkpoint(tmp_path / 'iter_4.ckpt')


def test_bfloat16_state_is_written_and_comes_back_exactly(tmp_path):
    values = np.float32([1.0, -2.5, 3.140625])
    saved = ms.Parameter(ms.Tensor(values, ms.bfloat16), name='hooks.average')
    save_checkpoint(tmp_path / 'a.ckpt', Line(), {'hooks.average': saved}, {'iter': 1})
    target = ms.Parameter(ms.Tensor(np.zeros(3, np.float32), ms.bfloat16), name='hooks.average')
    load_state({'hooks.average': target}, load_checkpoint(tmp_path / 'a.ckpt'))
    assert target.dtype == ms.bfloat16
    np.testing.assert_array_equal(target.float().asnumpy(), values)

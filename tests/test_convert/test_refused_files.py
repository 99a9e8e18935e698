"""Malicious and broken files: one line says why, nothing is run, little memory is taken."""

import json
import os
import pickle
import resource
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from msseg.convert import read_foreign
from tests.test_convert.torch_files import (
    Call,
    Global,
    StorageOf,
    dump,
    legacy_bytes,
    save_torch,
    tensor_of,
    write_zip,
)

DATA = Path(__file__).parents[1] / 'data' / 'convert'
ARRAY = np.arange(6, dtype=np.float32)
GOOD = tensor_of('0', ARRAY)


class Marked:
    """Leaves a file behind when Python's own machine unpickles it."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def refused(tmp_path):
    """Read a file and return the one line that refuses it."""

    def read(path):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with pytest.raises(ValueError) as caught:
            read_foreign(path)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        assert grown < 400_000, f'{grown} KiB'
        text = str(caught.value)
        assert '\n' not in text and len(text) < 500 and str(path) in text
        return text

    return read


def read_pickle(tmp_path, content, storages=None):
    return write_zip(tmp_path / 'bad.pth', content, storages or {'0': ARRAY.tobytes()})


# ------------------------------------------------------------ asking for code


@pytest.mark.parametrize(
    ('module', 'name'),
    [
        ('os', 'system'),
        ('posix', 'system'),
        ('builtins', 'eval'),
        ('__builtin__', 'getattr'),
        ('subprocess', 'Popen'),
        ('torch', 'load'),
        ('torch.hub', 'load'),
        ('numpy', 'load'),
        ('functools', 'partial'),
        ('operator', 'attrgetter'),
        ('somewhere.else', 'Model'),
        ('collections', 'OrderedDict.fromkeys'),
        ('torch._utils', '_rebuild_tensor_v2.__globals__'),
        ('torch._utils', '_rebuild_sparse_tensor'),
        ('torch', 'ComplexFloatStorage'),
    ],
)
@pytest.mark.parametrize('is_legacy', [False, True])
def test_any_other_name_is_refused_by_name(tmp_path, refused, module, name, is_legacy):
    witness = tmp_path / 'witness'
    state = {'a': GOOD, 'b': Call(module, name, f'touch {witness}')}
    path = tmp_path / 'bad.pth'
    if is_legacy:
        path.write_bytes(legacy_bytes(state, {'0': ARRAY}))
    else:
        write_zip(path, dump(state), {'0': ARRAY.tobytes()})
    assert f"asks for '{module}.{name}'" in refused(path)
    assert not witness.exists()


@pytest.mark.parametrize('protocol', [0, 1, 2, 3, 4, 5])
def test_a_real_attack_runs_in_python_and_not_here(tmp_path, refused, protocol):
    content = pickle.dumps({'state_dict': Marked(tmp_path / 'here')}, protocol)
    assert 'mkdir' in refused(read_pickle(tmp_path, content))
    assert not (tmp_path / 'here').exists()
    pickle.loads(content)
    assert (tmp_path / 'here').exists()


@pytest.mark.parametrize(
    ('owner', 'name'), [(GOOD, 'storage'), ('text', '__class__'), (Global('torch', 'Tensor'), 'x')]
)
def test_methods_are_looked_up_of_mmengines_curves_alone(tmp_path, refused, owner, name):
    content = dump({'a': GOOD, 'b': Call('__builtin__', 'getattr', owner, name)})
    assert "asks for '__builtin__.getattr'" in refused(read_pickle(tmp_path, content))


def test_a_class_from_outside_is_refused_even_as_a_mere_name(tmp_path, refused):
    content = dump({'a': GOOD, 'config': Global('my.project', 'Config')})
    assert "asks for 'my.project.Config'" in refused(read_pickle(tmp_path, content))


@pytest.mark.parametrize(
    ('body', 'message'),
    [
        (b'(ios\nsystem\n', "INST for 'os system'"),
        (b'(I1\no', 'OBJ'),
        (b'\x82\x01', 'EXT1'),
        (b'ccollections\nOrderedDict\n)\x81', 'NEWOBJ'),
        (b'Psome id\n', 'PERSID'),
        (b'\x97', 'NEXT_BUFFER'),
    ],
)
def test_instructions_that_weights_never_need(tmp_path, refused, body, message):
    assert message in refused(read_pickle(tmp_path, b'\x80\x02' + body + b'.'))


@pytest.mark.parametrize(
    ('obj', 'message'),
    [
        (Call('collections', 'OrderedDict', 1, 2), 'OrderedDict with wrong arguments'),
        (Call('torch', 'Size', 'abc'), 'torch.Size with wrong arguments'),
        (Call('torch._utils', '_rebuild_parameter', 'abc'), '_rebuild_parameter with wrong'),
        (
            Call('torch._tensor', '_rebuild_from_type_v2', Global('torch', 'Size'), 0, ((),), {}),
            '_rebuild_from_type_v2 with wrong',
        ),
    ],
)
def test_known_names_with_other_arguments(tmp_path, refused, obj, message):
    assert message in refused(read_pickle(tmp_path, dump({'a': GOOD, 'b': obj})))


def test_calling_what_is_no_function(tmp_path, refused):
    assert 'calls a str' in refused(read_pickle(tmp_path, b'\x80\x02U\x01a)R.'))
    assert 'calls a StorageKind' in refused(
        read_pickle(tmp_path, b'\x80\x02ctorch\nFloatStorage\n)R.')
    )


def test_attributes_of_anything_but_tensors_and_dicts(tmp_path, refused):
    assert 'sets attributes of a list' in refused(read_pickle(tmp_path, b'\x80\x02]}b.'))


# ------------------------------------------------------------ wearing the reader out


@pytest.mark.parametrize(
    'content',
    [
        b'\x80\x02' + b']' * 100_000 + b'a' * 99_999 + b'.',
        b'\x80\x02)' + b'\x85' * 100_000 + b'.',
        b'\x80\x02' + b'}U\x01a' * 100_000 + b'N' + b's' * 100_000 + b'.',
    ],
    ids=['lists', 'tuples', 'dicts'],
)
def test_deep_nest(tmp_path, refused, content):
    assert 'nests deeper than 64 levels' in refused(read_pickle(tmp_path, content))


def test_nest_as_key_of_a_dict(tmp_path, refused):
    content = dump({'a': GOOD, (1, (2, (3,))): 4})
    assert 'has a tuple as key of a dict' in refused(read_pickle(tmp_path, content))


def test_endless_work(tmp_path, refused):
    content = b'\x80\x02' + b'N0' * 1_100_000 + b'.'
    assert 'more than 2000000 instructions' in refused(read_pickle(tmp_path, content))


@pytest.mark.parametrize(
    'body',
    [
        b'X\xff\xff\xff\xff',
        b'\x8d' + b'\xff' * 7 + b'\x7fabc',
        b'\x8e' + b'\xff' * 8 + b'abc',
        b'\x96' + b'\xff' * 7 + b'\x7f',
        b'\x8b\xff\xff\xff\x7f',
    ],
    ids=['BINUNICODE', 'BINUNICODE8', 'BINBYTES8', 'BYTEARRAY8', 'LONG4'],
)
def test_huge_declared_lengths(tmp_path, refused, body):
    refused(read_pickle(tmp_path, b'\x80\x02' + body + b'.'))
    (tmp_path / 'legacy.pth').write_bytes(b'\x80\x02' + body + b'.')
    refused(tmp_path / 'legacy.pth')


def test_memo_at_a_huge_index_takes_no_memory(tmp_path, refused):
    content = b'\x80\x02}r\xff\xff\xff\xff0j\xff\xff\xff\xff.'
    assert 'holds no weights' in refused(read_pickle(tmp_path, content))


def test_memo_that_was_never_filled(tmp_path, refused):
    assert 'damaged or ends early' in refused(read_pickle(tmp_path, b'\x80\x02h\x07.'))


def test_container_within_itself(tmp_path, refused):
    content = b'\x80\x02}q\x00U\x05modelh\x00s.'
    assert 'holds no weights' in refused(read_pickle(tmp_path, content))


@pytest.mark.parametrize(
    'body', [b'', b'a.', b'0.', b'(.', b'u.', b't.', b'(U\x01au.', b'R.', b'.']
)
def test_stack_that_is_too_short(tmp_path, refused, body):
    refused(read_pickle(tmp_path, b'\x80\x02' + body))


# ------------------------------------------------------------ tensors beyond their file


@pytest.mark.parametrize(
    ('tensor', 'message'),
    [
        (tensor_of('0', ARRAY, shape=(7,), stride=(1,)), 'reaches number 6 of storage'),
        (tensor_of('0', ARRAY, shape=(2,), stride=(6,)), 'reaches number 6 of storage'),
        (tensor_of('0', ARRAY, offset=6), 'reaches number 11'),
        (tensor_of('0', ARRAY, offset=-1), 'no valid shape'),
        (tensor_of('0', ARRAY, stride=(-1,)), 'no valid shape'),
        (tensor_of('0', ARRAY, shape=(-6,)), 'no valid shape'),
        (tensor_of('0', ARRAY, shape=('6',)), 'no valid shape'),
        (tensor_of('0', ARRAY, shape=(10**6000,)), 'reaches number beyond'),
        (tensor_of('0', ARRAY, shape=(6,), stride=(1, 1)), '1 dimensions and 2 strides'),
        (tensor_of('0', ARRAY, shape=(1,) * 33, stride=(1,) * 33), '33 dimensions'),
        (tensor_of('0', ARRAY, size=10**15), 'too few for the 1000000000000000 numbers'),
        (tensor_of('0', ARRAY, size=-1), 'has -1 numbers'),
        (tensor_of('0', ARRAY, kind='DoubleStorage'), 'too few for the 6 numbers of float64'),
        (tensor_of('1', ARRAY), "member 'archive/data/1' is missing"),
        (tensor_of('../data.pkl', ARRAY), 'is missing'),
        (tensor_of('0', ARRAY, shape=(10**5, 10**5), stride=(0, 0)), 'tensors would take'),
        (StorageOf('module', 'x', '0', 'cpu', 6), 'no storage'),
        (StorageOf('storage', 'FloatStorage', '0', 'cpu', 6), 'in a way that PyTorch never'),
        (StorageOf('storage'), 'no storage'),
    ],
)
def test_storages_and_strides(tmp_path, refused, tensor, message):
    assert message in refused(read_pickle(tmp_path, dump({'a': tensor})))


def test_one_storage_of_two_kinds(tmp_path, refused):
    content = dump({'a': GOOD, 'b': tensor_of('0', ARRAY, size=3, kind='DoubleStorage')})
    assert "storage '0' has 24 bytes" in refused(read_pickle(tmp_path, content))


# ------------------------------------------------------------ broken archives


@pytest.mark.parametrize('share', [0.02, 0.3, 0.6, 0.9, 0.999])
def test_truncated_zip(tmp_path, refused, share):
    path = save_torch(tmp_path / 'a.pth', {'a': np.zeros(500, np.float32)})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert 'cut short or damaged' in refused(path)


def test_truncated_zip_whose_list_of_members_is_kept(tmp_path, refused):
    path = save_torch(tmp_path / 'a.pth', {'a': np.arange(500, dtype=np.float32)})
    content = path.read_bytes()
    start = content.index(b'PK\x01\x02')
    path.write_bytes(content[: start - 1000] + content[start:])
    refused(path)


def test_changed_number_shows_in_the_checksum(tmp_path, refused):
    path = save_torch(tmp_path / 'a.pth', {'a': np.full(500, 3, np.float32)})
    content = bytearray(path.read_bytes())
    content[content.index(struct.pack('<f', 3) * 5)] ^= 1
    path.write_bytes(content)
    assert "member 'archive/data/0' is damaged" in refused(path)


def test_zip_bomb(tmp_path, refused):
    content = dump({'a': tensor_of('0', np.zeros(1, np.float32), size=10**7, shape=(10**7,))})
    path = tmp_path / 'a.pth'
    write_zip(path, content, {'0': bytes(4 * 10**7)}, compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 10**5
    assert 'compressed or encrypted' in refused(path)


def test_two_members_of_one_name(tmp_path, refused):
    path = save_torch(tmp_path / 'a.pth', {'a': ARRAY})
    with pytest.warns(UserWarning, match='Duplicate'), zipfile.ZipFile(path, 'a') as archive:
        archive.writestr('archive/data.pkl', dump({}))
    assert 'two members of one name' in refused(path)


def test_other_zips_and_programs(tmp_path, refused):
    np.savez(tmp_path / 'a.npz', a=ARRAY)
    (tmp_path / 'a.npz').rename(tmp_path / 'a.pth')
    assert 'no PyTorch checkpoint' in refused(tmp_path / 'a.pth')
    path = write_zip(tmp_path / 'a.pth', dump({}), more={'constants.pkl': b''})
    assert 'TorchScript program' in refused(path)


def test_archives_of_numpy_that_hold_other_things(tmp_path, refused):
    path = tmp_path / 'a.npz'
    np.savez(path, a=np.array([{}], object))
    assert 'Object arrays cannot be loaded' in refused(path)
    np.savez(path, a=np.array(['text']))
    assert "'a' has numbers of kind" in refused(path)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('notes.txt', 'text')
    assert "'notes.txt' has numbers of kind" in refused(path)
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.npy', b'\x93NUMPY\x01\x00\x10\x00{broken')
    refused(path)
    np.savez_compressed(path, a=np.zeros(10**6))
    assert 'its arrays would take 8000' in refused(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert 'no archive of numpy, or damaged' in refused(path)
    np.savez(path)
    assert 'holds no weights by name' in refused(path)


# ------------------------------------------------------------ broken streams and safetensors


@pytest.mark.parametrize('cut', [3, 20, 60, 200, -1, -30])
def test_truncated_stream(tmp_path, refused, cut):
    (tmp_path / 'a.pth').write_bytes(legacy_bytes({'a': GOOD}, {'0': ARRAY})[:cut])
    refused(tmp_path / 'a.pth')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'magic': 12345}, 'another magic number'),
        ({'protocol': 999}, 'protocol 999, expected 1001'),
        ({'keys': ['0', '1']}, 'list of storages is not the one'),
        ({'keys': ['0', ['0']]}, 'list of storages is not the one'),
        ({'storages': {'0': ARRAY[:5]}}, "storage '0' has 5 numbers"),
    ],
)
def test_wrong_streams(tmp_path, refused, options, message):
    content = legacy_bytes({'a': GOOD}, options.pop('storages', {'0': ARRAY}), **options)
    (tmp_path / 'a.pth').write_bytes(content)
    assert message in refused(tmp_path / 'a.pth')


def test_plain_pickle_and_unknown_files(tmp_path, refused):
    (tmp_path / 'a.pth').write_bytes(pickle.dumps({'a': [1.0]}, 2))
    assert 'another magic number' in refused(tmp_path / 'a.pth')
    for content in (b'', b'\x80', b'hello', bytes(600), b'x' * 257 + b'ustar\x00' + bytes(300)):
        (tmp_path / 'b.pth').write_bytes(content)
        assert 'neither a PyTorch checkpoint' in refused(tmp_path / 'b.pth')


def safetensors_bytes(header, numbers=bytes(24), length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack('<Q', len(text) if length is None else length) + text + numbers


def entry(dtype='F32', shape=(6,), offsets=(0, 24), **more):
    return {'dtype': dtype, 'shape': list(shape), 'data_offsets': list(offsets), **more}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (safetensors_bytes({'a': entry()}, length=10**6), 'would have 1000000 bytes'),
        (safetensors_bytes(b'{"a": '), 'no valid JSON'),
        (safetensors_bytes(b'{"a":' * 100_000), 'nests too deeply'),
        (safetensors_bytes({'a': entry(dtype='C64')}), "numbers of kind 'C64'"),
        (safetensors_bytes({'a': entry(dtype=['F32'])}), 'numbers of kind'),
        (safetensors_bytes({'a': entry(shape=(7,))}), 'does not fit its shape'),
        (safetensors_bytes({'a': entry(shape=(2**40, 2**40))}), 'does not fit its shape'),
        (safetensors_bytes({'a': entry(shape=(-6,))}), 'no valid shape'),
        (safetensors_bytes({'a': entry(shape=(True,) * 6)}), 'no valid shape'),
        (safetensors_bytes({'a': entry(offsets=(24, 48))}), 'does not fit its shape or the file'),
        (safetensors_bytes({'a': entry(offsets=(24, 0))}), 'does not fit'),
        (safetensors_bytes({'a': entry(offsets=(0,))}), 'no valid shape or place'),
        (safetensors_bytes({'a': entry(code='x')}), 'in an unknown way'),
        (safetensors_bytes({'a': 3}), 'in an unknown way'),
        (safetensors_bytes(b'{"a": 1, "a": 2}'), 'has a name twice'),
        (safetensors_bytes({}), 'holds no weights'),
    ],
    ids=lambda value: value if isinstance(value, str) else '',
)
def test_wrong_safetensors(tmp_path, refused, content, message):
    (tmp_path / 'a.safetensors').write_bytes(content)
    assert message in refused(tmp_path / 'a.safetensors')


@pytest.mark.parametrize('obj', [[1, 2], {'epoch': 3}, {'model': {'epoch': 3}}, 'text', GOOD])
def test_files_without_weights_by_name(tmp_path, refused, obj):
    assert 'it holds no weights by name' in refused(read_pickle(tmp_path, dump(obj)))


@pytest.mark.parametrize('name', ['kinds.pth', 'kinds-legacy.pth', 'kinds.safetensors'])
def test_random_damage_is_refused_or_harmless(tmp_path, name):
    """Whatever a byte changes, nothing but ValueError comes out."""
    content = (DATA / name).read_bytes()
    rng, path = np.random.default_rng(0), tmp_path / name
    refusals = 0
    for _ in range(400):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[position] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            read_foreign(path)
        except ValueError:
            refusals += 1
    assert refusals > 40

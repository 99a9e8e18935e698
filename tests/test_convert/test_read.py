"""Files that torch 2.13 and safetensors wrote come back number by number."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from msseg.convert import read_foreign, sniff_format
from tests.test_convert.torch_files import (
    Call,
    Global,
    dump,
    legacy_bytes,
    save_torch,
    tensor_of,
    write_zip,
)

DATA = Path(__file__).parents[1] / 'data' / 'convert'
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def arrays_of(name):
    with np.load(DATA / name) as file:
        return dict(file)


@pytest.mark.parametrize(
    ('name', 'kind'),
    [
        ('kinds.pth', 'torch zip'),
        ('kinds-legacy.pth', 'torch stream'),
        ('kinds.safetensors', 'safetensors'),
    ],
)
def test_every_kind_of_number_and_view(name, kind):
    file, expected = read_foreign(DATA / name), arrays_of('kinds.npz')
    assert file.format == sniff_format(DATA / name) == kind
    assert set(file.tensors) == set(expected)
    for key, array in expected.items():
        assert file.tensors[key].dtype == array.dtype, key
        np.testing.assert_array_equal(file.tensors[key], array, strict=True)


@pytest.mark.parametrize('name', ['training.pth.tar', 'training-legacy.pth.tar'])
def test_weights_are_found_in_a_training_state(name):
    file = read_foreign(DATA / name)
    expected = {f'module.{key}': value for key, value in arrays_of('training.npz').items()}
    assert set(file.tensors) == set(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(file.tensors[key], array, strict=True)
    assert file.meta == {'CLASSES': ['road', 'sky'], 'PALETTE': [[1, 2, 3], [4, 5, 6]]}


def test_a_training_state_of_mmengine_holds_its_weights_classes_and_config():
    file = read_foreign(DATA / 'mmengine.pth')
    np.testing.assert_array_equal(file.tensors['a'], np.ones(3, np.float32), strict=True)
    assert list(file.tensors) == ['a']
    assert file.meta == {
        'CLASSES': ['a', 'b'],
        'PALETTE': [[0, 0, 0], [1, 2, 3]],
        'config': "default_scope='mmseg'",
    }


def test_zip_without_checksums():
    file, expected = read_foreign(DATA / 'without-checksums.pth'), arrays_of('training.npz')
    for key, array in expected.items():
        np.testing.assert_array_equal(file.tensors[key], array, strict=True)


def test_numbers_of_the_other_byte_order(tmp_path):
    content = dump({'a': tensor_of('0', ARRAY)})
    storages = {'0': ARRAY.astype('>f4').tobytes()}
    path = write_zip(tmp_path / 'a.pth', content, storages, more={'byteorder': b'big'})
    np.testing.assert_array_equal(read_foreign(path).tensors['a'], ARRAY, strict=True)


@pytest.mark.parametrize('keys', [['state_dict'], ['model'], ['model', 'state_dict']])
def test_weights_are_found_below_the_usual_keys(tmp_path, keys):
    def wrap(state):
        for key in reversed(keys):
            state = {key: state, 'epoch': 3}
        return state

    path = save_torch(tmp_path / 'a.pth', {'a': ARRAY}, wrap)
    assert list(read_foreign(path).tensors) == ['a']


def test_name_of_the_file_does_not_matter(tmp_path):
    path = save_torch(tmp_path / 'weights.ckpt', {'a': ARRAY})
    np.testing.assert_array_equal(read_foreign(path).tensors['a'], ARRAY)


def test_numbers_stay_in_the_file_until_they_are_used(tmp_path):
    array = read_foreign(save_torch(tmp_path / 'a.pth', {'a': ARRAY})).tensors['a']
    assert not array.flags.owndata and not array.flags.writeable


def test_tensors_share_a_storage_in_the_stream(tmp_path):
    state = {
        'rows': tensor_of('7', ARRAY),
        'columns': tensor_of('7', ARRAY, shape=(3, 2), stride=(1, 3)),
        'last': tensor_of('7', ARRAY, offset=5, shape=(), stride=()),
    }
    (tmp_path / 'a.pth').write_bytes(legacy_bytes(state, {'7': ARRAY}))
    tensors = read_foreign(tmp_path / 'a.pth').tensors
    np.testing.assert_array_equal(tensors['columns'], ARRAY.T)
    assert tensors['last'] == 5


def test_neither_pytorch_nor_mindspore_is_imported():
    code = (
        'import sys; from msseg.convert import convert, read_foreign\n'
        f'read_foreign({str(DATA / "kinds.pth")!r})\n'
        "print(sorted({'torch', 'mindspore', 'safetensors', 'cv2'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == '[]'


def test_absent_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.pth' is not a file"):
        read_foreign(tmp_path / 'no.pth')


def test_tensor_with_attributes_of_its_own(tmp_path):
    inner = tensor_of('0', ARRAY)
    function, kind = Global('torch._utils', '_rebuild_tensor_v2'), Global('torch', 'Tensor')
    tensor = Call(
        'torch._tensor', '_rebuild_from_type_v2', function, kind, inner.arguments, {'note': 'x'}
    )
    path = write_zip(tmp_path / 'a.pth', dump({'a': tensor}), {'0': ARRAY.tobytes()})
    np.testing.assert_array_equal(read_foreign(path).tensors['a'], ARRAY)

"""A small writer of what torch.save writes, and of what nobody should."""

import io
import pickle
import struct
import zipfile

import numpy as np

STORAGES = {
    np.dtype('float32'): 'FloatStorage',
    np.dtype('float64'): 'DoubleStorage',
    np.dtype('float16'): 'HalfStorage',
    np.dtype('int64'): 'LongStorage',
}


class Global:
    """Something that is pickled as a name."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Call:
    """Something that is pickled as a call of a name."""

    def __init__(self, module, name, *arguments):
        self.callee, self.arguments = Global(module, name), arguments


class StorageOf:
    """Something that is pickled as a persistent id."""

    def __init__(self, *identity):
        self.identity = identity


class Writer(pickle._Pickler):
    """Python's own pickler in Python, with names that need not exist."""

    dispatch = pickle._Pickler.dispatch.copy()

    def persistent_id(self, obj):
        return obj.identity if isinstance(obj, StorageOf) else None

    def save_name(self, obj):
        self.write(b'c' + f'{obj.module}\n{obj.name}\n'.encode())

    def save_call(self, obj):
        self.save(obj.callee)
        self.save(tuple(obj.arguments))
        self.write(b'R')

    dispatch[Global] = save_name
    dispatch[Call] = save_call


def dump(obj):
    file = io.BytesIO()
    Writer(file, protocol=2).dump(obj)
    return file.getvalue()


def tensor_of(key, array, kind=None, size=None, offset=0, shape=None, stride=None):
    """The pickled form of a tensor whose storage has this key."""
    kind = kind or STORAGES[array.dtype]
    shape = array.shape if shape is None else shape
    stride = tuple(step // array.itemsize for step in array.strides) if stride is None else stride
    storage = StorageOf(
        'storage', Global('torch', kind), key, 'cpu', array.size if size is None else size
    )
    hooks = Call('collections', 'OrderedDict')
    return Call('torch._utils', '_rebuild_tensor_v2', storage, offset, shape, stride, False, hooks)


def write_zip(path, data_pkl, storages=None, compression=zipfile.ZIP_STORED, more=None):
    """A zip as torch.save writes it, from its parts."""
    with zipfile.ZipFile(path, 'w', compression) as archive:
        archive.writestr('archive/data.pkl', data_pkl)
        for name, content in (more or {'byteorder': b'little'}).items():
            archive.writestr(f'archive/{name}', content)
        for key, content in (storages or {}).items():
            archive.writestr(f'archive/data/{key}', content)
    return path


def save_torch(path, arrays, wrap=lambda state: state):
    """Write arrays by name, as torch.save would their tensors."""
    keys = {name: str(index) for index, name in enumerate(arrays)}
    state = {name: tensor_of(keys[name], array) for name, array in arrays.items()}
    storages = {keys[name]: array.tobytes() for name, array in arrays.items()}
    return write_zip(path, dump(wrap(state)), storages)


def legacy_bytes(obj, storages, keys=None, magic=0x1950A86A20F9469CFC6C, protocol=1001):
    """The stream that PyTorch wrote before 1.6; storages are key -> array."""
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}
    parts = [dump(magic), dump(protocol), dump(system), dump(obj)]
    parts.append(dump(list(storages) if keys is None else keys))
    for array in storages.values():
        parts += [struct.pack('<q', array.size), array.tobytes()]
    return b''.join(parts)

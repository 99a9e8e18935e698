"""Write this folder's files; needs torch 2.13.0, safetensors and numpy 2, which msseg does not."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch.serialization import set_crc32_options

FOLDER = Path(__file__).parent
KINDS = [
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool,
]  # fmt: skip


def make_tensors():
    """Every kind of number, and views: transposed, stepped, shared, of no and of one number."""
    torch.manual_seed(0)
    tensors = OrderedDict()
    for kind in KINDS:
        tensors[str(kind).removeprefix('torch.')] = (torch.randn(3, 4) * 50).to(kind)
    base = torch.randn(4, 6)
    tensors['base'] = base
    tensors['transposed'] = base.t()
    tensors['stepped'] = base[1:, ::2]
    tensors['row'] = base[2]
    tensors['expanded'] = torch.randn(3, 1).expand(3, 5)
    tensors['scalar'] = torch.tensor(3.5)
    tensors['empty'] = torch.zeros(0, 3)
    tensors['half_transposed'] = (torch.randn(2, 5) * 9).to(torch.bfloat16).t()
    tensors['parameter'] = torch.nn.Parameter(torch.randn(2, 2))
    return tensors


def as_numpy(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def make_training_state():
    """What a training loop of old saves: module's names, optimizer, loose values."""
    torch.manual_seed(1)
    model = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    model(torch.randn(2, 2, 4, 4)).sum().backward()
    optimizer.step()
    wrapped = torch.nn.DataParallel(model)
    state = {
        'epoch': 7,
        'arch': 'tiny',
        'best': np.float64(0.5),
        'where': torch.device('cpu'),
        'size': torch.Size([2, 3]),
        'meta': {'CLASSES': ('road', 'sky'), 'PALETTE': [[1, 2, 3], [4, 5, 6]], 'seed': None},
        'state_dict': wrapped.state_dict(),
        'optimizer': optimizer.state_dict(),
    }
    return state, model.state_dict()


def main():
    """Write everything."""
    tensors = make_tensors()
    torch.save(tensors, FOLDER / 'kinds.pth')
    torch.save(tensors, FOLDER / 'kinds-legacy.pth', _use_new_zipfile_serialization=False)
    apart = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    save_file(apart, FOLDER / 'kinds.safetensors', metadata={'format': 'pt'})
    np.savez_compressed(
        FOLDER / 'kinds.npz', **{name: as_numpy(tensor) for name, tensor in tensors.items()}
    )
    state, model = make_training_state()
    torch.save(state, FOLDER / 'training.pth.tar')
    torch.save(state, FOLDER / 'training-legacy.pth.tar', _use_new_zipfile_serialization=False)
    np.savez_compressed(FOLDER / 'training.npz', **{k: as_numpy(v) for k, v in model.items()})
    set_crc32_options(False)
    torch.save(model, FOLDER / 'without-checksums.pth')


if __name__ == '__main__':
    main()

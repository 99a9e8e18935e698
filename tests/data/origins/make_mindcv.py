"""Write mindcv.json.gz: the names and shapes of models of MindCV 0.3.0.

    pip install mindcv==0.3.0 --no-deps --target folder
    python tests/data/origins/make_mindcv.py folder/mindcv

The widths of its ResNet and HRNet are fixed; its Swin Transformer is left out, whose names follow
from the version of MindSpore. Only the modules of these models
are imported: the package as a whole needs more than they do.
"""

import gzip
import importlib
import json
import sys
import types
from pathlib import Path

from mindspore.nn.utils import no_init_parameters

PACKAGE = Path(sys.argv[1])
for name in ('mindcv', 'mindcv.models', 'mindcv.utils'):
    module = types.ModuleType(name)
    module.__path__ = [str(PACKAGE / '/'.join(name.split('.')[1:]))]
    sys.modules[name] = module

convnext, hrnet, resnet = (
    importlib.import_module(f'mindcv.models.{name}') for name in ('convnext', 'hrnet', 'resnet')
)
BLOCKS = (resnet.Bottleneck, [3, 4, 6, 3])
with no_init_parameters():
    MODELS = {
        'resnet': resnet.ResNet(*BLOCKS),
        'resnext': resnet.ResNet(*BLOCKS, groups=32, base_width=4),
        'hrnet': hrnet.hrnet_w32(pretrained=False),
    }
MODELS['convnext'] = convnext.ConvNeXt(
    3, 10, depths=[1, 2, 1, 1], dims=[4, 6, 8, 10], drop_path_rate=0.0,
    layer_scale_init_value=1e-6, head_init_scale=1.0,
)  # fmt: skip
names = {
    key: {p.name: list(p.shape) for p in model.get_parameters()} for key, model in MODELS.items()
}
path = Path(__file__).with_name('mindcv.json.gz')
path.write_bytes(gzip.compress(json.dumps(names).encode(), mtime=0))

"""Write mmseg122_models.jsonl.gz: the models of MMSegmentation 1.2.2's config files.

Where mmsegmentation 1.2.2, mmcv 2.1, mmengine 0.10, mmpretrain 1.2 and torch are installed (they
are no dependencies):
    python tests/data/make_mmseg122_models.py MMSEGMENTATION/configs

A line for each model, of which those that differ in the number of classes alone are one: the files
with it, the model, and a hash of names and shapes of its weights, if PyTorch could build it.
"""

import gzip
import json
import re
import sys
from pathlib import Path

import mmpretrain.models  # noqa: F401
import mmseg.models  # noqa: F401
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.test_configs.digest import digest

OUT = Path(__file__).with_name('mmseg122_models.jsonl.gz')
NOT_READ = ('train_cfg', 'test_cfg')  # by the constructors of the parts
NOT_COMPARED = ('num_batches_tracked', 'relative_position_index')


def without_weights(node):
    """A config whose parts begin with random weights."""
    if isinstance(node, dict):
        is_file = node.get('type') == 'Pretrained'
        return None if is_file else {
            key: None if key == 'pretrained' else without_weights(value)
            for key, value in node.items()
            if key != 'data_preprocessor'
        }  # fmt: skip
    if isinstance(node, (list, tuple)):
        return type(node)(without_weights(value) for value in node)
    return node


def main():
    """Build the models and write the lines."""
    init_default_scope('mmseg')
    for name in dir(torch.nn.init):  # values are not compared
        if name.endswith('_') and not name.startswith('_'):
            setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
    root, rows, models = Path(sys.argv[1]), {}, {}
    for file in sorted(root.glob('[!_]*/*.py')):
        cfg = Config.fromfile(file, import_custom_modules=False)
        model = without_weights(cfg.to_dict()['model'])
        if model['type'] == 'EncoderDecoder':
            model = {key: value for key, value in model.items() if key not in NOT_READ}
        text = json.dumps(model, sort_keys=True, default=lambda kind: kind.__name__)
        key = re.sub(r'"num_classes": \d+', '', text)
        models.setdefault(key, model)
        row = rows.setdefault(key, dict(files=[], model=json.loads(text)))
        row['files'].append(str(file.relative_to(root)))
    for key, row in rows.items():
        try:
            network = MODELS.build(models[key])
        except Exception as error:  # what it needs is not installed
            print(row['files'], repr(error)[:100])
            continue
        state = network.state_dict().items()
        row['digest'] = digest(
            {key: value.shape for key, value in state if not key.endswith(NOT_COMPARED)}
        )
    lines = ''.join(json.dumps(row) + '\n' for row in rows.values())
    OUT.write_bytes(gzip.compress(lines.encode(), 9, mtime=0))
    built = [row for row in rows.values() if 'digest' in row]
    print(sum(len(row['files']) for row in built), 'files,', len(built), 'models')


if __name__ == '__main__':
    main()

"""Write torch_counts.json.gz: MMSegmentation's models, counted by PyTorch.

By config file: parameters, without those of heads that only train, and half of what
torch.utils.flop_counter counts for one image of the crop's size. In the project's environment, then
where mmsegmentation 0.30.0, mmcls 0.25.0, mmcv 1.7.2 and torch are installed (they are no
dependencies):
    python -c "import json; from docs import model_zoo; \\
print(json.dumps([[m.config, m.size] for m in model_zoo.read_published()]))" > published.json
    python tests/data/make_torch_counts.py published.json
"""

import gzip
import json
import sys
from pathlib import Path

import mmcls.models  # noqa: F401
import mmcv
import mmseg
import torch
from mmseg.models import build_segmentor
from torch.utils.flop_counter import FlopCounterMode

STORED = Path(__file__).parent / 'torch_counts.json.gz'
CONFIGS = Path(mmseg.__file__).parent / '.mim' / 'configs'


def without_training(node):
    """Settings without files of weights, and with norms of one device."""
    if isinstance(node, dict):
        kept = {key: without_training(value) for key, value in node.items() if key != 'pretrained'}
        if kept.get('type') == 'SyncBN':
            kept['type'] = 'BN'
        if isinstance(kept.get('init_cfg'), dict) and kept['init_cfg'].get('type') == 'Pretrained':
            del kept['init_cfg']
        return kept
    if isinstance(node, (list, tuple)):
        return type(node)(without_training(value) for value in node)
    return node


def settings_of(config):
    """The settings of a file's model, with what stands next to it in older files."""
    cfg = mmcv.Config.fromfile(CONFIGS / f'{config}.py')
    outer = {key: cfg[key] for key in ('train_cfg', 'test_cfg') if cfg.get(key) is not None}
    return mmcv.ConfigDict(without_training({**outer, **cfg.model.to_dict()}))


def count(settings, size):
    """Parameters and multiplications with addition; nothing is computed."""
    network = build_segmentor(settings).to('meta').eval()
    parameters = sum(
        value.numel()
        for name, value in network.named_parameters()
        if value.requires_grad and not name.startswith('auxiliary_head')
    )
    shape = (*size, 3)
    meta = {'ori_shape': shape, 'img_shape': shape, 'pad_shape': shape}
    with torch.device('meta'), torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.encode_decode(torch.empty(1, 3, *size), [meta])
    return [parameters, counter.get_total_flops() // 2]


def main():
    """Count each network once, and write all configs."""
    torch.set_num_threads(1)
    counts, known = {}, {}
    for config, size in json.loads(Path(sys.argv[1]).read_text()):
        settings = settings_of(config)
        key = json.dumps([settings, size], sort_keys=True, default=str)
        if key not in known:
            known[key] = count(settings, size)
        counts[config] = known[key]
    lines = ',\n'.join(f'{json.dumps(key)}: {value}' for key, value in sorted(counts.items()))
    STORED.write_bytes(gzip.compress(f'{{\n{lines}\n}}\n'.encode(), mtime=0))


if __name__ == '__main__':
    main()

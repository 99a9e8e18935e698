"""One training step of each tiny family, on this side and on PyTorch's: what both have in common.

Run `python -m tests.test_models.sgd_steps` after a new row in `tests/tiny_families.py` to write the
models for PyTorch, then ``tests/data/make_sgd_steps.py`` where MMSegmentation is installed.
"""

import copy
import json
import sys
import zlib
from pathlib import Path

import numpy as np

STORED = Path(__file__).parents[1] / 'data' / 'sgd_steps.jsonl.gz'
OPTIMIZER = dict(lr=0.1, momentum=0.9, weight_decay=5e-4)
NUM_PICKED = 6
DROPS = {'drop_rate', 'attn_drop_rate', 'drop_path_rate', 'dropout'}


def comparable(config):
    """A model without dropout and with norms of one device, both of which draw no numbers."""
    config = copy.deepcopy(config)
    _without_dropout(config)
    return json.loads(json.dumps(config))


def _without_dropout(node):
    if isinstance(node, dict):
        if {'num_classes', 'channels'} <= node.keys() or node.get('type') == 'ERFNet':
            node['dropout_ratio'] = 0.0
        node |= dict.fromkeys(DROPS & node.keys(), 0.0)
        if node.get('type') == 'SyncBN':
            node['type'] = 'BN'
    for value in node.values() if isinstance(node, dict) else node:
        if isinstance(value, (dict, list, tuple)):
            _without_dropout(value)


def batch(size, num_classes):
    """Images (n, 3, h, w), float32, and labels (n, h, w) in blocks, 255 ignored."""
    rng = np.random.default_rng(11)
    count = 2 if max(size) > 128 else 4
    images = rng.standard_normal((count, 3, *size)).astype(np.float32)
    blocks = rng.integers(0, num_classes, (count, -(-size[0] // 8), -(-size[1] // 8)))
    labels = blocks.repeat(8, 1).repeat(8, 2)[:, : size[0], : size[1]].astype(np.int32)
    labels[:, :2] = 255
    return images, labels


def summarise(name, before, after):
    """Return what is compared of a weight: largest value, largest change, and changes.

    The changes are a sum with signs drawn by the name, of which every value is a part, and those of
    a few places.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    before, after = (np.asarray(each, np.float64).reshape(-1) for each in (before, after))
    change = after - before
    signs = rng.choice([-1.0, 1.0], change.size)
    picked = np.sort(rng.choice(change.size, min(change.size, NUM_PICKED), replace=False))
    return [
        np.abs(after).max(),
        np.abs(change).max(),
        (signs * change).sum() / change.size**0.5,
        *change[picked],
    ]


def main():
    """Write the models of the families as JSON."""
    from tests.test_models.test_sgd_step import MODELS

    json.dump({name: [list(size), config] for name, (size, config) in MODELS.items()}, sys.stdout)


if __name__ == '__main__':
    main()

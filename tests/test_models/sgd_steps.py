"""One training step of each tiny family, on this side and on PyTorch's: what both have in common.

Run `python -m tests.test_models.sgd_steps` after a new row in `tests/tiny_families.py` to write the
models for PyTorch, then ``tests/data/make_sgd_steps.py`` where MMSegmentation is installed.
"""

import copy
import json
import sys
from pathlib import Path

STORED = Path(__file__).parents[1] / 'data' / 'sgd_steps.jsonl.gz'
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


def main():
    """Write the models of the families as JSON."""
    from tests.test_models.test_sgd_step import MODELS

    json.dump({name: [list(size), config] for name, (size, config) in MODELS.items()}, sys.stdout)


if __name__ == '__main__':
    main()

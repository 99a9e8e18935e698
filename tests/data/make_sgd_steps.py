"""Write sgd_steps.jsonl.gz: one step of SGD of MMSegmentation's models, in float64.

In the project's environment, then where mmsegmentation 0.30.0, mmcv 1.7.2, mmcls 0.25.0 and torch
are installed (they are no dependencies); names of models after it make those alone, and keep the
others:
    python -m tests.test_models.sgd_steps > models.json
    python tests/data/make_sgd_steps.py models.json [NAME ...]
"""

import gzip
import json
import sys
from pathlib import Path

import mmcls.models  # noqa: F401
import numpy as np
import torch
from mmseg.models import build_segmentor

sys.path.insert(0, str(Path(__file__).parents[2]))
from msseg.checks.selftest.reference import OPTIMIZER, fill, make_batch, summarise
from tests.test_models.sgd_steps import STORED


def values_of(network):
    """Weights and running statistics by their names."""
    state = network.state_dict().items()
    return {name: value.numpy().copy() for name, value in state if value.is_floating_point()}


def earlier_names(network):
    """Names of weights that have another name after this one, which is the one compared."""
    name_of = {value.data_ptr(): name for name, value in network.state_dict().items()}
    return {
        name
        for name, value in network.state_dict().items()
        if value.numel() and name_of[value.data_ptr()] != name
    }


LISTS = ('FPN', 'MLANeck', 'MultiLevelNeck')


def with_tuples(node):
    """Make lists of numbers tuples again: most parts take them, some nothing else, LISTS none."""
    if isinstance(node, dict):
        return {
            key: value if node.get('type') in LISTS else with_tuples(value)
            for key, value in node.items()
        }
    if isinstance(node, list):
        items = [with_tuples(value) for value in node]
        return items if any(isinstance(value, dict) for value in items) else tuple(items)
    return node


def build_filled(config):
    """The model in float64, with weights made from their names, in training."""
    torch.manual_seed(0)
    cfg = dict(with_tuples(config), train_cfg={}, test_cfg={'mode': 'whole'})
    network = build_segmentor(cfg).double()
    for key, value in network.state_dict().items():
        if value.is_floating_point():
            value.copy_(torch.from_numpy(fill(key, tuple(value.shape))))
    for module in network.modules():  # ANNHead calls it whether it is there or not
        if getattr(module, 'dropout', 0) is None:
            module.dropout = torch.nn.Identity()
    return network.train()


def make_row(name, size, config):
    """One model's line."""
    network = build_filled(config)
    before = values_of(network)
    optimizer = torch.optim.SGD(network.parameters(), **OPTIMIZER)
    images, labels = make_batch(size, network.num_classes)
    shape = (*size, 3)
    meta = dict(ori_shape=shape, img_shape=shape, pad_shape=shape, flip=False, filename='')
    losses = network.forward_train(
        torch.from_numpy(images).double(),
        [meta] * len(images),
        torch.from_numpy(labels.astype(np.int64))[:, None],
    )
    loss, _ = network._parse_losses(losses)
    loss.backward()
    optimizer.step()
    after = values_of(network)
    weights = {key: [list(value.shape)] for key, value in before.items()}
    for key in before.keys() - earlier_names(network):
        values = summarise(key, before[key], after[key])
        weights[key] += [float(f'{value:.5g}') for value in values]
    return dict(name=name, size=size, model=config, loss=float(loss), weights=weights)


def main():
    """Make the lines and write them, sorted by name."""
    torch.set_num_threads(1)
    models = json.loads(Path(sys.argv[1]).read_text())
    lines = gzip.decompress(STORED.read_bytes()).splitlines() if STORED.exists() else []
    rows = {row['name']: row for row in map(json.loads, lines) if row['name'] in models}
    for name in sys.argv[2:] or models:
        try:
            rows[name] = make_row(name, *models[name])
        except Exception as error:  # upstream refuses it: try the others
            print(name, 'FAILS', repr(error), flush=True)
        else:
            print(name, rows[name]['loss'], flush=True)
    text = ''.join(json.dumps(rows[name]) + '\n' for name in sorted(rows))
    STORED.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == '__main__':
    main()

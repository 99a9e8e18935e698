"""MMSegmentation's config files build unmodified, with its names, shapes and logits."""

import gzip
import importlib.metadata
import json
import zlib
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.config import Config
from msseg.convert import convert
from msseg.models import build_segmentor
from msseg.models.layers.resize import resize_matrix

DATA = Path(__file__).parents[1] / 'data' / 'mmseg030'
ROWS = [
    json.loads(line)
    for path in sorted(DATA.glob('*.jsonl.gz'))
    for line in gzip.decompress(path.read_bytes()).splitlines()
]


def build(config, options=None):
    """The model of a config file inside the wheel of MMSegmentation 0.30, with other options."""
    files = importlib.metadata.distribution('mmsegmentation')
    cfg = Config.fromfile(files.locate_file(f'mmseg/.mim/configs/{config}'))
    cfg.merge_from_dict(options or {})
    outer = {
        key: cfg[key]
        for key in ('train_cfg', 'test_cfg')
        if cfg.get(key) and not cfg.model.get(key)
    }
    return build_segmentor(cfg.model, **outer)


def fill(name, shape):
    """The values of a weight or statistic, made from its name in PyTorch."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if name.endswith('running_var'):
        return np.asarray(1 + 0.2 * rng.random(shape), np.float32)
    if name.endswith('running_mean'):
        return np.asarray(0.1 * rng.standard_normal(shape), np.float32)
    if len(shape) <= 1:
        base = 1.0 if name.endswith(('weight', 'gamma')) else 0.0
        return np.asarray(base + 0.1 * rng.standard_normal(shape), np.float32)
    fan = int(np.prod(shape[1:])) or 1
    return np.asarray(rng.standard_normal(shape) * fan**-0.5, np.float32)


def load_filled(model, names):
    """Load the file that PyTorch would have written; every name must match."""
    weights = {name: fill(name, tuple(shape)) for name, shape in names.items()}
    parameters = {p.name: p for p in model.get_parameters()}
    wanted = {name: p.shape for name, p in parameters.items() if p.dtype == ms.float32}
    conversion = convert(weights, 'mmseg', wanted)
    others = conversion.of_kind('missing', 'unexpected', 'shape mismatch', 'filled', 'folded')
    assert others == []
    for name, array in conversion.weights.items():
        parameters[name].set_data(ms.Tensor(array))


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row['config'])
def test_names_shapes_and_logits_are_those_of_mmsegmentation(row):
    model = build(row['config'], row.get('options')).set_train(False)
    load_filled(model, row['names'])
    wanted = row['logits']
    image = np.random.default_rng(7).standard_normal((1, 3, *wanted['size'])).astype(np.float32)
    scores = model.predict(ms.Tensor(image)).asnumpy().astype(np.float64)
    rows, columns = (
        resize_matrix(scores.shape[2 + i], wanted['size'][i], model.align_corners) for i in (0, 1)
    )
    logits = rows @ scores @ columns.T
    assert list(logits.shape) == wanted['shape']
    places = np.random.default_rng(wanted['pick_seed']).choice(logits.size, 64, replace=False)
    got = logits.reshape(-1)[np.sort(places)]
    np.testing.assert_allclose(got, wanted['values'], rtol=0, atol=1e-4 * wanted['max'])
    assert logits.mean() == pytest.approx(wanted['mean'], abs=1e-4 * wanted['max'])
    assert logits.std() == pytest.approx(wanted['std'], abs=1e-4 * wanted['max'])

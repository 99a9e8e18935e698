"""MMSegmentation's config files build unmodified, with its names, shapes and logits."""

import gzip
import importlib.metadata
import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore.nn.utils import no_init_parameters

from msseg.config import Config
from msseg.models import build_segmentor
from msseg.models.layers.resize import resize_matrix
from tests.test_models.reference_weights import load_filled

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
    with no_init_parameters():  # the weights are stored ones
        return build_segmentor(cfg.model, **outer)


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

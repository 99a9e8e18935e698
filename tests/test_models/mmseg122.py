"""Models compared with MMSegmentation 1.2.2: names, logits, losses and gradients.

tests/data/mmseg122.json.gz has for each model the names and shapes of its weights, values of the
logits, the losses of a training pass and norms of the gradients, computed in float64 by PyTorch
2.13 from weights, image and batch that are made from names and seeds.
"""

import gzip
import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest

from msseg.checks.selftest.reference import make_batch

SIZE, NUM_CLASSES = (128, 192), 5
ROWS = json.loads(
    gzip.decompress((Path(__file__).parents[1] / 'data/mmseg122.json.gz').read_bytes())
)


def assert_logits(name, model):
    """Compare the logits of one image."""
    row = ROWS[name]
    model.set_train(False)
    rng = np.random.default_rng(7)
    logits = model.predict(ms.Tensor(rng.standard_normal((1, 3, *SIZE)), ms.float32)).asnumpy()
    assert list(logits.shape) == row['shape']
    places = np.sort(np.random.default_rng(3).choice(logits.size, 16, replace=False))
    np.testing.assert_allclose(logits.ravel()[places], row['values'], atol=1e-4 * row['max'])


def assert_training_pass(name, model):
    """Compare the losses of a batch, and the gradients' norms of backbone and head."""
    row = ROWS[name]
    model.set_train()
    images, labels = (ms.Tensor(each) for each in make_batch(SIZE, NUM_CLASSES))
    head, weights = model.decode_head, model.trainable_params()

    def total(x):
        values = head.losses(head(model.backbone(x)), labels)
        return sum(values[:-1]), values

    (_, values), gradients = ms.value_and_grad(total, None, weights, has_aux=True)(images)
    assert head.loss_names == list(row['losses'])
    for value, (key, expected) in zip(values, row['losses'].items(), strict=True):
        # a pixel or two of the accuracy may be ties
        assert float(value) == pytest.approx(expected, rel=1e-3 if key == 'acc_seg' else 1e-5)
    for part, expected in row['grads'].items():
        squares = [
            float((gradient.asnumpy().astype(float) ** 2).sum())
            for weight, gradient in zip(weights, gradients, strict=True)
            if weight.name.startswith(part)
        ]
        assert sum(squares) ** 0.5 == pytest.approx(expected, rel=2e-3)

"""Necks of transformers against MMSegmentation's numbers."""

import json
from pathlib import Path

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.convert import convert
from msseg.models import build_neck
from tests.test_models.reference_fill import fill
from tests.test_models.test_mmseg030 import DATA

PARTS = json.loads(Path(DATA / 'parts.json').read_text('utf-8'))
NECKS = [
    name for name in PARTS if name.split()[0] in ('MLANeck', 'MultiLevelNeck', 'Feature2Pyramid')
]


def stored(name):
    """A neck with the weights of the stored numbers, and PyTorch's names of its parameters."""
    row = PARTS[name]
    neck = build_neck(row['config'])
    parameters = {p.name: p for p in neck.get_parameters()}
    prefix = 'neck.'
    weights = {prefix + key: fill(key, tuple(shape)) for key, shape in row['names'].items()}
    conversion = convert(weights, 'mmseg', {prefix + key: p.shape for key, p in parameters.items()})
    assert not conversion.of_kind('missing', 'unexpected', 'shape mismatch', 'filled', 'folded')
    for key, array in conversion.weights.items():
        parameters[key.removeprefix(prefix)].set_data(ms.Tensor(array))
    return neck


def maps(name):
    rng = np.random.default_rng(0)
    return tuple(ms.Tensor(rng.normal(size=shape), ms.float32) for shape in PARTS[name]['inputs'])


@pytest.mark.parametrize('name', NECKS)
def test_results_are_mmsegmentations(name):
    neck = stored(name).set_train(False)
    outputs = neck(maps(name))
    assert [each.shape[1] for each in outputs] == neck.out_channels
    for output, wanted in zip(outputs, PARTS[name]['outputs'], strict=True):
        got = output.asnumpy().astype(np.float64)
        assert list(got.shape) == wanted['shape']
        count = min(got.size, 32)
        places = np.sort(np.random.default_rng(3).choice(got.size, count, replace=False))
        np.testing.assert_allclose(got.reshape(-1)[places], wanted['values'], atol=2e-5)
        assert got.mean() == pytest.approx(wanted['mean'], abs=1e-5)
        assert got.std() == pytest.approx(wanted['std'], abs=1e-5)


class Sum(nn.Cell):
    """The sum of all maps, weighed by random numbers."""

    def __init__(self, neck, shapes):
        super().__init__(auto_prefix=False)
        self.neck = neck
        rngs = [np.random.default_rng(10 + i) for i in range(len(shapes))]
        self.factors = tuple(ms.Tensor(r.normal(size=s), ms.float32)
                             for r, s in zip(rngs, shapes, strict=True))  # fmt: skip

    def construct(self, *inputs):
        outputs = self.neck(inputs)
        total = 0.0
        for i in range(len(outputs)):
            total = total + (outputs[i] * self.factors[i]).sum()
        return total


@pytest.mark.parametrize('name', NECKS)
def test_gradients_are_mmsegmentations(name):
    neck, wanted = stored(name), PARTS[name]['train']
    network = Sum(neck, [each['shape'] for each in PARTS[name]['outputs']]).set_train()
    weights = neck.trainable_params()
    total, gradients = ms.value_and_grad(network, None, weights)(*maps(name))
    assert float(total) == pytest.approx(wanted['total'], rel=1e-4)
    norms = [np.linalg.norm(each.asnumpy().astype(np.float64)) for each in gradients]
    leaves = {'gamma': 'weight', 'beta': 'bias'}
    names = [p.name.rpartition('.') for p in weights]
    found = {f'{layer}.{leaves.get(leaf, leaf)}': norm
             for (layer, _, leaf), norm in zip(names, norms, strict=True)}  # fmt: skip
    assert found.keys() == wanted['gradients'].keys()
    largest = max(found.values())
    for key, norm in wanted['gradients'].items():
        # that of a shift before a norm is 0 but for rounding
        assert found[key] == pytest.approx(norm, rel=1e-3, abs=1e-5 * largest), key


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(type='MLANeck', in_channels=[], out_channels=4), r'MLANeck: in_channels is \[\]'),
        (
            dict(type='MultiLevelNeck', in_channels=[4, 4], out_channels=4),
            r'MultiLevelNeck: in_channels is \[4, 4\], expected 1 number, or 4, as many as scales',
        ),
        (
            dict(type='MultiLevelNeck', in_channels=[4], out_channels=4, scales=[1.5]),
            'MultiLevelNeck: scales: Rescale: factor is 1.5, expected a whole number or 1 divided',
        ),
        (
            dict(type='Feature2Pyramid', embed_dim=4, rescales=[1, 2]),
            r'Feature2Pyramid: rescales is \[1, 2\], expected \(4, 2, 1, 0.5\) or',
        ),
        (dict(type='Feature2Pyramid', embed_dim=4, rescales=[3]), 'Feature2Pyramid: rescales is'),
    ],
)
def test_what_does_not_fit_is_refused(config, message):
    with pytest.raises(ValueError, match=message):
        build_neck(config)

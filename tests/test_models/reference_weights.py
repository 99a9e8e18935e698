"""Weights made from their names in PyTorch, as a file of PyTorch would bring them."""

import mindspore as ms

from msseg.convert import convert
from tests.test_models.reference_fill import fill


def load_filled(model, names, prefix=''):
    """Load the file that PyTorch would have written; every name must match.

    A part of a model needs the prefix that its names have there, such as ``decode_head.``.
    """
    weights = {prefix + name: fill(name, tuple(shape)) for name, shape in names.items()}
    parameters = {prefix + p.name: p for p in model.get_parameters()}
    wanted = {name: p.shape for name, p in parameters.items() if p.dtype == ms.float32}
    conversion = convert(weights, 'mmseg', wanted)
    others = conversion.of_kind('missing', 'unexpected', 'shape mismatch', 'filled', 'folded')
    assert others == []
    for name, array in conversion.weights.items():
        parameters[name].set_data(ms.Tensor(array))

"""Values of weights, made from their names in PyTorch; needs no framework."""

import zlib

import numpy as np


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

"""Adaptive average pooling: PyTorch's overlapping bins, in either mode and for any size."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models.layers import AdaptiveAvgPool2d


def average(x, bins):
    """Average by its definition: part i of a length goes from floor(i/bins) to ceil((i+1)/bins)."""
    h, w = x.shape[2:]
    result = np.zeros((*x.shape[:2], bins, bins))
    for i, j in np.ndindex(bins, bins):
        rows = slice(int(np.floor(i * h / bins)), int(np.ceil((i + 1) * h / bins)))
        columns = slice(int(np.floor(j * w / bins)), int(np.ceil((j + 1) * w / bins)))
        result[:, :, i, j] = x[:, :, rows, columns].mean((2, 3))
    return result


@pytest.mark.parametrize('size', [(6, 12), (13, 7), (4, 5)])
@pytest.mark.parametrize('bins', [1, 2, 3, 6])
def test_bins_overlap_where_the_size_does_not_divide(bins, size):
    x = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    got = AdaptiveAvgPool2d(bins)(ms.Tensor(x)).asnumpy()
    np.testing.assert_allclose(got, average(x, bins), atol=1e-6)


def test_one_graph_serves_all_sizes(graph_mode):
    pool = AdaptiveAvgPool2d(3)
    pool.set_inputs(ms.Tensor(shape=[None, 2, None, None], dtype=ms.float32))
    for size in ((7, 5), (6, 10)):
        x = np.random.default_rng(0).normal(size=(1, 2, *size)).astype(np.float32)
        np.testing.assert_allclose(pool(ms.Tensor(x)).asnumpy(), average(x, 3), atol=1e-6)


def test_half_precision_stays():
    x = ms.Tensor(np.ones((1, 2, 5, 5)), ms.float16)
    assert AdaptiveAvgPool2d(2)(x).dtype == ms.float16


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match='AdaptiveAvgPool2d: bins is 0'):
        AdaptiveAvgPool2d(0)

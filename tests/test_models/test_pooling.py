"""Average pooling as PyTorch's, in either mode and for any size."""

import itertools

import mindspore as ms
import numpy as np
import pytest

from msseg.models.layers import AdaptiveAvgPool2d, AvgPool2d, BlockAvgPool2d, SameAvgPool2d


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


def windows(x, size, stride, padding, counts_zeros):
    """Average over windows by their definition; without zeros, the last one may stick out."""
    sides = []
    for length in x.shape[2:]:
        starts = range(-padding, length + padding - (size - 1 if counts_zeros else 0), stride)
        sides.append([(max(start, 0), min(start + size, length)) for start in starts])
    results = np.zeros((*x.shape[:2], *map(len, sides)))
    for (i, rows), (j, columns) in itertools.product(*map(enumerate, sides)):
        part = x[:, :, slice(*rows), slice(*columns)]
        count = size**2 if counts_zeros else part[0, 0].size
        results[:, :, i, j] = part.sum((2, 3)) / count
    return results


@pytest.mark.parametrize('size', [(6, 8), (7, 8), (5, 3)])
@pytest.mark.parametrize(
    ('pool', 'arguments'),
    [
        (lambda: AvgPool2d(3, 3, 2, 1), (3, 2, 1, True)),
        (lambda: AvgPool2d(3, 2, 1), (2, 1, 0, True)),
        (lambda: AvgPool2d(3, 5, 2, 2), (5, 2, 2, True)),
        (lambda: BlockAvgPool2d(2), (2, 2, 0, False)),
        (lambda: BlockAvgPool2d(3), (3, 3, 0, False)),
    ],
    ids=['with zeros', 'without', 'with many zeros', 'blocks of 2', 'blocks of 3'],
)
def test_windows_at_the_border(pool, arguments, size):
    x = np.random.default_rng(0).normal(size=(2, 3, *size)).astype(np.float32)
    expected = windows(x, *arguments)
    for always in (False, True):
        cell = pool()
        cell.always_resizes = always
        np.testing.assert_allclose(cell(ms.Tensor(x)).asnumpy(), expected, atol=1e-6)


def test_windows_keep_the_type_and_are_no_parameters():
    pool = AvgPool2d(2, 3, 2, 1)
    assert pool(ms.ops.ones((1, 2, 4, 4), ms.float16)).dtype == ms.float16
    assert not pool.parameters_dict()


@pytest.mark.parametrize('size', [3, 5])
def test_windows_around_each_pixel_count_what_is_inside(size):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    half = size // 2
    expected = np.zeros_like(x)
    for i, j in np.ndindex(4, 6):
        window = x[:, :, max(i - half, 0) : i + half + 1, max(j - half, 0) : j + half + 1]
        expected[:, :, i, j] = window.mean((2, 3))
    np.testing.assert_allclose(SameAvgPool2d(size)(ms.Tensor(x)).asnumpy(), expected, atol=1e-6)

"""Windows of a map, against NumPy."""

import mindspore as ms
import numpy as np
import pytest

from msseg.models.layers.windows import (
    crop_map,
    from_windows,
    pad_to_windows,
    roll_map,
    split_heads,
    to_windows,
)

X = np.random.default_rng(0).normal(size=(2, 5, 7, 3)).astype(np.float32)


@pytest.mark.parametrize('side', [1, 2, 3, 5, 8])
def test_a_map_is_padded_and_cropped(side):
    padded = pad_to_windows(ms.Tensor(X), side).asnumpy()
    expected = np.pad(X, ((0, 0), (0, -5 % side), (0, -7 % side), (0, 0)))
    np.testing.assert_array_equal(padded, expected)
    np.testing.assert_array_equal(crop_map(ms.Tensor(padded), (5, 7)).asnumpy(), X)


@pytest.mark.parametrize('step', [1, 2, 4, -1, -3])
def test_a_map_is_rolled(step):
    rolled = np.roll(X, (-step, -step), (1, 2))
    np.testing.assert_array_equal(roll_map(ms.Tensor(X), step).asnumpy(), rolled)


def test_a_map_becomes_windows_and_comes_back():
    x = np.arange(2 * 4 * 6).reshape(2, 4, 6, 1).astype(np.float32)
    windows = to_windows(ms.Tensor(x), 2)
    assert windows.shape == (12, 4, 1)
    assert windows.asnumpy()[1, :, 0].tolist() == [2, 3, 8, 9]
    assert windows.asnumpy()[6, :, 0].tolist() == [24, 25, 30, 31]
    np.testing.assert_array_equal(from_windows(windows, (4, 6), 2).asnumpy(), x)


def test_queries_keys_and_values_have_their_heads():
    qkv = np.random.default_rng(0).normal(size=(2, 5, 24)).astype(np.float32)
    expected = qkv.reshape(2, 5, 3, 4, 2).transpose(2, 0, 3, 1, 4)
    for got, wanted in zip(split_heads(ms.Tensor(qkv), 4), expected, strict=True):
        np.testing.assert_array_equal(got.asnumpy(), wanted)

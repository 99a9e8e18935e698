"""Interlaced sparse self-attention."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.config import Config
from msseg.models import build_head, build_segmentor
from msseg.models.contract import check_takes_any_size
from msseg.models.decode_heads.isa_head import WindowAttention
from tests.test_models.model_configs import tiny_hrnet

RNG = np.random.default_rng(0)


def head(**options):
    defaults = dict(in_channels=6, in_index=0, channels=4, isa_channels=2, num_classes=3)
    return build_head(dict(dict(defaults, type='ISAHead'), **options))


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


@pytest.mark.parametrize('across', [True, False])
def test_pixels_attend_to_their_group(across):
    """Against a loop over pixels, which looks for the pixels of the group."""
    block = WindowAttention(3, 2, (2, 3), across).set_train(False)
    x = RNG.normal(size=(2, 3, 4, 6)).astype(np.float32)
    given = ms.Tensor(x)
    query, key, value = (
        getattr(block, f'{name}_project')(given).asnumpy() for name in ('query', 'key', 'value')
    )
    context = np.zeros_like(x)
    for n, i, j in np.ndindex(2, 4, 6):
        if across:
            group = [(a, b) for a, b in np.ndindex(4, 6) if a % 2 == i % 2 and b % 3 == j % 3]
        else:
            group = [(a, b) for a, b in np.ndindex(4, 6) if a // 2 == i // 2 and b // 3 == j // 3]
        products = [query[n, :, i, j] @ key[n, :, a, b] for a, b in group]
        weights = softmax(np.array(products) / np.sqrt(2))
        for weight, (a, b) in zip(weights, group, strict=True):
            context[n, :, i, j] += weight * value[n, :, a, b]
    expected = block.output_project(ms.Tensor(context)).asnumpy()
    np.testing.assert_allclose(block(given).asnumpy(), expected, atol=1e-5)


@pytest.mark.parametrize('size', [(4, 6), (5, 7), (1, 1)])
def test_the_map_is_padded_to_whole_windows_on_both_sides(size):
    """The rest of the head, given a map that is padded by hand."""
    cell = head(down_factor=(2, 3), dropout_ratio=0).set_train(False)
    x = ms.Tensor(RNG.normal(size=(2, 6, *size)), ms.float32)
    features = cell.in_conv(x)
    pads = [(-length % window) for length, window in zip(size, (2, 3), strict=True)]
    sides = [(pad // 2, pad - pad // 2) for pad in pads]
    padded = np.pad(features.asnumpy(), [(0, 0), (0, 0), *sides])
    y = cell.local_relation(cell.global_relation(ms.Tensor(padded))).asnumpy()
    (top, _), (left, _) = sides
    y = y[:, :, top : top + size[0], left : left + size[1]]
    both = ms.Tensor(np.concatenate((y, features.asnumpy()), axis=1))
    expected = cell.conv_seg(cell.out_conv(both)).asnumpy()
    np.testing.assert_allclose(cell((x,)).asnumpy(), expected, atol=1e-6)


class OnOneMap(nn.Cell):
    """A head, called with a map."""

    def __init__(self, head):
        super().__init__(auto_prefix=False)
        self.head = head

    def construct(self, x):
        return self.head((x,))


def test_one_graph_takes_all_sizes(graph_mode):
    cell = head(down_factor=(2, 3)).set_train(False)
    network = OnOneMap(cell).set_train(False)
    network.set_inputs(ms.Tensor(shape=[None, 6, None, None], dtype=ms.float32))
    for size in ((4, 6), (5, 7)):
        x = ms.Tensor(RNG.normal(size=(2, 6, *size)), ms.float32)
        got = network(x).asnumpy()
        ms.set_context(mode=ms.PYNATIVE_MODE)
        expected = cell((x,)).asnumpy()
        ms.set_context(mode=ms.GRAPH_MODE)
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_it_is_exported_for_one_size():
    with pytest.raises(ValueError, match='the number of windows depends on the size') as raised:
        check_takes_any_size(head())
    assert raised.value.advice == 'export one size, without --dynamic'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(isa_channels=0), 'isa_channels is 0, expected a whole number from 1'),
        (dict(down_factor=8), r'down_factor is 8, expected \(h, w\), 2 values'),
        (dict(down_factor=(8, 0)), r'down_factor is \(8, 0\)'),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, message):
    part = dict(in_channels=32, in_index=3, channels=8, isa_channels=4, num_classes=3)
    part = {**part, 'type': 'ISAHead', **options}
    model = dict(type='EncoderDecoder', backbone=tiny_hrnet(), decode_head=part)
    with pytest.raises(ValueError, match=f'^model.decode_head: ISAHead: {message}'):
        build_segmentor(Config(dict(model=model)).model)

"""Convolutions of concatenated maps keep their results in another arrangement."""

from collections import Counter

import numpy as np
import pytest

from msseg.export.passes import CONV, FIRST_CHANNELS, rearrange_concat_convs
from tests.test_export.graphs import graph_of, node, run

RNG = np.random.default_rng(0)
SIZE = (6, 8)
CHANNELS = 32
X = RNG.normal(size=(2, CHANNELS, *SIZE)).astype(np.float32)


def conv(operands, shape, name='result', group=1):
    settings = dict(pad_list=(1, 1, 1, 1), stride=(1, 1, 1, 1), dilation=(1, 1, 1, 1), group=group)
    return node(CONV, operands, shape, name, **settings)


def maps_of(*channels):
    """Nodes and values that make maps of so many channels, and concatenate them as ``all``."""
    nodes, values = [], {'axis': 1}
    for number, count in enumerate(channels):
        values[f'w{number}'] = RNG.normal(size=(count, CHANNELS, 3, 3)).astype(np.float32)
        values[f'b{number}'] = RNG.normal(size=count).astype(np.float32)
        shape = (2, count, *SIZE)
        nodes.append(conv(f'x w{number} b{number}', shape, f'map{number}'))
    names = ' '.join(f'map{number}' for number in range(len(channels)))
    nodes.append(node('MakeTuple', names, None, 'pack'))
    nodes.append(node('Concat', 'pack axis', (2, sum(channels), *SIZE), 'all'))
    return nodes, values


def weights(channels_in, channels_out):
    weight = RNG.normal(size=(channels_out, channels_in, 3, 3)).astype(np.float32)
    return weight, RNG.normal(size=channels_out).astype(np.float32)


def assert_same_result(make_graph):
    """Returns the rearranged graph."""
    expected = run(make_graph(), X)
    graph = make_graph()
    rearrange_concat_convs(graph)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(run(graph, X), expected, atol=1e-5 * scale)
    return graph


@pytest.mark.parametrize('channels', [(16, 48), (16, 32, 16)])
def test_maps_of_whole_blocks_are_convolved_one_by_one(channels):
    nodes, values = maps_of(*channels)
    values['w'], values['b'] = weights(sum(channels), 5)
    last = conv('all w b', (2, 5, *SIZE))

    graph = assert_same_result(lambda: graph_of(X.shape, *nodes, last, values=dict(values)))

    counts = graph.counts()
    assert counts[CONV] == 2 * len(channels)
    assert counts['Add'] == len(channels) - 1
    assert 'Concat' not in counts and 'MakeTuple' not in counts


def test_channels_are_added_up_to_a_block_for_all_convolutions():
    nodes, values = maps_of(18, 36)
    for name in 'st':
        values[f'w{name}'], values[f'b{name}'] = weights(54, 3)
    more = [conv(f'all w{name} b{name}', (2, 3, *SIZE), name) for name in 'st']

    graph = assert_same_result(
        lambda: graph_of(
            X.shape, *nodes, *more, node('Add', 's t', (2, 3, *SIZE)), values=dict(values)
        )
    )

    shapes = {each.name: each.shape for each in graph.nodes}
    assert shapes['all'] == (2, 64, *SIZE)
    assert graph.counts()[FIRST_CHANNELS] == 1
    read = [graph.values[each.inputs[1]] for each in graph.nodes if each.inputs[0] == 'all']
    assert [weight.shape for weight in read] == [(3, 64, 3, 3)] * 2
    assert all((weight[:, 54:] == 0).all() for weight in read)


@pytest.mark.parametrize(
    ('channels', 'group', 'is_read_otherwise'),
    [((16, 16), 2, False), ((16, 16), 1, True), ((18, 36), 1, True), ((4, 36), 1, False)],
    ids=['groups', 'read by others', 'read by others, no blocks', 'first map is too small'],
)
def test_the_rest_is_left_alone(channels, group, is_read_otherwise):
    total = sum(channels)
    nodes, values = maps_of(*channels)
    values['w'], values['b'] = weights(total // group, total)
    nodes = [*nodes, conv('all w b', (2, total, *SIZE), 'conv', group)]
    last = node('Add', 'conv all' if is_read_otherwise else 'conv conv', (2, total, *SIZE))

    graph = assert_same_result(lambda: graph_of(X.shape, *nodes, last, values=dict(values)))

    assert graph.counts() == Counter(each.op for each in [*nodes, last])

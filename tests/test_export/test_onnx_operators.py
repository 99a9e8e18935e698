"""Single operations in ONNX against numpy."""

import math

import numpy as np
import pytest

from msseg.export import onnx_graph, translates
from msseg.export.passes import CONV, fold_graph
from msseg.export.writers import DISTINCT_SIZE
from msseg.models.layers.resize import resize_matrix
from tests.test_export.graphs import graph_of, node, run

SHAPE = (1, 3, 5, 7)
X = np.random.default_rng(0).uniform(-2, 2, SHAPE).astype(np.float32)
CONV_SETTINGS = dict(pad_list=(1, 1, 1, 1), stride=(1, 1, 1, 1), dilation=(1, 1, 1, 1), group=1)


def gelu(x):
    return x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


@pytest.mark.parametrize(
    ('op', 'function'),
    [
        ('ReLU', lambda x: np.maximum(x, 0)),
        ('ReLU6', lambda x: np.clip(x, 0, 6)),
        ('Sigmoid', lambda x: 1 / (1 + np.exp(-x))),
        ('SiLU', lambda x: x / (1 + np.exp(-x))),
        ('GeLU', gelu),
        ('Tanh', np.tanh),
        ('Exp', np.exp),
        ('Neg', np.negative),
        ('Reciprocal', np.reciprocal),
        ('Abs', np.abs),
        ('Erf', np.vectorize(math.erf)),
    ],
)
def test_functions_of_one_tensor(op, function):
    found = run(graph_of(SHAPE, node(op, 'x', SHAPE)), X)
    np.testing.assert_allclose(found, function(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ('op', 'function'),
    [
        ('Add', np.add),
        ('Sub', np.subtract),
        ('Mul', np.multiply),
        ('RealDiv', np.divide),
        ('Maximum', np.maximum),
        ('Minimum', np.minimum),
    ],
)
def test_functions_of_two_tensors_and_of_a_number(op, function):
    other = np.float32(0.5) + np.arange(3, dtype=np.float32).reshape(3, 1, 1)
    graph = graph_of(SHAPE, node(op, 'x c', SHAPE), values={'c': other})
    np.testing.assert_allclose(run(graph, X), function(X, other), rtol=1e-6)
    graph = graph_of(SHAPE, node(op, 'x c', SHAPE), values={'c': 0.25})
    np.testing.assert_allclose(run(graph, X), function(X, np.float32(0.25)), rtol=1e-6)


def test_relu6_has_an_upper_end():
    x = np.full(SHAPE, 9, np.float32)
    assert run(graph_of(SHAPE, node('ReLU6', 'x', SHAPE)), x).max() == 6


def test_softmax_and_concatenation():
    pack = node('MakeTuple', 'x soft', None, 'pack')
    soft = node('Softmax', 'x axis', SHAPE, 'soft')
    both = node('Concat', 'pack one', (1, 6, 5, 7))
    values = {'axis': (1,), 'one': 1}
    found = run(graph_of(SHAPE, soft, pack, both, values=values), X)
    powers = np.exp(X)
    expected = np.concatenate([X, powers / powers.sum(1, keepdims=True)], 1)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_products_of_matrices_turned_or_not():
    other = np.random.default_rng(1).normal(size=(1, 3, 4, 5)).astype(np.float32)
    values = {'c': other, 'no': False, 'yes': True}
    turned = graph_of(SHAPE, node('BatchMatMul', 'x c yes yes', (1, 3, 7, 4)), values=values)
    found = run(turned, X)
    np.testing.assert_allclose(found, X.swapaxes(2, 3) @ other.swapaxes(2, 3), rtol=1e-5, atol=1e-6)
    values['c'] = other.swapaxes(2, 3).copy().reshape(1, 3, 5, 4)
    plain = graph_of(SHAPE, node('BatchMatMul', 'c x no no', (1, 3, 5, 7)),
                     values={**values, 'c': np.ones((1, 3, 5, 5), np.float32)})  # fmt: skip
    np.testing.assert_allclose(run(plain, X), np.ones((5, 5), np.float32) @ X, rtol=1e-5, atol=1e-6)


def test_axes_are_reordered_and_reduced():
    moved = graph_of(SHAPE, node('Transpose', 'x p', (1, 5, 7, 3)), values={'p': (0, 2, 3, 1)})
    np.testing.assert_array_equal(run(moved, X), X.transpose(0, 2, 3, 1))
    for op, function in (('ReduceMean', np.mean), ('ReduceMax', np.max)):
        reduced = graph_of(SHAPE, node(op, 'x a k', (1, 3, 1, 1)), values={'a': (2, 3), 'k': True})
        np.testing.assert_allclose(
            run(reduced, X), function(X, axis=(2, 3), keepdims=True), rtol=1e-5
        )
    dropped = graph_of(SHAPE, node('ReduceMax', 'x a k', (1, 3)), values={'a': (2, 3), 'k': False})
    np.testing.assert_array_equal(run(dropped, X), X.max((2, 3)))


@pytest.mark.parametrize('align_corners', [False, True])
def test_resizing_places_pixels_as_in_training(align_corners):
    size = (11, 9)
    values = {'size': size, 'corners': align_corners, 'centres': not align_corners}
    resized = node('ResizeBilinearV2', 'x size corners centres', (1, 3, *size))
    found = run(graph_of(SHAPE, resized, values=values), X)
    rows, columns = (
        resize_matrix(old, new, align_corners) for old, new in zip(SHAPE[2:], size, strict=True)
    )
    np.testing.assert_allclose(found, rows @ X @ columns.T, atol=1e-5)
    values.update(corners=False, centres=False)
    with pytest.raises(ValueError, match='without align_corners it must have half_pixel_centers'):
        run(graph_of(SHAPE, resized, values=values), X)


def test_pooling():
    settings = dict(pad_mode='VALID', kernel_size=(1, 1, 2, 3), strides=(1, 1, 2, 2))
    found = run(graph_of(SHAPE, node('MaxPool', 'x', (1, 3, 2, 3), **settings)), X)
    assert found.shape == (1, 3, 2, 3)
    assert found[0, 1, 1, 2] == X[0, 1, 2:4, 4:7].max()
    settings['pad_mode'] = 'SAME'
    with pytest.raises(ValueError, match="MaxPool: pad_mode is 'SAME', expected VALID"):
        run(graph_of(SHAPE, node('MaxPool', 'x', (1, 3, 3, 4), **settings)), X)


def convolution(shape, name):
    return node('Conv2D', 'x w', shape, name, **CONV_SETTINGS)


def weights(rng):
    names = ('scale', 'shift', 'mean')
    found = {name: rng.normal(size=4).astype(np.float32) for name in names}
    found['g:w'] = rng.normal(size=(4, 3, 3, 3)).astype(np.float32)
    return {**found, 'variance': rng.uniform(0.5, 2, 4).astype(np.float32), 'eps': 1e-3,
            'no': False, 'w': found['g:w'], 'b': rng.normal(size=4).astype(np.float32)}  # fmt: skip


NORM = 'scale shift mean variance no eps'


def test_norm_and_bias_fold_into_the_convolution_before_them():
    shape, values = (1, 4, 5, 7), weights(np.random.default_rng(2))

    def graph():
        return graph_of(
            SHAPE,
            convolution(shape, 'conv'),
            node('BiasAdd', 'conv b', shape, 'biased'),
            node('BatchNorm', f'biased {NORM}', shape),
            values=dict(values),
        )

    unfolded, folded = graph(), graph()
    unfolded.nodes[0].op = CONV
    unfolded.nodes[0].inputs = ['x', 'w', 'nothing']
    unfolded.values['nothing'] = np.zeros(4, np.float32)
    assert len(fold_graph(folded)) == 1
    assert [each.op for each in folded.nodes] == [CONV]
    assert run(unfolded, X).shape == shape
    np.testing.assert_allclose(run(folded, X), run(unfolded, X), rtol=1e-4, atol=1e-5)


def test_a_norm_stays_where_the_convolution_is_read_twice():
    shape, values = (1, 4, 5, 7), weights(np.random.default_rng(3))
    graph = graph_of(
        SHAPE,
        convolution(shape, 'conv'),
        node('BatchNorm', f'conv {NORM}', shape, 'normed'),
        node('Add', 'conv normed', shape),
        values=values,
    )
    assert fold_graph(graph) == []
    assert [each.op for each in graph.nodes] == [CONV, 'BatchNorm', 'Add']
    factor = values['scale'] / np.sqrt(values['variance'] + 1e-3)
    alone = graph_of(SHAPE, convolution(shape, 'y'), values=dict(values))
    fold_graph(alone)
    conv = run(alone, X)
    normed = (conv - values['mean'].reshape(-1, 1, 1)) * factor.reshape(-1, 1, 1)
    expected = conv + normed + values['shift'].reshape(-1, 1, 1)
    np.testing.assert_allclose(run(graph, X), expected, rtol=1e-4, atol=1e-5)


def test_a_norm_that_uses_the_batch_is_refused():
    values = {**weights(np.random.default_rng(3)), 'no': True}
    values = {key: value[:3] if key in NORM and np.ndim(value) else value
              for key, value in values.items()}  # fmt: skip
    graph = graph_of(SHAPE, node('BatchNorm', f'x {NORM}', SHAPE), values=values)
    with pytest.raises(ValueError, match='normalises by the batch'):
        run(graph, X)


def test_free_sizes_come_from_what_is_there_at_run_time():
    shape, size = (1, 3, 97, 161), (49, 81)
    settings = {**CONV_SETTINGS, 'stride': (1, 1, 2, 2)}
    graph = graph_of(
        shape,
        node('Conv2D', 'x w', (1, 3, *size), 'half', **settings),
        node('Reshape', 'half flat', (1, 3, 49 * 81), 'row'),
        node('Softmax', 'row axis', (1, 3, 49 * 81), 'soft'),
        node('Reshape', 'soft back', (1, 3, *size), 'map'),
        node('ResizeBilinearV2', 'map double no yes', (1, 3, 98, 162), 'large'),
        node('ResizeBilinearV2', 'large full no yes', shape),
        values={
            'w': np.random.default_rng(0).normal(size=(3, 3, 3, 3)).astype(np.float32),
            'flat': (1, 3, 49 * 81), 'axis': (2,), 'back': (1, 3, *size), 'double': (98, 162),
            'full': shape[2:], 'no': False, 'yes': True,
        },
    )  # fmt: skip
    fold_graph(graph)
    x = np.random.default_rng(1).normal(size=(2, 3, 30, 45)).astype(np.float32)
    found = run(graph, x, dynamic=True)
    assert found.shape == x.shape
    np.testing.assert_allclose(found[1:], run(graph, x[1:], dynamic=True), rtol=1e-5)
    small = found.mean(axis=(2, 3)) * 15 * 23  # a softmax over 15x23 pixels, resized, sums to 1
    np.testing.assert_allclose(small, 1, rtol=0.1)


def test_a_size_from_nowhere_is_refused():
    values = {'size': (100, 170), 'no': False, 'yes': True}
    graph = graph_of(
        (1, 3, 97, 161),
        node('ResizeBilinearV2', 'x size no yes', (1, 3, 100, 170)),
        values=values,
    )
    with pytest.raises(ValueError, match=r'resizes \(97, 161\) to \(100, 170\).*without --dynamic'):
        run(graph, X, dynamic=True)


def test_labels_of_several_channels_and_of_one():
    np.testing.assert_array_equal(
        run(graph_of(SHAPE, node('Neg', 'x', SHAPE)), X, meaning='labels'), X.argmin(1)
    )
    one = (1, 1, 5, 7)
    found = run(graph_of(one, node('Neg', 'x', one)), X[:, :1], meaning='labels', threshold=0.3)
    np.testing.assert_array_equal(found, 1 / (1 + np.exp(X[:, 0])) > 0.3)
    assert found.dtype == np.int32


def test_an_unknown_operation_and_a_computed_setting_are_told():
    with pytest.raises(ValueError, match="operator 'Cummax'.*no translation.*'mindir'"):
        run(graph_of(SHAPE, node('Cummax', 'x', SHAPE)), X)
    graph = graph_of(SHAPE, node('ReLU', 'x', SHAPE, 'r'), node('Softmax', 'x r', SHAPE))
    with pytest.raises(ValueError, match='Softmax: its axis is computed by the network'):
        run(graph, X)
    with pytest.raises(ValueError, match=r'Softmax: has no axis, but \[\]'):
        run(graph_of(SHAPE, node('Softmax', 'x', SHAPE)), X)


class TestTranslationsOfUsers:
    @pytest.fixture(autouse=True)
    def restored(self, monkeypatch):
        monkeypatch.setattr(onnx_graph, '_TRANSLATIONS', dict(onnx_graph._TRANSLATIONS))

    @pytest.mark.parametrize('operator', ['Own', 'ReLU', 'Softmax'])
    def test_are_used_and_replace_the_packages(self, operator):
        @translates(operator)
        def square(builder, node):
            x = builder.read(node.inputs[0])
            return builder.emit('Mul', [x, x])

        np.testing.assert_allclose(run(graph_of(SHAPE, node(operator, 'x', SHAPE)), X), X * X)

    def test_do_not_replace_each_other(self):
        def identity(builder, node):
            return builder.emit('Identity', [builder.read(node.inputs[0])])

        translates('Own')(identity)
        with pytest.raises(KeyError, match="'Own' has an ONNX translation already, by tests"):
            translates('Own')(identity)

    def test_the_error_about_an_unknown_operator_says_how_to_add_one(self):
        with pytest.raises(ValueError, match="'Cumsum'.*no translation.*export.translates"):
            run(graph_of(SHAPE, node('Cumsum', 'x', SHAPE)), X)


@pytest.mark.parametrize('halve', [lambda n: n // 2, lambda n: -(-n // 2)], ids=['down', 'up'])
def test_the_size_of_graphs_for_any_size_differs_at_every_resolution(halve):
    size, sizes = DISTINCT_SIZE, {DISTINCT_SIZE}
    while min(size) > 1:
        size = tuple(halve(side) for side in size)
        found = {size, tuple(2 * side for side in size)}
        assert len(found - sizes) == 2
        sizes |= found

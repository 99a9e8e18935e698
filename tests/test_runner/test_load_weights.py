"""What loading says, and what it does with weights that do not fit."""

import logging

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.models.layers import Dropout2d
from msseg.runner.checkpoint import (
    load_checkpoint,
    load_state,
    optimizer_state,
    save_checkpoint,
    save_weights,
)
from msseg.runner.load_weights import load_weights
from tests.test_convert.torch_files import save_torch


class Head(nn.Cell):
    """A layer before the classifier, under MMSegmentation's names."""

    def __init__(self, classes, has_dropout):
        super().__init__()
        self.bottleneck = nn.Dense(2, 3)
        self.dropout = Dropout2d(0.5) if has_dropout else None
        self.conv_seg = nn.Dense(3, classes)


class Segmentor(nn.Cell):
    """A backbone and two heads."""

    def __init__(self, classes=5, has_dropout=False):
        super().__init__()
        self.backbone = nn.SequentialCell(nn.Dense(2, 2), nn.BatchNorm1d(2))
        self.decode_head = nn.CellList([Head(classes, False), Head(classes, has_dropout)])


# PyTorch's names of the backbone above.
TORCH = {'0.weight': (2, 2), '0.bias': (2,), '1.weight': (2,), '1.bias': (2,),
         '1.running_mean': (2,), '1.running_var': (2,)}  # fmt: skip


def values_of(model):
    return {p.name: p.asnumpy().copy() for p in model.get_parameters()}


def torch_file(path, shapes, prefix='backbone.'):
    arrays = {prefix + key: np.full(shape, 0.5, np.float32) for key, shape in shapes.items()}
    return load_checkpoint(save_torch(path, arrays))


@pytest.mark.parametrize('kind', [bool, np.uint8, np.int32, np.int64])
def test_whole_numbers_are_not_taken_for_weights(tmp_path, kind):
    model = Segmentor()
    weights = values_of(model)
    name = 'decode_head.1.bottleneck.weight'
    save_weights(tmp_path / 'a.ckpt', {**weights, name: np.ones((3, 2), kind)}, {'iter': 1})
    with pytest.raises(
        ValueError, match=rf"a\.ckpt.* its '{name}' holds .*(int|bool).*, expected float32"
    ):
        load_weights(model, load_checkpoint(tmp_path / 'a.ckpt'))
    assert all((value == weights[key]).all() for key, value in values_of(model).items())


def test_halves_are_taken_for_weights_and_fractions_not_for_counters(tmp_path):
    model = Segmentor(has_dropout=True)
    weights = values_of(model)
    halves = {k: v.astype(np.float16) if v.dtype == np.float32 else v for k, v in weights.items()}
    save_weights(tmp_path / 'a.ckpt', halves, {})
    load_weights(model, load_checkpoint(tmp_path / 'a.ckpt'))
    counter = next(key for key, value in weights.items() if value.dtype != np.float32)
    save_weights(tmp_path / 'b.ckpt', {**weights, counter: np.float32(0.5) + weights[counter]}, {})
    with pytest.raises(ValueError, match=rf"its '{counter}' holds float.* numbers, expected int"):
        load_weights(model, load_checkpoint(tmp_path / 'b.ckpt'))


def test_whole_numbers_are_not_taken_for_the_state_of_an_optimizer(tmp_path):
    state = {'optimizer.x': ms.Parameter(ms.Tensor([1, 2], ms.int32), name='optimizer.x')}
    save_checkpoint(tmp_path / 'a.ckpt', nn.Dense(2, 2), state)
    wanted = {'optimizer.x': ms.Parameter(ms.Tensor([0.0, 0.0]), name='optimizer.x')}
    with pytest.raises(ValueError, match="its 'optimizer.x' holds int32 numbers, expected float32"):
        load_state(wanted, load_checkpoint(tmp_path / 'a.ckpt'))


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, 'msseg')
    return caplog


def test_table_counts_by_part_of_the_model(tmp_path, said):
    path = tmp_path / 'a.ckpt'
    save_checkpoint(path, Segmentor())
    load_weights(Segmentor(), load_checkpoint(path))
    assert f'loaded {path}:\n' in said.text
    assert '| backbone      |       6 |              0 |       0 |          0 |' in said.text
    assert '| decode_head.1 |       4 |              0 |       0 |          0 |' in said.text
    assert '| total         |      14 |              0 |       0 |          0 |' in said.text
    assert not [record for record in said.records if record.levelno > logging.INFO]


def test_heads_of_another_class_count_keep_initial_values_and_are_named(tmp_path, said):
    save_checkpoint(tmp_path / 'a.ckpt', Segmentor(classes=19))
    model, source = Segmentor(classes=5), load_checkpoint(tmp_path / 'a.ckpt')
    before = values_of(model)
    load_weights(model, source, strict=False)
    after = values_of(model)
    for name in before:
        expected = before[name] if 'conv_seg' in name else source.weights[name]
        np.testing.assert_array_equal(after[name], expected)
    for head in ('decode_head.0', 'decode_head.1'):
        message = (
            f'{head}.conv_seg: 19 classes in the file, 5 in the model: it keeps its random weights'
        )
        assert message in said.messages
    assert '| decode_head.0 |       2 |              2 |       0 |          0 |' in said.text


def test_missing_and_unexpected_names_are_listed(tmp_path, said):
    load_weights(Segmentor(), torch_file(tmp_path / 'a.pth', TORCH | {'2.x': (3,)}), strict=False)
    assert 'in the file alone, ignored: backbone.2.x' in said.messages
    assert 'not in the file, kept as initialised: decode_head.0.bottleneck.weight' in said.text


def test_other_mismatches_are_named(tmp_path, said):
    load_weights(Segmentor(), torch_file(tmp_path / 'a.pth', TORCH | {'0.bias': (9,)}), False)
    message = 'backbone.0.bias keeps its initial values: (9,) in the file, (2,) in the model'
    assert message in said.messages


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_warned_of(tmp_path, said, value):
    model = Segmentor()
    weights = values_of(model)
    weights['decode_head.1.conv_seg.bias'][2] = value
    for name, text in (('spoilt', '1 of 14 weights have NaN or infinite values'), ('good', '')):
        said.clear()
        save_weights(tmp_path / f'{name}.ckpt', weights, {})
        load_weights(model, load_checkpoint(tmp_path / f'{name}.ckpt'))
        warnings = [r.getMessage() for r in said.records if r.levelname == 'WARNING']
        assert [text in line and 'decode_head.1.conv_seg.bias' in line for line in warnings] == (
            [True] if text else []
        )
        weights['decode_head.1.conv_seg.bias'][2] = 0


def test_pytorchs_file_is_converted_and_the_table_says_so(tmp_path, said):
    model = Segmentor()
    load_weights(model, torch_file(tmp_path / 'a.pth', TORCH), strict=False)
    assert f"loaded {tmp_path / 'a.pth'} (names of style 'mmseg'):\n" in said.text
    for parameter in model.backbone.get_parameters():
        np.testing.assert_array_equal(parameter.asnumpy(), np.full(parameter.shape, 0.5))


def test_backbones_own_names_will_do_where_the_backbone_is_wanted(tmp_path):
    model = Segmentor()
    checkpoint = torch_file(tmp_path / 'a.pth', TORCH, prefix='')
    with pytest.raises(ValueError, match=r"a\.pth': these 6 names, .* are in none of the styles"):
        load_weights(model, checkpoint, strict=False)
    load_weights(model, checkpoint, strict=False, part='backbone.')
    np.testing.assert_array_equal(values_of(model)['backbone.1.moving_mean'], [0.5, 0.5])


def test_part_leaves_the_rest_alone(tmp_path, said):
    save_checkpoint(tmp_path / 'a.ckpt', Segmentor())
    model = Segmentor()
    before = values_of(model)
    load_weights(model, load_checkpoint(tmp_path / 'a.ckpt'), part='backbone.')
    for name, value in values_of(model).items():
        if name.startswith('decode_head'):
            np.testing.assert_array_equal(value, before[name])
    assert "8 left aside: not part of 'backbone'" in said.text


def test_less_than_half_of_the_backbone_is_an_error_unless_asked_for(tmp_path):
    model = Segmentor()
    before = values_of(model)
    few = {key: shape for key, shape in TORCH.items() if key.startswith('0.')}
    checkpoint = torch_file(tmp_path / 'a.pth', few)
    message = (
        r"fewer than half of the backbone's parameters match\. 2 of 14 parameters .* 12 missing, "
        r"such as 'backbone\.1\..*load_partial_backbone=True"
    )
    with pytest.raises(ValueError, match=message):
        load_weights(model, checkpoint, strict=False)
    assert all(np.array_equal(before[name], value) for name, value in values_of(model).items())
    load_weights(model, checkpoint, strict=False, allow_partial_backbone=True)
    np.testing.assert_array_equal(values_of(model)['backbone.0.bias'], [0.5, 0.5])


def test_half_of_the_backbone_is_enough(tmp_path):
    model = Segmentor()
    half = {key: TORCH[key] for key in ('0.weight', '0.bias', '1.running_mean')}
    load_weights(model, torch_file(tmp_path / 'a.pth', half), strict=False)
    values = values_of(model)
    for name in ('backbone.0.weight', 'backbone.0.bias', 'backbone.1.moving_mean'):
        np.testing.assert_array_equal(values[name], np.full(values[name].shape, 0.5))


def test_file_of_another_framework_cannot_be_resumed(tmp_path):
    with pytest.raises(ValueError, match='cannot be resumed'):
        state = optimizer_state(nn.SGD(Segmentor().trainable_params()))
        load_state(state, torch_file(tmp_path / 'a', TORCH))


def test_numbers_are_written_without_a_model(tmp_path):
    path, array = tmp_path / 'a.ckpt', np.arange(6, dtype=np.float32).reshape(2, 3)
    array.flags.writeable = False
    save_weights(path, {'a': array, 'b': array.T}, {'style': 'mmseg'})
    content = load_checkpoint(path)
    assert content.meta == {'style': 'mmseg'} and not content.is_foreign
    np.testing.assert_array_equal(content.weights['a'], array)
    np.testing.assert_array_equal(content.weights['b'], array.T)
    np.testing.assert_array_equal(ms.load_checkpoint(str(path))['a'].asnumpy(), array)


def test_format_is_told_by_the_content(tmp_path):
    arrays = {'backbone.0.weight': np.zeros((2, 2), np.float32)}
    assert load_checkpoint(save_torch(tmp_path / 'torch.ckpt', arrays)).is_foreign


def test_dropouts_counter_is_no_weight_that_a_file_must_have(tmp_path, said):
    save_checkpoint(tmp_path / 'old.ckpt', Segmentor())
    save_torch(tmp_path / 'foreign.pth', foreign_arrays(Segmentor()))
    for name in ('old.ckpt', 'foreign.pth'):
        model = Segmentor(has_dropout=True)
        before = values_of(model)['decode_head.1.dropout.state']
        conversion = load_weights(model, load_checkpoint(tmp_path / name), strict=True)
        assert not conversion.of_kind('missing')
        np.testing.assert_array_equal(values_of(model)['decode_head.1.dropout.state'], before)
    assert not [record for record in said.records if record.levelno > logging.INFO]
    assert 'not in the file, start from zero: decode_head.1.dropout.state' in said.messages


def test_dropouts_counter_comes_back_where_the_file_has_it(tmp_path):
    trained = Segmentor(has_dropout=True)
    trained.decode_head[1].dropout.state.set_data(ms.Tensor([7, 41], ms.int32))
    save_checkpoint(tmp_path / 'a.ckpt', trained)
    model = Segmentor(has_dropout=True)
    load_weights(model, load_checkpoint(tmp_path / 'a.ckpt'))
    np.testing.assert_array_equal(values_of(model)['decode_head.1.dropout.state'], [7, 41])
    load_weights(Segmentor(), load_checkpoint(tmp_path / 'a.ckpt'))


def foreign_arrays(model):
    """The model's weights under PyTorch's names."""
    leaves = dict(zip(('gamma', 'beta', 'moving_mean', 'moving_variance'),
                      ('weight', 'bias', 'running_mean', 'running_var'), strict=True))  # fmt: skip
    arrays = {}
    for name, value in values_of(model).items():
        layer, _, leaf = name.rpartition('.')
        arrays[f'{layer}.{leaves.get(leaf, leaf)}'] = value
    return arrays


class Positions(nn.Cell):
    """A table that takes every second row of a longer one."""

    def __init__(self, length=3):
        super().__init__()
        self.table = ms.Parameter(ms.ops.zeros((length, 2), ms.float32), 'table')
        self.scale = ms.Parameter(ms.ops.zeros(2, ms.float32), 'scale')

    def fit_table(self, name, table):
        return table[::2] if name == 'table' else None


def test_tables_are_resized_as_their_cell_does(tmp_path, said):
    larger, model = (nn.SequentialCell(Positions(length)) for length in (6, 3))
    source = larger[0].table
    source.set_data(ms.Tensor(np.arange(12.0).reshape(6, 2), ms.float32))
    save_checkpoint(tmp_path / 'a.ckpt', larger)
    checkpoint = load_checkpoint(tmp_path / 'a.ckpt')
    with pytest.raises(ValueError, match=r"1 of another shape, such as '0\.table'"):
        load_weights(model, checkpoint)
    conversion = load_weights(model, checkpoint, strict=False)
    np.testing.assert_array_equal(model[0].table.asnumpy(), source.asnumpy()[::2])
    assert [entry.target for entry in conversion.of_kind('resized')] == ['0.table']
    assert '0.table is resized from (6, 2) to (3, 2)' in said.messages
    assert '1 tables were resized to the model' in said.text


def test_tables_that_a_cell_cannot_resize_keep_their_initial_values(tmp_path, said):
    arrays = {'0.table': np.ones((9, 2), np.float32), '0.scale': np.ones(5, np.float32)}
    save_weights(tmp_path / 'a.ckpt', arrays, {})
    model = nn.SequentialCell(Positions())
    load_weights(model, load_checkpoint(tmp_path / 'a.ckpt'), strict=False)
    assert not model[0].table.asnumpy().any()
    assert not model[0].scale.asnumpy().any()
    assert '0.table keeps its initial values: (9, 2) in the file, (3, 2) in the model' in said.text


class OfImages(nn.Cell):
    """Two convolutions of images, one of maps with as many channels, and a head."""

    def __init__(self, channels):
        super().__init__()
        self.in_channels = channels
        layers = (channels, 4, 3), (channels, 2, 1), (4, 4, 3), (4, 4, 1)
        self.backbone = nn.SequentialCell(*(nn.Conv2d(*layer) for layer in layers))
        self.decode_head = nn.Conv2d(channels, 2, 1)


def load_into(channels, path, file_channels=3, **options):
    arrays = {p.name: p.asnumpy() for p in OfImages(file_channels).get_parameters()}
    model = OfImages(channels)
    conversion = load_weights(model, load_checkpoint(save_torch(path, arrays)), False, **options)
    return arrays, values_of(model), conversion


def repeated(weight, channels):
    """By hand: R, G, B, R, … times 3 over the number of channels; the sum for one."""
    if channels == 1:
        return weight[:, 0:1] + weight[:, 1:2] + weight[:, 2:3]
    order = (0, 1, 2, 0, 1, 2)[:channels]
    return np.stack([weight[:, i] for i in order], 1) * 3 / channels


@pytest.mark.parametrize('channels', [1, 2, 4, 6])
def test_convolutions_of_images_adapt_to_other_channels(tmp_path, caplog, channels):
    caplog.set_level(logging.INFO)
    arrays, loaded, conversion = load_into(channels, tmp_path / 'a.pth', first_conv='repeat')
    for name in ('backbone.0.weight', 'backbone.1.weight'):
        np.testing.assert_allclose(loaded[name], repeated(arrays[name], channels), rtol=1e-6)
        assert (
            f"{name} is adapted from 3 channels to {channels} by the rule 'repeat'" in caplog.text
        )
    for name in ('backbone.2.weight', 'backbone.3.weight'):
        np.testing.assert_array_equal(loaded[name], arrays[name])
    assert 'decode_head.weight keeps its initial values' in caplog.text
    kinds = [entry.kind for entry in conversion.entries]
    assert kinds == ['adapted', 'adapted', 'matched', 'matched', 'shape mismatch']


@pytest.mark.parametrize('channels', [1, 4])
def test_the_mean_gives_equal_channels_the_same_output(tmp_path, channels):
    arrays, loaded, _ = load_into(channels, tmp_path / 'a.pth', first_conv='mean')
    name = 'backbone.0.weight'
    sums = [values[name].sum(axis=1) for values in (arrays, loaded)]
    np.testing.assert_allclose(*sums, rtol=1e-5, atol=1e-6)
    assert np.ptp(loaded[name], axis=1).max() < 1e-6


def test_without_a_rule_or_where_every_weight_is_needed_nothing_adapts(tmp_path, caplog):
    _, _, conversion = load_into(4, tmp_path / 'a.pth')
    assert len(conversion.of_kind('shape mismatch')) == 3
    assert 'backbone.0.weight keeps its initial values' in caplog.text
    with pytest.raises(ValueError, match="load_first_conv is 'sum', expected one of"):
        load_into(4, tmp_path / 'a.pth', first_conv='sum')
    with pytest.raises(ValueError, match='does not fit the model'):
        load_weights(OfImages(4), load_checkpoint(tmp_path / 'a.pth'), first_conv='repeat')

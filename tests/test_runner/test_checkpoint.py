import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from msseg.runner import build_optimizer
from msseg.runner.checkpoint import (
    load_checkpoint,
    load_state,
    optimizer_state,
    save_checkpoint,
)
from msseg.runner.load_weights import load_weights
from tests.test_runner.conftest import SGD
from tests.test_runner.line_model import Line


class WithHead(nn.Cell):
    def __init__(self, classes):
        super().__init__()
        self.backbone = Line()
        self.head = nn.Dense(2, classes)


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / 'line.ckpt'
    model = Line()
    optimizer = build_optimizer(model, dict(SGD))
    save_checkpoint(path, model, optimizer_state(optimizer), {'iter': 3, 'nested': [{}]})
    return path


def test_the_framework_reads_the_weights_under_their_plain_names(saved):
    content = ms.load_checkpoint(str(saved))
    expected = Line()
    for name, parameter in expected.parameters_and_names():
        np.testing.assert_array_equal(content[name].asnumpy(), parameter.asnumpy())


def test_weights_optimizer_and_meta_come_back(saved):
    checkpoint = load_checkpoint(saved)
    assert checkpoint.meta == {'iter': 3, 'nested': [{}]}
    assert 'optimizer.accum.dense.weight' in checkpoint.state
    model = Line()
    model.dense.weight.set_data(ms.Tensor(np.zeros((2, 3), np.float32)))
    load_weights(model, checkpoint)
    np.testing.assert_array_equal(model.dense.weight.asnumpy(), Line().dense.weight.asnumpy())


def test_others_may_read_and_delete_the_file(saved):
    assert saved.stat().st_mode & 0o777 == 0o644


def test_failed_save_keeps_the_old_file(saved):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        save_checkpoint(saved, Line(), meta={'not JSON': object()})
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ['line.ckpt']


def test_what_does_not_fit_is_said_and_nothing_is_copied(tmp_path):
    save_checkpoint(tmp_path / 'three.ckpt', WithHead(3))
    model = WithHead(5)
    before = model.backbone.dense.bias.asnumpy().copy() + 1
    model.backbone.dense.bias.set_data(ms.Tensor(before))
    message = r"6 of 8 parameters of the model match; 2 of another shape, such as 'head.weight'"
    with pytest.raises(ValueError, match=message):
        load_weights(model, load_checkpoint(tmp_path / 'three.ckpt'))
    np.testing.assert_array_equal(model.backbone.dense.bias.asnumpy(), before)


def test_missing_and_unexpected_names_are_said(tmp_path, saved):
    with pytest.raises(ValueError, match='8 missing, such as .*; 6 unexpected, such as'):
        load_weights(WithHead(3), load_checkpoint(saved))


def test_loading_loosely_takes_what_fits(tmp_path):
    source, model = WithHead(3), WithHead(5)
    source.backbone.dense.bias.set_data(ms.Tensor(np.array([7, 8], np.float32)))
    save_checkpoint(tmp_path / 'three.ckpt', source)
    load_weights(model, load_checkpoint(tmp_path / 'three.ckpt'), strict=False)
    np.testing.assert_array_equal(model.backbone.dense.bias.asnumpy(), [7, 8])


def test_loading_loosely_still_wants_half_of_the_backbone(saved):
    with pytest.raises(ValueError, match="fewer than half of the backbone's parameters match"):
        load_weights(WithHead(3), load_checkpoint(saved), strict=False)


def test_optimizer_of_another_kind_is_refused(saved):
    optimizer = build_optimizer(Line(), {'type': 'Adam', 'lr': 0.1})
    with pytest.raises(ValueError, match=r"cannot be resumed: its 'optimizer\.exp_avg.* is none"):
        load_state(optimizer_state(optimizer), load_checkpoint(saved))


def test_absent_and_foreign_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.ckpt' is not a file"):
        load_checkpoint(tmp_path / 'no.ckpt')
    (tmp_path / 'weights.bin').write_bytes(b'something')
    with pytest.raises(ValueError, match=r"weights\.bin' is neither a PyTorch checkpoint .* nor"):
        load_checkpoint(tmp_path / 'weights.bin')

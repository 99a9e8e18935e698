"""Training of each family: mixed precision in graph mode, and resuming, bit for bit."""

import logging

import mindspore as ms
import numpy as np
import pytest

from msseg.apis.build import build_train_step
from msseg.apis.train_settings import StepSettings
from msseg.config import Config
from msseg.models import BACKBONES, SegmentorWithLoss
from msseg.models.layers import Dropout, DropPath, use_low_precision
from msseg.runner import IterBasedRunner
from msseg.runner.checkpoint import copy_to
from msseg.runner.hooks import Hook
from msseg.utils.arguments import accepted_arguments
from tests.test_runner.line_model import Batch
from tests.tiny_families import FAMILIES, build, images

# Dropout of elements and transposed convolutions; several heads with OHEM, a target of its own and
# pooling to one pixel. endurance/test_families.py trains the others.
HERE = ('erfnet', 'stdc')
CONFIG = dict(
    optimizer=dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=1e-4),
    optimizer_config=dict(grad_clip=dict(max_norm=10.0)),
    fp16=dict(loss_scale=dict(init_scale=1024.0, growth_interval=2)),
)


@pytest.mark.parametrize('name', FAMILIES)
def test_what_can_drop_does(name):
    """Paths and attention weights: the state of each such layer has to be resumed."""
    backbone = FAMILIES[name].model['backbone']
    takes = accepted_arguments(BACKBONES.get(backbone['type']))
    rates = {key for key in ('drop_path_rate', 'attn_drop_rate', 'drop_rate') if key in takes}
    assert {key for key in rates if backbone.get(key, 0) > 0} == rates
    if rates:
        cells = [cell for _, cell in build(name).backbone.cells_and_names()]
        assert any(isinstance(cell, DropPath) for cell in cells)
        assert any(isinstance(cell, Dropout) for cell in cells) == (rates != {'drop_path_rate'})


class Batches:
    """Two images an iteration, which depend on the iteration alone."""

    iters_per_epoch, global_batch = 4, 2

    def __init__(self, size, num_classes):
        self.size, self.num_classes = size, num_classes

    def batches(self, start_iter=0):
        iteration = start_iter
        while True:
            rng = np.random.default_rng(iteration)
            image = np.concatenate(images(self.size)) + 0.2 * rng.normal(size=(2, 3, 1, 1))
            labels = (image[:, 0] > 0).astype(np.int32) + (image[:, 1] > 1)
            labels[rng.random(labels.shape) < 0.1] = 255
            yield Batch(image.astype(np.float32), labels.astype(np.int32), [0, 1], ['a', 'b'])
            iteration += 1


class Record(Hook):
    """Keeps what each step gives, and saves after the second."""

    def __init__(self, path):
        self.path, self.outputs = path, []

    def after_train_iter(self, runner):
        self.outputs.append({name: float(v.asnumpy()) for name, v in runner.outputs.items()})
        if runner.iter == 2 and not self.path.exists():
            runner.save(self.path)


def make_runner(name, tmp_path, step):
    loader = Batches(FAMILIES[name].size, step.network.network.segmentor.num_classes)
    runner = IterBasedRunner(
        train_step=step,
        model=step.network.network.segmentor,
        loader=loader,
        work_dir=tmp_path,
        logger=logging.getLogger('test_family_training'),
        max_iters=4,
    )
    record = Record(tmp_path / 'iter_2.ckpt')
    runner.register_hook(record)
    return runner, record


def parameters_of(runner):
    named = {p.name: p for p in runner.model.get_parameters()}
    return {**named, **runner.state_parameters()}


def losses_in_float32(name, batch):
    """The values of the first step, operator by operator."""
    ms.set_context(mode=ms.PYNATIVE_MODE)
    network = SegmentorWithLoss(build(name)).set_train()
    values = network(ms.Tensor(batch.img), ms.Tensor(batch.gt))[1]
    ms.set_context(mode=ms.GRAPH_MODE)
    return dict(zip(network.value_names, (float(v.asnumpy()) for v in values), strict=True))


@pytest.mark.parametrize('name', HERE)
def test_mixed_precision_and_resuming(name, tmp_path):
    model = build(name)
    use_low_precision(model, ms.float16)
    step = build_train_step(model, StepSettings.of(Config(CONFIG)))
    runner, record = make_runner(name, tmp_path, step)
    runner.run()

    expected = losses_in_float32(name, next(runner.loader.batches()))
    for key in (key for key in expected if 'loss' in key):
        assert record.outputs[0][key] == pytest.approx(expected[key], rel=0.02), key
    skipped = [values for values in record.outputs if values['skipped']]  # gradients overflowed
    assert len(skipped) <= 1
    for values in record.outputs:
        finite = {key for key, value in values.items() if np.isfinite(value)}
        assert values.keys() - finite <= ({'grad_norm'} if values['skipped'] else set())
    assert skipped or record.outputs[-1]['loss_scale'] > 1024

    final = {key: p.asnumpy().copy() for key, p in parameters_of(runner).items()}
    for parameter in parameters_of(runner).values():  # nothing may be left of the first run
        copy_to(parameter, np.random.default_rng(0).integers(1, 9, parameter.shape))
    resumed, again = make_runner(name, tmp_path, step)
    resumed.resume(tmp_path / 'iter_2.ckpt')
    resumed.run()
    assert repr(again.outputs) == repr(record.outputs[2:])  # NaN is not equal to itself
    for key, parameter in parameters_of(resumed).items():
        np.testing.assert_array_equal(parameter.asnumpy(), final[key], err_msg=key)

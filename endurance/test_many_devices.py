"""Two processes train as one does, and a run goes on with another number of them.

The yardstick is the same training in one process with the samples of each batch in another order,
which changes nothing but the order in which numbers are added up.
"""

import json

import numpy as np
import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.many_processes import ManyRun
from tests.tiny import write_config

ITERATIONS, MIDDLE = 20, 10
MORE = f"""
norm_cfg = dict(type='SyncBN', requires_grad=True)
model['backbone']['norm_cfg'] = norm_cfg
for _head in model['decode_head']:
    _head['norm_cfg'] = norm_cfg
custom_imports = dict(imports=['many_parts'])
custom_hooks = [dict(type='Record'), dict(type='Permute')]
data['workers_per_gpu'] = 1
optimizer['lr'] = 0.01
runner = dict(type='IterBasedRunner', max_iters={ITERATIONS})
checkpoint_config = dict(interval=1, by_epoch=False)
"""
PARTS = '''
import json
import os

import numpy as np

from msseg.runner.builder import HOOKS
from msseg.runner.hooks import Hook


@HOOKS.register_module()
class Record(Hook):
    """Writes each process's loss of every iteration, to the last digit."""

    def before_run(self, runner):
        self.losses = []

    def after_train_iter(self, runner):
        self.losses.append(float(runner.outputs['loss'].asnumpy()))
        path = runner.work_dir / f'losses_{runner.rank}.json'
        path.write_text(json.dumps(self.losses))


@HOOKS.register_module()
class Permute(Hook):
    """Trains on the samples of each batch in the order that the environment asks for."""

    def before_train_iter(self, runner):
        if 'ORDER' in os.environ:
            order = [int(place) for place in os.environ['ORDER']]
            batch = runner.data_batch
            runner.data_batch = batch._replace(img=batch.img[order], gt=batch.gt[order])
'''
HALVES = ['--cfg-options', 'data.samples_per_gpu=2']


@pytest.fixture(scope='module')
def run(tmp_path_factory):
    """A tiny OCRNet, and processes that train it into folders of their own."""
    run = ManyRun(tmp_path_factory.mktemp('many'), images=9)
    run.config = write_config(run.folder, run.data, MORE)
    (run.folder / 'many_parts.py').write_text(PARTS)
    yield run
    run.end()


def train(run, work_dir, count, *options, **variables):
    """Train into a folder, with the graphs of an earlier start if it had the same settings."""
    cache = {
        'MS_COMPILER_CACHE_ENABLE': '1',
        'MS_COMPILER_CACHE_PATH': str(run.folder / 'cache'),
    }
    arguments = ['--work-dir', work_dir, '--no-validate', *options]
    process = run.start(count, *arguments, **cache, **variables)
    assert process.wait(600) == 0, run.output
    return run.folder / work_dir


@pytest.fixture(scope='module')
def one(run):
    return train(run, 'one', 0)


@pytest.fixture(scope='module')
def two(run):
    return train(run, 'two', 2, *HALVES)


@pytest.fixture(scope='module')
def most(run, one):
    """How far losses may be apart: three times what another order in a batch makes."""
    drifts = []
    for order in ('2301', '3210'):
        other = train(run, f'order_{order}', 0, ORDER=order)
        drifts.append(np.abs(losses_of(other) - losses_of(one)).max())
    assert 0 < min(drifts) <= max(drifts) < 0.2
    print(f'drift by permuting: {drifts}')
    return 3 * max(drifts)


def losses_of(work_dir, rank=0):
    return np.array(json.loads((work_dir / f'losses_{rank}.json').read_text()))


def drift(work_dir, one):
    """How far the losses of a run, which may have begun in the middle, are from those of `one`."""
    losses = losses_of(work_dir)
    difference = np.abs(losses - losses_of(one)[-len(losses) :]).max()
    print(f'drift of {work_dir.name}: {difference}')
    return difference


def test_two_processes_do_the_first_step_as_one(one, two):
    assert losses_of(two)[0] == pytest.approx(losses_of(one)[0], abs=1e-6)
    expected, actual = (load_checkpoint(folder / 'iter_1.ckpt') for folder in (one, two))
    kinds = set()
    for part in ('weights', 'state'):
        tensors = getattr(actual, part)
        assert list(tensors) == list(getattr(expected, part))
        for name, wanted in getattr(expected, part).items():
            scale = max(np.abs(wanted).max(), 1e-3)
            assert np.abs(tensors[name] - wanted).max() <= 1e-4 * scale, name
            kinds.add(name.rpartition('.')[2])
    assert {'weight', 'gamma', 'beta', 'moving_mean', 'moving_variance'} <= kinds


def test_two_processes_drift_no_farther_than_another_order_of_samples(one, two, most):
    assert len(losses_of(two)) == ITERATIONS
    np.testing.assert_array_equal(losses_of(two), losses_of(two, rank=1))
    assert drift(two, one) <= most


def test_run_of_one_goes_on_with_two(run, one, most):
    last = one / f'iter_{MIDDLE}.ckpt'
    work_dir = train(run, 'one_then_two', 2, '--resume-from', last, *HALVES)
    assert f'resumed {last} at iteration {MIDDLE}' in run.output
    assert 'was trained otherwise' not in run.output  # the same batch on more devices
    assert len(losses_of(work_dir)) == len(losses_of(work_dir, rank=1)) == ITERATIONS - MIDDLE
    assert losses_of(work_dir)[0] == pytest.approx(losses_of(one)[MIDDLE], abs=1e-6)
    assert drift(work_dir, one) <= most


def test_run_of_two_goes_on_with_one(run, one, two, most):
    work_dir = train(run, 'two_then_one', 0, '--resume-from', two / f'iter_{MIDDLE}.ckpt')
    assert len(losses_of(work_dir)) == ITERATIONS - MIDDLE
    assert losses_of(work_dir)[0] == pytest.approx(losses_of(two)[MIDDLE], abs=1e-6)
    assert drift(work_dir, one) <= most

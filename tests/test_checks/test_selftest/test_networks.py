"""Networks are compared with PyTorch's numbers; wrong networks and devices are found."""

from pathlib import Path
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest

from msseg.checks.selftest import command_lines, loading, networks, samples
from msseg.checks.selftest.check import Bench, CheckFailed, NotApplicable
from msseg.checks.selftest.command_lines import check_evaluation
from msseg.checks.selftest.networks import (
    DEEPLAB,
    OCRNET,
    SEGFORMER,
    SWIN,
    Trained,
    check_logits,
    check_memory,
    check_overflow,
    check_repetition,
    check_step,
)
from msseg.checks.selftest.reference import fill, read_reference
from msseg.checks.selftest.together import share_of
from msseg.runner.checkpoint import Checkpoint


@pytest.fixture
def bench(tmp_path):
    ms.set_context(mode=ms.PYNATIVE_MODE)  # no graph is compiled
    return Bench('CPU', 'float32', tmp_path)


def test_the_networks_are_those_of_the_reference():
    assert read_reference().keys() == {OCRNET, DEEPLAB, SEGFORMER, SWIN}


def test_a_right_step_passes_and_a_wrong_weight_is_found(bench, monkeypatch):
    found = check_step(bench, DEEPLAB)
    assert found.values['loss'] < 1e-5 and found.values['weights'] < 1e-3

    def wrong(name, shape):
        values = fill(name, shape)
        return values * 1.02 if name == 'decode_head.c1_bottleneck.conv.weight' else values

    monkeypatch.setattr(networks, 'fill', wrong)
    with pytest.raises(CheckFailed, match='allowed are'):
        check_step(bench, DEEPLAB)


@pytest.mark.parametrize(
    ('precision', 'cosine', 'weights', 'passes'),
    [
        ('float32', 1.0, 1e-4, True),
        ('float32', 0.999, 1e-4, False),
        ('float32', 1.0, 0.1, False),
        ('float32', 1.0, float('nan'), False),
        ('float16', 0.98, 1.3, True),
        ('float16', 0.9, 1.3, False),
        ('bfloat16', 0.6, 2.0, True),
        ('bfloat16', 0.1, 2.0, False),
    ],
)
def test_steps_are_judged_by_what_their_floats_allow(bench, precision, cosine, weights, passes):
    bench.precision = precision
    errors = {'loss': 1e-6, 'weights': weights, 'weight': 'w', 'cosine': cosine}
    for loss, is_fine in ((1e-6, passes), (0.5, False), (float('nan'), False)):
        if is_fine:
            networks.judge_step({**errors, 'loss': loss}, bench)
        else:
            with pytest.raises(CheckFailed, match='allowed are'):
                networks.judge_step({**errors, 'loss': loss}, bench)


def test_right_scores_pass_and_wrong_ones_are_found(bench, monkeypatch):
    monkeypatch.setattr(networks, 'SIZES', ((64, 80),))
    network = Trained(DEEPLAB, 'float32')
    bench.kept[DEEPLAB] = network
    assert check_logits(bench, DEEPLAB).values['64x80'] < 1e-5
    monkeypatch.setattr(network.network, 'predict', lambda img: 1.001 * network.network(img)[0])
    with pytest.raises(CheckFailed, match='at 64x80'):
        check_logits(bench, DEEPLAB)


class Stub:
    """A network of one weight whose steps do what a test says."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        weight = ms.Parameter(ms.Tensor([1.0]), 'w')
        self.weight, self.own = weight, {'w': weight}
        self.network = SimpleNamespace(num_classes=3, trainable_params=lambda: [weight])
        self.step = SimpleNamespace(
            optimizer=SimpleNamespace(parameters=[weight], get_parameters=lambda: [weight])
        )

    def start(self):
        pass

    def values(self):
        return {'w': self.weight.asnumpy().copy()}

    def train(self, images, labels):
        change, skipped = self.outcomes.pop(0) if self.outcomes else (0.0, 0.0)
        self.weight.set_data(self.weight + change)
        return {'skipped': skipped}


SKIPPED, DONE = (0.0, 1.0), (0.5, 0.0)


@pytest.mark.parametrize(
    ('outcomes', 'problem'),
    [
        ([SKIPPED, SKIPPED, DONE], None),
        ([DONE], 'beyond float16 the update was not skipped, and weights have changed'),
        ([(0.5, 1.0)], 'beyond float16 the update was skipped, and weights have changed'),
        ([SKIPPED, DONE], 'infinite the update was not skipped'),
        ([SKIPPED, SKIPPED, SKIPPED], 'as usual the update was skipped'),
    ],
)
def test_overflows_that_are_not_skipped_are_found(bench, outcomes, problem):
    bench.kept[DEEPLAB] = Stub(*outcomes)
    if problem is None:
        assert 'not finite' in check_overflow(bench, DEEPLAB).text
    else:
        with pytest.raises(CheckFailed, match=problem):
            check_overflow(bench, DEEPLAB)


def test_steps_that_do_not_repeat_are_found(bench):
    bench.kept[DEEPLAB] = Stub((0.5, 0.0), (0.5, 0.0))
    assert '1 tensors' in check_repetition(bench, DEEPLAB).text
    bench.kept[DEEPLAB] = Stub((0.5, 0.0), (0.5000001, 0.0))
    with pytest.raises(CheckFailed, match='1 of 1 tensors differ'):
        check_repetition(bench, DEEPLAB)


def test_memory_that_grows_is_found(bench, monkeypatch):
    bench.kept[DEEPLAB] = Stub()
    for growth, fails in ((2**20, False), (2**28, True)):
        readings = iter((2**30, 2**30 + growth))
        monkeypatch.setattr(networks, '_memory', lambda device, readings=readings: next(readings))
        if fails:
            with pytest.raises(CheckFailed, match='256.0 MB more'):
                check_memory(bench, DEEPLAB)
        else:
            assert check_memory(bench, DEEPLAB).values['growth_bytes'] == 2**20


def test_shares_of_a_batch_are_balanced():
    for size in (1, 2, 3, 4, 8, 16):
        images = sorted(image for rank in range(size) for image in share_of(rank, size, 4))
        assert len({images.count(image) for image in range(4)}) == 1


def test_runs_that_differ_after_resuming_are_found(bench, monkeypatch):
    with pytest.raises(NotApplicable):
        loading.check_resumed(bench)
    for run in ('whole', 'resumed'):
        (bench.folder / run).mkdir()
        (bench.folder / run / f'iter_{samples.ITERS}.ckpt').touch()
    arrays = {'whole': np.ones(3), 'resumed': np.ones(3)}
    monkeypatch.setattr(
        loading, 'load_checkpoint',
        lambda file: Checkpoint(file, {'w': arrays[Path(file).parent.name]}),
    )  # fmt: skip
    assert '1 tensors' in loading.check_resumed(bench).text
    arrays['resumed'] = np.nextafter(arrays['resumed'], 2)
    with pytest.raises(CheckFailed, match='1 of 1 tensors'):
        loading.check_resumed(bench)


def test_scores_that_numpy_does_not_confirm_are_found(bench, monkeypatch):
    samples.paint(bench.folder / 'data')
    (bench.folder / 'whole').mkdir()
    (bench.folder / 'whole' / f'iter_{samples.ITERS}.ckpt').touch()
    (bench.folder / 'scores').mkdir()
    labels = {
        path.stem: command_lines.cv2.imread(str(path), command_lines.cv2.IMREAD_GRAYSCALE) % 255
        for path in (bench.folder / 'data' / 'labels').iterdir()
    }

    def run_command(bench, *words, num=1):
        file = bench.folder / 'scores' / 'eval_1.json'
        file.write_text('{"metric": {"mIoU": 1.0}}')
        np.savez(bench.folder / 'labels.npz', **labels)

    monkeypatch.setattr(command_lines, 'run_command', run_command)
    assert check_evaluation(bench).values['mIoU_by_numpy'] == 1.0
    labels['0'][:20] = 1
    with pytest.raises(CheckFailed, match=r'mIoU 1.0000 by one process.* by numpy'):
        check_evaluation(bench)

"""What layers keep, worked out by hand; what is said before the first step."""

import logging
from types import SimpleNamespace

import mindspore as ms
import numpy as np
import pytest
from mindspore import Parameter, nn

from msseg.apis import memory_hook
from msseg.apis.memory_hook import MemoryEstimateHook
from msseg.models.analysis.memory_estimate import (
    MemoryEstimate,
    estimate_memory,
)
from msseg.models.layers import BatchProduct, Conv2d
from msseg.models.layers.res_block import recompute_without_norms
from msseg.utils.target import assume_target

MB = 2**20


class ByHand(nn.Cell):
    """Two convolutions, each with norm and activation."""

    def __init__(self):
        super().__init__()
        self.block = nn.SequentialCell(
            Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            Conv2d(8, 4, 1, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
        )

    def construct(self, img):
        return (self.block(img),)


def test_what_layers_keep_is_as_worked_out_by_hand():
    model = ByHand()
    model.set_train(True)
    momentum = Parameter(np.zeros((8, 27), np.float32))
    estimate = estimate_memory(model, (2, 3, 32, 64), [momentum])
    pixels, labelled = 2 * 16 * 32, 2 * 32 * 64
    # image, first convolution, first activation (which the second convolution takes), ...
    kept = 3 * labelled + 8 * pixels + 8 * pixels + 4 * pixels + 4 * pixels
    logits = 4 * 4 * labelled
    assert estimate.activations == 4 * (kept + logits)
    assert estimate.workspace == 4 * 2 * 27 * pixels
    trainable = 8 * 27 + 4 * 8 + 2 * (8 + 4)
    assert estimate.gradients == 4 * 2 * trainable
    assert estimate.weights == 4 * (trainable + 2 * (8 + 4))
    assert estimate.states == 4 * 8 * 27
    assert estimate.process > 50 * MB  # Python and MindSpore themselves
    assert model.training


def test_a_large_image_is_walked_small():
    small, large = (estimate_memory(ByHand(), (1, 3, side, side)) for side in (256, 2048))
    assert large.activations == 64 * small.activations
    assert large.workspace == 64 * small.workspace
    assert large.weights == small.weights


class Attentive(nn.Cell):
    """Patches of 8 pixels that attend to each other."""

    def __init__(self, only=None):
        super().__init__()
        self.only = only
        self.embed = Conv2d(3, 4, 8, stride=8)
        self.similarity = BatchProduct(transpose_b=True)
        self.softmax = nn.Softmax()
        self.mixture = BatchProduct()

    def construct(self, img):
        if self.only is not None and img.shape[2:] != self.only:
            raise RuntimeError('another size than that of the position table')
        maps = self.embed(img)
        n, c, h, w = maps.shape
        tokens = maps.reshape(n, c, h * w).swapaxes(1, 2)
        mixed = self.mixture(self.softmax(self.similarity(tokens, tokens)), tokens)
        return (mixed.swapaxes(1, 2).reshape(n, c, h, w),)


@pytest.mark.parametrize('only', [None, (256, 384)], ids=['any size', 'one size'])
def test_attention_grows_with_the_square_of_the_pixels(only):
    pixels, tokens = 256 * 384, 32 * 48
    estimate = estimate_memory(Attentive(only), (2, 3, 256, 384))
    # image, tokens, attention after the softmax; logits
    kept = 3 * pixels + 4 * tokens + tokens**2
    assert estimate.activations == 4 * 2 * (kept + 4 * 4 * pixels)


def test_a_block_that_is_recomputed_keeps_its_norms_only(graph_mode):
    model = ByHand()
    recompute_without_norms(model.block)
    pixels, labelled = 2 * 16 * 32, 2 * 32 * 64
    estimate = estimate_memory(model, (2, 3, 32, 64))
    assert estimate.activations == 4 * (8 * pixels + 4 * pixels + 4 * 4 * labelled)


def test_elsewhere_than_on_the_cpu_the_device_counts_alone():
    here, there = (estimate_memory(ByHand(), (2, 3, 32, 64), device=d) for d in ('CPU', 'Ascend'))
    assert there.process == 0
    assert there.workspace == 4 * 27 * 16 * 32 * 2  # of the first convolution
    assert there.activations == here.activations


def test_parts_are_said_in_megabytes():
    estimate = MemoryEstimate(1 * MB, 2 * MB, 3 * MB, 4 * MB, 5 * MB, 0)
    assert estimate.text() == (
        'about 15 MB (weights 1, optimizer and averages 2, gradients 3, activations 4, '
        'convolutions 5)'
    )


@pytest.fixture
def runner():
    logger = logging.getLogger('test_memory_estimate')
    logger.propagate = True
    batch = SimpleNamespace(img=np.zeros((2, 3, 32, 64), np.float32))
    return SimpleNamespace(model=ByHand(), data_batch=batch, logger=logger, state_parameters=dict)


def test_it_is_said_once(runner, caplog, graph_mode):
    hook = MemoryEstimateHook()
    with caplog.at_level(logging.INFO):
        hook.before_iter(runner)
        hook.before_iter(runner)
    (record,) = caplog.records
    assert 'memory of a step with 2 images of 32x64: about ' in record.getMessage()
    assert record.levelname == 'INFO'
    assert ms.get_context('mode') == ms.GRAPH_MODE


@pytest.mark.parametrize(
    ('device', 'rank', 'num', 'estimates'),
    [('Ascend', 0, 2, False), ('GPU', 0, 8, False), ('GPU', 0, 1, True), ('CPU', 0, 2, True),
     ('CPU', 1, 2, False)],
)  # fmt: skip
def test_on_several_cards_rank_0_does_not_keep_the_others_waiting(
    runner, monkeypatch, caplog, device, rank, num, estimates
):
    calls = []
    estimate = MemoryEstimate(1, 2, 3, 4, 5, 0)
    monkeypatch.setattr(
        memory_hook, 'estimate_memory', lambda *inputs: calls.append(inputs) or estimate
    )
    monkeypatch.setattr(memory_hook, 'get_rank', lambda: rank)
    monkeypatch.setattr(memory_hook, 'get_world_size', lambda: num)
    with assume_target(device), caplog.at_level(logging.INFO):
        MemoryEstimateHook().before_iter(runner)
    assert bool(calls) == estimates
    assert ('a card needs more' in caplog.text) == (estimates and device != 'CPU')


def test_too_little_memory_is_a_warning_with_what_to_do(runner, caplog, monkeypatch):
    monkeypatch.setattr(memory_hook, 'available_memory', lambda: 1 * MB)
    with caplog.at_level(logging.INFO):
        MemoryEstimateHook().before_iter(runner)
    warning = caplog.records[-1]
    assert warning.levelname == 'WARNING'
    assert '1 MB are free: make the crop or data.samples_per_gpu smaller' in warning.getMessage()

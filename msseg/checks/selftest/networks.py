"""Checks of whole networks: scores, a training step, overflow, repetition, memory."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.apis.build import build_train_step
from msseg.apis.train_settings import StepSettings
from msseg.checks.selftest.check import (
    LEAST_COSINES,
    Bench,
    Check,
    CheckFailed,
    Found,
    NotApplicable,
)
from msseg.checks.selftest.reference import (
    OPTIMIZER,
    SIZES,
    fill,
    make_batch,
    read_reference,
    summarise,
)
from msseg.convert import convert
from msseg.convert.names import rename_layers
from msseg.models import InferenceSegmentor, build_segmentor
from msseg.models.layers import use_low_precision
from msseg.runner.checkpoint import copy_to, optimizer_state
from msseg.utils.resources import resident_memory
from msseg.utils.target import get_target

_LOSS_SCALE = 1024.0
_HUGE = 1e7  # beyond float16, as float32 is
_MIB = 2**20
_MOST_GROWTH = 128 * _MIB
# Gradients pass through more roundings than scores; and a share of the largest change of a weight.
_GRADIENT_FACTOR = 50
_TODO = (
    'see which of the layers above fails, and run it again with --device CPU; if layers are right '
    'and networks are not, report it to msseg with this report'
)


class Trained:
    """A network of the reference and its training step.

    Args:
        name: The network, a key of `read_reference`.
        dtype: In which it computes.
        sync: Whether batch norms have statistics over all devices.
    """

    def __init__(self, name: str, dtype: str, sync: bool = False) -> None:
        self.known = read_reference()[name]
        config = copy.deepcopy(self.known['model'])
        if sync:
            _synchronise(config)
        self.network = build_segmentor(dict(config, train_cfg={}, test_cfg={'mode': 'whole'}))
        if dtype != 'float32':
            use_low_precision(self.network, getattr(ms, dtype))
        self.own = {p.name: p for p in self.network.get_parameters()}
        fates = rename_layers(list(self.known['weights']), 'mmseg', list(self.own))
        self.names = {key: fate.target for key, fate in fates.items()}
        self.start()
        self.step = build_train_step(
            self.network,
            StepSettings(
                {'type': 'SGD', **OPTIMIZER}, loss_scale=_LOSS_SCALE if dtype == 'float16' else None
            ),
        )

    def start(self) -> None:
        """Give the network the weights of the reference."""
        shapes = {key: tuple(stored[0]) for key, stored in self.known['weights'].items()}
        wanted = {name: p.shape for name, p in self.own.items() if p.dtype == ms.float32}
        weights = {key: fill(key, shape) for key, shape in shapes.items()}
        for name, array in convert(weights, 'mmseg', wanted).weights.items():
            copy_to(self.own[name], array)

    def values(self) -> dict[str, np.ndarray]:
        """Return copies of all weights and statistics, by their names here."""
        return {name: parameter.asnumpy().copy() for name, parameter in self.own.items()}

    def train(self, images: np.ndarray, labels: np.ndarray) -> dict[str, float]:
        """Do a step, and return its values by name."""
        values = self.step(ms.Tensor(images), ms.Tensor(labels))
        names = self.step.value_names
        return {n: float(v.asnumpy()) for n, v in zip(names, values, strict=True)}


def _synchronise(node: Any) -> None:
    children = node.values() if isinstance(node, dict) else node
    if isinstance(node, dict) and node.get('type') == 'BN':
        node['type'] = 'SyncBN'
    for child in children:
        if isinstance(child, (dict, list)):
            _synchronise(child)


def compare_step(trained: Trained, before: Mapping[str, np.ndarray], loss: float) -> dict:
    """Return how far a training step was from the reference.

    Returns:
        ``loss``: the relative difference. ``weights``: the largest of weights' changes, as a share
        of each one's largest change; ``weight``: its name. ``cosine`` of all changes together.
    """
    after, worst, who = trained.values(), 0.0, ''
    pairs = []
    for key, (_, *stored) in _compared(trained.known):
        largest, largest_change, *changes = stored
        name = trained.names[key]
        got = summarise(key, before[name], after[name])[2:]
        scale = largest_change + 1e-3 * largest
        error = float(np.abs(np.subtract(got, changes)).max()) / scale
        if not error <= worst:  # NaN, too
            worst, who = error if math.isfinite(error) else math.inf, name
        pairs.append((np.array(got) / scale, np.array(changes) / scale))
    a, b = (np.concatenate(each) for each in zip(*pairs, strict=True))
    cosine = float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-30))
    relative = abs(loss / trained.known['loss'] - 1)
    return {'loss': relative, 'weights': worst, 'weight': who, 'cosine': cosine}


def _compared(known: Mapping[str, Any]) -> Iterator[tuple[str, list]]:
    """Yield the weights to compare.

    A weight without a gradient is decayed here and not in PyTorch; and MMSegmentation's cascades
    update the first head's statistics twice.
    """
    is_cascade = known['model']['type'] == 'CascadeEncoderDecoder'
    for key, stored in known['weights'].items():
        is_twice = is_cascade and key.startswith('decode_head.0.') and 'running' in key
        if len(stored) > 1 and any(stored[3:]) and not is_twice:
            yield key, stored


def check_step(bench: Bench, name: str) -> Found:
    """Compare a training step with the reference; see `Check`."""
    trained = bench.kept[name] = Trained(name, bench.dtype)
    before, start = trained.values(), time.perf_counter()
    images, labels = make_batch(SIZES[0], trained.network.num_classes)
    loss = trained.train(images, labels)['loss']
    compiled = time.perf_counter()
    errors = compare_step(trained, before, loss)
    judge_step(errors, bench)
    trained.train(images, labels)
    step_s = time.perf_counter() - compiled
    text = f'{describe(errors)}; compiled in {compiled - start:.0f} s, a step in {step_s:.3f} s'
    return Found(text, {**_numbers(errors), 'compile_s': compiled - start, 'step_s': step_s})


def judge_step(errors: Mapping[str, Any], bench: Bench) -> None:
    """Raise `CheckFailed` if what `compare_step` found is too far."""
    allowed, least = bench.tolerance * _GRADIENT_FACTOR, LEAST_COSINES[bench.precision]
    is_right = errors['loss'] <= bench.tolerance and errors['cosine'] >= least
    # single changes of 16-bit floats may be off; all of them together are not
    if not is_right or (bench.precision == 'float32' and not errors['weights'] <= allowed):
        raise CheckFailed(
            f'{describe(errors)}; allowed are {bench.tolerance:g}, {allowed:g}, and '
            f'{least:g} at least'
        )


def describe(errors: Mapping[str, Any]) -> str:
    """Return what `compare_step` found as text."""
    return (
        f"the loss is {errors['loss']:.1e} from PyTorch's float64, changes of weights at most "
        f'{errors["weights"]:.1e} ({errors["weight"]}), cosine of all changes '
        f'{errors["cosine"]:.5f}'
    )


def _numbers(errors: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in errors.items() if not isinstance(value, str)}


def check_logits(bench: Bench, name: str) -> Found:
    """Compare scores at several sizes with the reference; see `Check`."""
    trained = bench.kept.get(name) or Trained(name, bench.dtype)
    trained.start()
    predict = InferenceSegmentor(trained.network)
    errors = {}
    for size in SIZES:
        key = f'{size[0]}x{size[1]}'
        images, _ = make_batch(size, trained.network.num_classes)
        logits = predict(ms.Tensor(images[:1])).asnumpy()
        largest, _, *stored = trained.known['logits'][key]
        got = summarise('logits', np.zeros_like(logits), logits)[2:]
        errors[key] = float(np.abs(np.subtract(got, stored)).max() / largest)
    text = ', '.join(f'{error:.1e} at {key}' for key, error in errors.items())
    text = f"scores differ from PyTorch's float64 by {text}, {bench.tolerance:g} allowed"
    if not all(error <= bench.tolerance for error in errors.values()):
        raise CheckFailed(text)
    return Found(text, errors)


def check_overflow(bench: Bench, name: str) -> Found:
    """See whether an overflow skips the update, and the next batch does not; see `Check`."""
    trained = bench.kept.get(name) or Trained(name, bench.dtype)
    trained.start()
    images, labels = make_batch(SIZES[0], trained.network.num_classes)
    weights = [p.name for p in trained.network.trainable_params()]
    for what, batch, expected in (
        ('beyond float16', images * np.float32(_HUGE), 1.0),
        ('infinite', np.where(images > 3, np.float32(np.inf), images), 1.0),
        ('as usual', images, 0.0),
    ):
        before = trained.values()
        skipped = trained.train(batch, labels)['skipped']
        after = trained.values()
        has_changed = any((before[n] != after[n]).any() for n in weights)
        if skipped != expected or has_changed == bool(expected):
            raise CheckFailed(
                f'with images {what} the update was {"" if skipped else "not "}skipped, and '
                f'weights have {"" if has_changed else "not "}changed'
            )
    target = get_target()
    how = 'the status register' if target.saturates else 'gradients that are not finite'
    return Found(f'two steps with planted overflows were skipped, the next was done; seen by {how}')


def check_repetition(bench: Bench, name: str) -> Found:
    """See whether a step from the same weights gives the same bits; see `Check`."""
    trained = bench.kept.get(name) or Trained(name, bench.dtype)
    images, labels = make_batch(SIZES[0], trained.network.num_classes)
    state = [*trained.own.values(), *optimizer_state(trained.step.optimizer).values()]
    start, results = [parameter.asnumpy().copy() for parameter in state], []
    for _ in range(2):
        for parameter, array in zip(state, start, strict=True):
            copy_to(parameter, array)
        trained.train(images, labels)
        results.append(trained.values())
    different = [n for n, v in results[0].items() if v.tobytes() != results[1][n].tobytes()]
    if different:
        raise CheckFailed(
            f'{len(different)} of {len(results[0])} tensors differ after the same step was done '
            f'twice, with deterministic kernels asked for; one is {different[0]}'
        )
    return Found(f'the same step twice gives the same bits in {len(results[0])} tensors')


def check_memory(bench: Bench, name: str) -> Found:
    """Report the peak, and see whether memory stays as it is while steps go on; see `Check`."""
    trained = bench.kept.get(name) or Trained(name, bench.dtype)
    images, labels = make_batch(SIZES[0], trained.network.num_classes)
    for _ in range(3):
        trained.train(images, labels)
    before = _memory(bench.device)
    for _ in range(20):
        trained.train(images, labels)
    after = _memory(bench.device)
    growth = after - before
    whose = 'this process' if bench.device == 'CPU' else 'tensors on the card'
    text = f'{whose} took {after / _MIB:.0f} MB, {growth / _MIB:.1f} MB more after 20 steps more'
    if growth > _MOST_GROWTH:
        raise CheckFailed(text)
    return Found(text, {'bytes': float(after), 'growth_bytes': float(growth)})


def _memory(device: str) -> int:
    if device == 'CPU':
        return resident_memory()
    return int(ms.runtime.max_memory_allocated())


def check_defaults(bench: Bench) -> Found:
    """Report how float32 is multiplied unless a config says otherwise; see `Check`."""
    rng = np.random.default_rng(3)
    x, weight = (rng.standard_normal(shape).astype(np.float32) for shape in ((64, 64), (64, 64)))
    expected = x.astype(np.float64) @ weight.astype(np.float64)
    product = ms.ops.MatMul()(ms.Tensor(x), ms.Tensor(weight)).asnumpy()
    conv = nn.Conv2d(64, 64, 1, weight_init=ms.Tensor(weight.T.reshape(64, 64, 1, 1).copy()))
    convolved = conv(ms.Tensor(x.reshape(64, 64, 1, 1))).asnumpy().reshape(64, 64)
    largest = np.abs(expected).max()
    errors = {
        'matrix products': float(np.abs(product - expected).max() / largest),
        'convolutions': float(np.abs(convolved - expected).max() / largest),
    }
    # rounded to 24, 11 and 8 bits
    kinds = ((1e-5, 'float32'), (2e-3, '11 bits: TF32, HF32 or float16'), (2e-2, 'bfloat16'))
    texts = []
    for what, error in errors.items():
        kind = next((text for limit, text in kinds if error < limit), None)
        if kind is None:
            raise CheckFailed(f'{what} of float32 are {error:.1e} from float64')
        texts.append(f'{what} in {kind} ({error:.1e})')
    return Found(', '.join(texts), errors)


def need_16_bits(bench: Bench) -> None:
    """Raise `NotApplicable` where the device has no such floats."""
    target = get_target()
    if bench.dtype == 'bfloat16' and (target.name == 'CPU' or target.chip == 'ascend910'):
        where = 'the CPU' if target.name == 'CPU' else 'Ascend 910A'
        raise NotApplicable(f'MindSpore has no bfloat16 convolutions on {where}')


def step_of(name: str) -> Check:
    """Return the check of a network's training step."""

    def run(bench: Bench) -> Found:
        need_16_bits(bench)
        return check_step(bench, name)

    return Check(f'{name}: loss, gradients, one step', run, _TODO)


def logits_of(name: str) -> Check:
    """Return the check of a network's scores."""
    return Check(f'{name}: scores at three sizes', lambda bench: check_logits(bench, name), _TODO)


OCRNET, DEEPLAB, SEGFORMER, SWIN = (
    'OCRNet on HRNet', 'DeepLabV3+ on ResNet', 'SegFormer', 'UPerNet on Swin',
)  # fmt: skip
IN_FLOAT32 = (
    step_of(OCRNET),
    logits_of(OCRNET),
    step_of(DEEPLAB),
    Check(
        'repetition', lambda bench: check_repetition(bench, DEEPLAB),
        'runs will not repeat bit by bit with --deterministic on this machine',
    ),
    Check(
        'memory', lambda bench: check_memory(bench, DEEPLAB),
        'watch the memory of long runs; report it to msseg with this report',
    ),
    step_of(SEGFORMER),
    step_of(SWIN),
)  # fmt: skip
IN_FLOAT16 = (
    step_of(OCRNET),
    step_of(DEEPLAB),
    Check(
        'overflow', lambda bench: check_overflow(bench, DEEPLAB),
        'do not train with fp16 on this machine: overflows would spoil the weights; use bf16=dict()'
        ' or float32, and report it to msseg',
    ),
)  # fmt: skip
IN_BFLOAT16 = (step_of(DEEPLAB),)
DEFAULTS = (
    Check(
        'multiplication of float32', check_defaults,
        'set device=dict(allow_hf32=False) in the config, on Ascend precision_mode too; update '
        'MindSpore and the driver',
    ),
)  # fmt: skip

"""Checks of several processes that compute together: exchanges, synchronised norms, a step."""

from __future__ import annotations

import time

import mindspore as ms
import numpy as np
from mindspore import ops

from msseg.checks.selftest.check import Bench, Check, CheckFailed, Found
from msseg.checks.selftest.networks import DEEPLAB, Trained, compare_step, describe, judge_step
from msseg.checks.selftest.reference import SIZES, make_batch
from msseg.utils.dist import any_rank, broadcast_object, get_rank, get_world_size, sum_over_ranks

_FLOATS = 2**22  # 16 MB
_LARGEST = 97  # of whole numbers, whose sums float32 holds exactly
_TODO = (
    'see docs/multi_device.md, and the logs of the ranks above; on Ascend check the cards with '
    'hccn_tool and the variables HCCL_*, on GPUs set NCCL_DEBUG=INFO'
)


def check_exchange(bench: Bench) -> Found:
    """Add and share values of all processes, and compare with numpy; see `Check`."""
    rank, size = get_rank(), get_world_size()
    parts = [np.arange(_FLOATS, dtype=np.int64) * (r + 1) % _LARGEST for r in range(size)]
    all_reduce = ops.AllReduce()
    own = ms.Tensor(parts[rank].astype(np.float32))
    all_reduce(own).asnumpy()  # the connection is made, and the operator compiled
    start = time.perf_counter()
    total = all_reduce(own).asnumpy()
    seconds = time.perf_counter() - start
    is_wrong = (total != sum(parts)).any()
    counts = [np.random.default_rng(r).integers(-(2**62), 2**62, 100) for r in range(size)]
    is_wrong |= (sum_over_ranks(counts[rank]) != sum(counts)).any()
    value = {'rate': 0.1, 'names': ['ü'] * 100}
    is_wrong |= broadcast_object(value if rank == 0 else None) != value
    if any_rank(bool(is_wrong)):
        raise CheckFailed(f'sums or shared values of {size} processes are wrong')
    rate = 4 * _FLOATS / seconds / 1e9
    return Found(
        f'{size} processes add and share values exactly; 16 MB in {1000 * seconds:.0f} ms',
        {'seconds_16_mb': seconds, 'gb_per_s': rate},
    )


def check_common_step(bench: Bench) -> Found:
    """Do a step with a share of the batch in each process; see `Check`.

    The norms are synchronised and the gradients averaged, so that it is the step of one process
    with the whole batch, which the reference has.
    """
    rank, size = get_rank(), get_world_size()
    trained = Trained(DEEPLAB, bench.dtype, sync=True)
    images, labels = make_batch(SIZES[0], trained.network.num_classes)
    own = share_of(rank, size, len(images))
    before = trained.values()
    loss = trained.train(images[own], labels[own])['loss']
    errors = compare_step(trained, before, loss)
    failure = None
    try:
        judge_step(errors, bench)
    except CheckFailed as error:
        failure = error
    sums = np.array([np.abs(value).sum(dtype=np.float64) for value in trained.values().values()])
    differs = bool((sum_over_ranks(sums) != sums * size).any())
    if any_rank(failure is not None):
        raise failure or CheckFailed('another rank is wrong, see its log')
    if any_rank(differs):
        raise CheckFailed('after the step weights or statistics differ between the processes')
    parts = 'the whole batch' if len(own) == len(images) else f'{len(own)} of {len(images)} images'
    return Found(
        f'{size} processes with {parts} each: {describe(errors)}', {'loss': errors['loss']}
    )


def share_of(rank: int, size: int, count: int) -> list[int]:
    """Return a process's images of a batch, so that each comes equally often.

    >>> [share_of(rank, 2, 4) for rank in range(2)], share_of(5, 8, 4), share_of(0, 3, 4)
    ([[0, 1], [2, 3]], [1], [0, 1, 2, 3])
    """
    if count % size == 0:
        per_rank = count // size
        return list(range(rank * per_rank, (rank + 1) * per_rank))
    return [rank % count] if size % count == 0 else list(range(count))


CHECKS = (
    Check('exchange', check_exchange, _TODO),
    Check(
        f'{DEEPLAB}: a step with SyncBN and averaged gradients', check_common_step,
        f'{_TODO}; set norm_cfg to BN if only this check fails',
    ),
)  # fmt: skip

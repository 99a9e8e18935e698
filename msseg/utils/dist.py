"""Collective operations: ranks, and sums, values and weights shared by all processes."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from msseg.utils.errors import UserValueError
from msseg.utils.launchers import find_place
from msseg.utils.rank_status import ask_for_patience, end_with_launcher, note_together
from msseg.utils.stop_signals import STOP_SIGNALS

if TYPE_CHECKING:
    from mindspore import Parameter

# Gradients travel in buckets of about so many MB, but on the CPU, where buckets are slower.
_BUCKET_MB = 32
# HCCL's patience with ranks that compile, or load more than others, before they join in (s).
_HCCL_TIMEOUTS_S = {'HCCL_CONNECT_TIMEOUT': '1800', 'HCCL_EXEC_TIMEOUT': '3600'}
# Compilers of cards take minutes for a large network, and for each size of images.
_COMPILATION_S = 1800.0
_PIECE = 1 << 22  # elements that travel at once: 16 MB of float32
_NOTHING = np.zeros(0, np.uint8)


def init_dist(launcher: str) -> None:
    """Join the other processes of the job; the device must have been chosen.

    Backends are HCCL on Ascend, NCCL on GPU and MindSpore's own on the CPU. The process that msrun
    starts as scheduler does not return from here: it ends when the others have ended.

    Args:
        launcher: The launcher of this process: ``none`` for a single one, ``msrun``, ``mpi``, or
            ``ranktable`` for HCCL's rank table file.

    Raises:
        ValueError: See `find_place`; or a launcher that the device does not have.
        ConnectionError: The processes did not find each other.
    """
    place = find_place(launcher)
    if launcher == 'none':
        return
    import mindspore as ms
    from mindspore import communication

    from msseg.utils.target import get_target

    device = get_target().name
    if device not in _DEVICES[launcher]:
        raise UserValueError(
            f'--launcher {launcher} is for {" and ".join(_DEVICES[launcher])}, but the device is '
            f'{device}: use --launcher msrun, which msseg dist train does',
            key='--launcher',
        )
    if place.is_scheduler:
        # A signal to the whole job is for those that have something to save.
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
    else:
        end_with_launcher()
    if device != 'CPU':
        ask_for_patience(_COMPILATION_S)
    note_together('joining the other processes')
    if device == 'Ascend':
        for variable, seconds in _HCCL_TIMEOUTS_S.items():
            os.environ.setdefault(variable, seconds)
    try:
        communication.init()
    except RuntimeError as error:
        reason = next((line for line in str(error).splitlines() if line.strip()), '')
        raise ConnectionError(
            f'--launcher {launcher}: the processes did not find each other: {reason}'
        ) from error
    ms.set_auto_parallel_context(
        parallel_mode=ms.ParallelMode.DATA_PARALLEL,
        gradients_mean=True,
        device_num=get_world_size(),
    )
    if device != 'CPU':
        fuse_gradients()


def fuse_gradients() -> None:
    """Let MindSpore join the AllReduce calls of gradients in graphs to come into larger ones."""
    import mindspore as ms

    bucket = {'mode': 'size', 'config': _BUCKET_MB}
    ms.set_auto_parallel_context(comm_fusion={'allreduce': bucket})


_DEVICES = {
    'msrun': ('Ascend', 'GPU', 'CPU'),
    'mpi': ('Ascend', 'GPU'),
    'ranktable': ('Ascend',),
}


def get_rank() -> int:
    """Return this process's rank, 0 if nothing was initialised."""
    return _from_communication('get_rank', default=0)


def get_world_size() -> int:
    """Return the number of processes, 1 if nothing was initialised."""
    return _from_communication('get_group_size', default=1)


def sum_over_ranks(array: np.ndarray) -> np.ndarray:
    """Add up an array of all processes; all must call this, with arrays of one shape.

    Args:
        array: int64 or floats.

    Returns:
        The sum, the same on every process: exact (modulo 2^64) for int64; floats are added in
        float64 in the order of ranks and returned in their own type.

    Raises:
        TypeError: Another type.
    """
    array = np.asarray(array)
    if array.dtype == np.int64:
        return _sum_int64(array)
    if array.dtype.kind != 'f':
        raise TypeError(f'sum_over_ranks: got {array.dtype}, expected int64 or floats')
    rows = _gather_bytes(np.ascontiguousarray(array, np.float64))
    total = rows.view(np.float64).sum(axis=0)
    return total.reshape(array.shape).astype(array.dtype)


def any_rank(flag: bool) -> bool:
    """Whether the flag is set on any process; all must call this."""
    return start_any_rank(flag)()


def start_any_rank(flag: bool) -> Callable[[], bool]:
    """Begin `any_rank` without waiting; return a function that waits for the answer."""
    if get_world_size() == 1:
        return lambda: bool(flag)
    from mindspore import Tensor, ops

    note_together('exchanging values')
    all_reduce: Callable[[Tensor], Tensor] = ops.AllReduce()
    total = all_reduce(Tensor(np.array([bool(flag)], np.float32)))
    return lambda: bool(total.asnumpy()[0] > 0)


def broadcast_object(value: Any) -> Any:
    """Return rank 0's value on every process; all must call this.

    Args:
        value: Plain values (numbers, strings, lists, dicts); those of other ranks are ignored.
    """
    if get_world_size() == 1:
        return value
    content = np.frombuffer(pickle.dumps(value), np.uint8) if get_rank() == 0 else _NOTHING
    size = _sum_int64(np.array(content.size, np.int64))
    return pickle.loads(_broadcast_bytes(content, int(size)).tobytes())


def barrier() -> None:
    """Wait until every process calls this."""
    any_rank(False)


def keep_together() -> None:
    """Wait for the other processes if a late one would end the job.

    MindSpore's collectives on the CPU give up after 45 s (2.8, unless MS_NODE_TIMEOUT says more).
    """
    import mindspore as ms

    if get_world_size() > 1 and ms.get_context('device_target') == 'CPU':
        barrier()


def broadcast_parameters(parameters: Iterable[Parameter]) -> None:
    """Give every process rank 0's values of parameters; all must call this, in one order."""
    parameters = list(parameters)
    if get_world_size() == 1 or not parameters:
        return
    import mindspore as ms

    is_source = get_rank() == 0
    arrays = [np.ascontiguousarray(parameter.asnumpy()) for parameter in parameters]
    own = [array.reshape(-1).view(np.uint8) for array in arrays] if is_source else [_NOTHING]
    received = _broadcast_bytes(np.concatenate(own), sum(array.nbytes for array in arrays))
    start = 0
    for parameter, array in zip(parameters, arrays, strict=True):
        part = received[start : start + array.nbytes]
        start += array.nbytes
        if not is_source:
            # A copy, because MindSpore may share memory with the array.
            values = part.view(array.dtype).reshape(array.shape).copy()
            parameter.set_data(ms.Tensor(values, parameter.dtype))


def _sum_int64(array: np.ndarray) -> np.ndarray:
    # The CPU's AllReduce adds float32 only (MindSpore 2.8), which is exact up to 2^24: so the bytes
    # are added, and the carries here.
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(-1, 8)
    sums = _add(data.astype(np.float32)).astype(np.uint64)
    shifts = np.arange(8, dtype=np.uint64) * np.uint64(8)
    return (sums << shifts).sum(axis=1, dtype=np.uint64).view(np.int64).reshape(array.shape)


def _gather_bytes(array: np.ndarray) -> np.ndarray:
    """Return the bytes of every process's array, uint8 (world size, number of bytes)."""
    rows = np.zeros((get_world_size(), array.nbytes), np.float32)
    rows[get_rank()] = array.reshape(-1).view(np.uint8)
    return _add(rows).astype(np.uint8)


def _broadcast_bytes(content: np.ndarray, size: int) -> np.ndarray:
    """Return rank 0's bytes, uint8 (size,), on every process; other ranks' are ignored."""
    from mindspore import Tensor, ops

    note_together('receiving values of rank 0')
    broadcast: Callable[[tuple[Tensor]], tuple[Tensor]] = ops.Broadcast(0)
    length = min(_PIECE, max(256, 1 << (-(-size // 4) - 1).bit_length()))  # few shapes to compile
    result = np.zeros(-(-size // (4 * length)) * 4 * length, np.uint8)
    result[: content.size] = content
    # The bits travel as float32, the only type that the CPU's Broadcast takes (MindSpore 2.8).
    for piece in result.view(np.float32).reshape(-1, length):
        piece[:] = broadcast((Tensor(piece.copy()),))[0].asnumpy()
    return result[:size]


def _add(array: np.ndarray) -> np.ndarray:
    """Add float32 over processes; exact as long as all values are whole numbers below 2^24."""
    if get_world_size() == 1:
        return array
    from mindspore import Tensor, ops

    note_together('exchanging values')
    all_reduce: Callable[[Tensor], Tensor] = ops.AllReduce()
    flat = array.reshape(-1)
    pieces = [
        all_reduce(Tensor(np.ascontiguousarray(flat[start : start + _PIECE]))).asnumpy()
        for start in range(0, len(flat), _PIECE)
    ]
    return np.concatenate(pieces).reshape(array.shape) if pieces else array


def _from_communication(function: str, default: int) -> int:
    import sys

    # A process that never imported the framework cannot have started its communication.
    if 'mindspore' not in sys.modules:
        return default
    from mindspore import communication
    from mindspore.communication import GlobalComm

    return getattr(communication, function)() if GlobalComm.INITED else default

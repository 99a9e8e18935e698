"""One process of several: exchanges values and checks what it gets."""

import json
import re
import sys
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, nn

from msseg.runner.gradients import GradReducer
from msseg.utils import dist
from msseg.utils.device import setup_device


class Reduced(nn.Cell):
    def __init__(self, reducer):
        super().__init__(auto_prefix=False)
        self.reducer = reducer

    def construct(self, grads, values):
        return self.reducer(grads), self.reducer.mean(values)


def check_sums(rank, size):
    rngs = [np.random.default_rng(number) for number in range(size)]
    counts = [rng.integers(-(2**62), 2**62, (2, 19, 19)) for rng in rngs]
    np.testing.assert_array_equal(dist.sum_over_ranks(counts[rank]), sum(counts))
    assert dist.sum_over_ranks(np.array(2**24 + 1)) == size * (2**24 + 1)
    floats = [rng.normal(size=5) for rng in rngs]
    in_order = floats[0]
    for each in floats[1:]:
        in_order = in_order + each
    np.testing.assert_array_equal(dist.sum_over_ranks(floats[rank]), in_order)
    assert dist.sum_over_ranks(floats[rank].astype(np.float32)).dtype == np.float32
    assert dist.any_rank(rank == size - 1)
    assert not dist.any_rank(False)


def check_broadcasts(rank):
    value = {'seed': 2**40 + 1, 'names': ['ü' * 3000, None], 'rate': 0.1}
    assert dist.broadcast_object(value if rank == 0 else 'mine') == value
    assert dist.broadcast_object(None if rank == 0 else 'mine') is None
    rng = np.random.default_rng(5)
    arrays = [
        rng.normal(size=(3, 5)).astype(np.float32),
        np.array([-0.0, np.nan, np.inf, 1e-42], np.float32),
        np.array([2**31 - 1, -7, 0x7F800001], np.int32),
        rng.normal(size=(700, 1001)).astype(np.float16),
        np.array(True),
    ]
    parameters = [
        Parameter(Tensor(array if rank == 0 else np.zeros_like(array)), name=f'p{index}')
        for index, array in enumerate(arrays)
    ]
    dist.broadcast_parameters(parameters)
    for parameter, array in zip(parameters, arrays, strict=True):
        assert parameter.asnumpy().tobytes() == array.tobytes()
    dist.broadcast_parameters(iter([]))  # such as the statistics of a network without batch norm


def check_reducer(rank, size):
    shapes = [(2, 3), (4,)]
    parameters = [Parameter(Tensor(np.zeros(s, np.float32)), name=f'w{s}') for s in shapes]
    reducer = GradReducer(parameters)
    grads = tuple(Tensor(np.full(s, rank + 1.0, np.float32)) for s in shapes)
    means, values = Reduced(reducer)(grads, (Tensor(float(rank)), Tensor(6.0)))
    for mean in means:
        np.testing.assert_array_equal(mean.asnumpy(), (size + 1) / 2)
    assert [float(value) for value in values] == [(size - 1) / 2, 6.0]


def check_buckets(folder, size):
    """Count the AllReduce operators of a graph for gradients, before and after they are joined."""
    parameters = [Parameter(Tensor(np.zeros(3, np.float32)), name=f'w{i}') for i in range(8)]
    grads = tuple(Tensor(np.full(3, float(i), np.float32)) for i in range(8))
    counts = []
    for fuses in (False, True):
        if fuses:
            dist.fuse_gradients()
        graphs = Path(folder, f'graphs_{dist.get_rank()}_{fuses}')
        ms.set_context(save_graphs=2, save_graphs_path=str(graphs))
        means, _ = Reduced(GradReducer(parameters))(grads, (Tensor(1.0), Tensor(2.0)))
        for grad, mean in zip(grads, means, strict=True):
            np.testing.assert_array_equal(mean.asnumpy(), grad.asnumpy())
        final = max(graphs.rglob('hwopt_*.ir'), key=lambda path: path.stem.rpartition('_')[2])
        counts.append(len(re.findall(r'= (?:PrimFunc_)?AllReduce\(', final.read_text())))
    ms.set_context(save_graphs=0)
    assert counts == [9, 2], counts  # and one for what is logged


def main(folder):
    setup_device('CPU', launcher='msrun')
    dist.init_dist('msrun')
    rank, size = dist.get_rank(), dist.get_world_size()
    check_sums(rank, size)
    check_broadcasts(rank)
    check_reducer(rank, size)
    check_buckets(folder, size)
    dist.barrier()
    dist.keep_together()
    Path(folder, f'{rank}.json').write_text(json.dumps([rank, size]))


if __name__ == '__main__':
    main(*sys.argv[1:])

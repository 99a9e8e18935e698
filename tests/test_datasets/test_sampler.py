"""Which samples make which batch."""

from itertools import chain

from msseg.datasets.train_loader import BatchSampler


def test_epoch_is_a_permutation_without_the_rest():
    sampler = BatchSampler(10, 3, seed=5)
    assert sampler.iters_per_epoch == 3

    epochs = []
    for epoch in range(3):
        plans = [sampler.plan(3 * epoch + i) for i in range(3)]
        assert {plan.epoch for plan in plans} == {epoch}
        epochs.append(list(chain(*(plan.indices for plan in plans))))
        assert len(set(epochs[-1])) == 9 and set(epochs[-1]) <= set(range(10))
    assert epochs[0] != epochs[1] != epochs[2]
    assert BatchSampler(10, 3, seed=6).plan(0) != sampler.plan(0)


def test_plan_depends_on_the_iteration_alone():
    in_order = BatchSampler(7, 2, seed=1)
    expected = [in_order.plan(i) for i in range(12)]
    backwards = BatchSampler(7, 2, seed=1)

    assert [backwards.plan(i) for i in reversed(range(12))] == expected[::-1]


def test_without_shuffle():
    sampler = BatchSampler(5, 2, seed=1, shuffle=False)

    assert [sampler.plan(i).indices for i in range(4)] == [[0, 1], [2, 3]] * 2


def test_devices_share_the_same_global_batch():
    one = BatchSampler(11, 4, seed=3)
    two = [BatchSampler(11, 4, seed=3, rank=r, world_size=2) for r in range(2)]

    for i in range(8):
        assert [*two[0].plan(i).indices, *two[1].plan(i).indices] == one.plan(i).indices
        assert len(two[0].plan(i).indices) == 2


def test_small_data_set_is_repeated_with_draws_of_its_own():
    sampler = BatchSampler(3, 8, seed=0)
    plan = sampler.plan(4)

    assert sampler.iters_per_epoch == 1 and plan.epoch == 4
    assert len(set(plan.draws)) == 8 and set(plan.draws) <= set(range(9))
    assert [draw % 3 for draw in plan.draws] == plan.indices

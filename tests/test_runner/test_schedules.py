import math
from types import SimpleNamespace

import pytest

from msseg.runner.hooks import LrUpdaterHook
from msseg.runner.schedules import POLICIES, get_policy, warmup_factor


@pytest.mark.parametrize(
    ('policy', 'arguments', 'progress', 'expected'),
    [
        ('fixed', {}, 70, 0.1),
        ('step', {'step': 30}, 29, 0.1),
        ('step', {'step': 30}, 90, 0.1 * 0.1**3),
        ('step', {'step': [60, 30], 'gamma': 0.5}, 30, 0.05),
        ('step', {'step': [30, 60], 'gamma': 0.5}, 29, 0.1),
        ('step', {'step': [30, 60], 'gamma': 0.5}, 99, 0.025),
        ('step', {'step': 10, 'min_lr': 0.003}, 90, 0.003),
        ('exp', {'gamma': 0.9}, 3, 0.1 * 0.729),
        ('poly', {'power': 0.9, 'min_lr': 1e-4}, 0, 0.1),
        ('poly', {'power': 0.9, 'min_lr': 1e-4}, 50, 0.0999 * 0.5**0.9 + 1e-4),
        ('poly', {}, 99, 0.001),
        ('poly', {'min_lr_ratio': 0.2}, 75, 0.04),
        ('CosineAnnealing', {'min_lr': 0.0}, 0, 0.1),
        ('CosineAnnealing', {'min_lr': 0.02}, 50, 0.06),
        ('cosine', {'min_lr_ratio': 0.1}, 100, 0.01),
        ('gaussian', {'power': 4e-4}, 50, 0.1 / math.e),
        ('gaussian', {'power': 1.0}, 90, 0.1 / math.exp(700)),
        # 30 steps up from 1/25 of 0.5 to 0.5, the top reached at step 29; then down to 1/250000.
        ('OneCycle', {'max_lr': 0.5}, 0, 0.02),
        ('OneCycle', {'max_lr': 0.5}, 29, 0.5),
        ('OneCycle', {'max_lr': 0.5, 'anneal_strategy': 'linear'}, 14.5, 0.26),
        ('OneCycle', {'max_lr': 0.5, 'anneal_strategy': 'linear'}, 64, (0.5 + 2e-6) / 2),
        ('OneCycle', {'max_lr': 0.5}, 99, 2e-6),
        ('OneCycle', {'max_lr': 0.5, 'three_phase': True}, 58, 0.02),
        ('OneCycle', {'max_lr': 0.5, 'three_phase': True}, 99, 2e-6),
        ('OneCycle', {'max_lr': 0.5, 'total_steps': 200}, 59, 0.5),
    ],
)
def test_policies_at_hand_computed_points(policy, arguments, progress, expected):
    assert get_policy(policy)(0.1, progress, 100, **arguments) == pytest.approx(expected)


@pytest.mark.parametrize(
    ('kind', 'progress', 'expected'),
    [
        ('constant', 0, 0.1),
        ('constant', 9, 0.1),
        ('linear', 0, 0.1),
        ('linear', 5, 0.55),
        ('exp', 0, 0.1),
        ('exp', 5, 0.1**0.5),
    ],
)
def test_warmup(kind, progress, expected):
    assert warmup_factor(kind, progress, 10, 0.1) == pytest.approx(expected)


def test_policy_names_forgive_the_first_letters_case():
    assert get_policy('Poly') is POLICIES['poly']
    assert get_policy('cosineAnnealing') is POLICIES['CosineAnnealing']


def test_unknown_policy():
    with pytest.raises(KeyError, match="lr_config.policy is 'ploy', expected.*Did you mean 'poly'"):
        get_policy('ploy')


def test_wrong_arguments_of_policies():
    with pytest.raises(ValueError, match='either min_lr or min_lr_ratio'):
        get_policy('cosine')(0.1, 0, 100)
    for policy, arguments, message in (
        ('OneCycle', dict(max_lr=1.0, anneal_strategy='sin'), "anneal_strategy is 'sin'"),
        ('OneCycle', dict(max_lr=1.0, pct_start=1.5), 'pct_start is 1.5, expected .* 0 to 1'),
        ('step', dict(step=0), 'step is 0, expected a whole number of at least 1, or a list'),
        ('step', dict(step=[2, -1]), r'step is \[2, -1\]'),
        ('poly', dict(power=-1), 'power is -1, expected a number of at least 0'),
        ('poly', dict(min_lr=float('nan')), 'min_lr is nan'),
        ('exp', dict(gamma=2.0), 'gamma is 2.0, expected'),
    ):
        with pytest.raises(ValueError, match=f'policy .{policy}.: {message}'):
            LrUpdaterHook(policy, **arguments)


def rates(total, **lr_config):
    hook = LrUpdaterHook(by_epoch=False, **lr_config)
    optimizer = SimpleNamespace(base_lrs=[0.1])
    runner = SimpleNamespace(iter=0, max_iters=total, optimizer=optimizer)
    found = []
    for runner.iter in range(total + 1):
        found += hook.lrs(runner)
    return found


def test_progress_counts_from_begin_to_end():
    found = rates(60, policy='poly', begin=10, end=50)
    assert found[:11] == [0.1] * 11
    assert found[30] == pytest.approx(0.05)
    assert found[50:] == [0.0] * 11
    assert rates(60, policy='poly', end=60) == rates(60, policy='poly')
    with pytest.raises(ValueError, match='lr_config: end is 10, expected a number above begin, 10'):
        LrUpdaterHook('poly', begin=10, end=10)


def test_the_factor_of_a_warmup_in_epochs_changes_once_an_epoch_or_each_iteration():
    for per_epoch, expected in (True, [0.1, 0.1, 0.55, 0.55, 1.0]), (False, [0.1, 0.325, 0.55]):
        more = dict(warmup_by_epoch=True, warmup_per_epoch=per_epoch)
        hook = LrUpdaterHook('fixed', warmup='linear', warmup_iters=2, warmup_ratio=0.1, **more)
        runner = SimpleNamespace(optimizer=SimpleNamespace(base_lrs=[1.0]), iters_per_epoch=2)
        runner.max_epochs = 4
        for i, value in enumerate(expected):
            runner.iter, runner.epoch = i, i // 2
            assert hook.lrs(runner) == pytest.approx([value])
    with pytest.raises(ValueError, match='warmup_per_epoch is True, expected False without warmu'):
        LrUpdaterHook('fixed', warmup='linear', warmup_iters=2, warmup_per_epoch=True)


# Of MMEngine 0.10.7's schedulers, LinearLR(start_factor=0.01, begin=0, end=10) before one with
# begin=10 and end=60, at a rate of 0.1: iterations 0, 5, 9, 10, 20, 30, 31, 45, 50, 51, 59.
AT = [0, 5, 9, 10, 20, 30, 31, 45, 50, 51, 59]
MMENGINE = [
    (
        dict(policy='poly', power=0.9, min_lr=1e-3),
        [0.001, 0.056, 0.1, 0.1, 0.0816152, 0.0627472, 0.0608275, 0.0330608, 0.0225416, 0.0203749,
         0.001],
    ),
    (
        dict(policy='step', step=[20, 40]),
        [0.001, 0.056, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001],
    ),
    (
        dict(policy='CosineAnnealing', min_lr=1e-3),
        [0.001, 0.056, 0.1, 0.1, 0.0905463, 0.0657963, 0.0628101, 0.0214046, 0.0104537, 0.00870577,
         0.00109768],
    ),
]  # fmt: skip


@pytest.mark.parametrize(('policy', 'expected'), MMENGINE, ids=lambda value: str(value)[:20])
def test_rates_are_mmengines_but_for_one_step_of_the_schedule(policy, expected):
    warmup = dict(warmup='linear', warmup_iters=10, warmup_ratio=0.01)
    found = rates(60, begin=10, **warmup, **policy)
    for i, value in zip(AT, expected, strict=True):
        step = max(abs(found[i] - found[max(i - 1, 0)]), abs(found[i + 1] - found[i]))
        is_smooth = policy['policy'] == 'poly' or i < 10
        assert abs(found[i] - value) <= (step if is_smooth else 1e-6), i

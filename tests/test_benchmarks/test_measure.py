import time

import pytest

from benchmarks.measure import Comparison, compare


def test_ratio_is_the_median_of_the_rounds():
    # one slow round of the base does not count, nor does a slow round of the candidate
    times = Comparison([1.0, 1.0, 1.0, 9.0, 1.0], [2.0, 2.0, 50.0, 2.0, 2.0])
    assert times.ratio == pytest.approx(0.5)


def test_functions_take_turns_and_warm_up_is_not_timed():
    calls = []
    times = compare(lambda: calls.append('c'), lambda: calls.append('b'), rounds=3, warmup=1)
    assert ''.join(calls) == 'bc' + 'bc' + 'cb' + 'bc'
    assert len(times.candidate_s) == len(times.base_s) == 3


def test_times_belong_to_their_functions():
    times = compare(lambda: time.sleep(0.02), lambda: None, rounds=2, warmup=0)
    assert min(times.candidate_s) >= 0.02
    assert max(times.base_s) < 0.02


@pytest.mark.parametrize(('ratio', 'verdict'), [(0.2, 'within'), (0.3, 'above')])
def test_report_says_whether_the_limit_is_kept(ratio, verdict):
    report = Comparison([ratio] * 3, [1.0] * 3).report('new', 'old', limit=0.25)
    assert f'ratio {ratio:.3f}, {verdict} the limit of 0.25 (median of 3 rounds)' in report
    assert 'old: 1000.00 ms' in report


def test_no_rounds_are_refused():
    with pytest.raises(ValueError, match='rounds must be at least 1, but got 0'):
        compare(lambda: None, lambda: None, rounds=0)

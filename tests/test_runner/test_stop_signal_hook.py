"""Processes agree on the end of a run without waiting for one another."""

from types import SimpleNamespace

import pytest

from msseg.runner.hooks import StopSignalHook, default_hooks
from msseg.utils.target import assume_target


@pytest.mark.parametrize(
    ('device', 'asked', 'read', 'stops_at'),
    [
        ('CPU', [*range(31)], [*range(1, 31)], 13),
        ('Ascend', [0, 10, 20, 30], [10, 20, 30], 30),
        ('GPU', [0, 10, 20, 30], [10, 20, 30], 30),
    ],
)
def test_answers_are_read_later_and_cards_are_asked_in_each_tenth_iteration(
    monkeypatch, device, asked, read, stops_at
):
    signals = SimpleNamespace(received=None)
    events = []

    def start_any_rank(flag):
        number = runner.iter
        events.append(('asked', number))

        def answer():
            events.append(('read', runner.iter))
            return flag

        assert number in asked
        return answer

    monkeypatch.setattr(default_hooks, 'start_any_rank', start_any_rank)
    stopped = []
    runner = SimpleNamespace(iter=0, world_size=2, stop=lambda why: stopped.append(runner.iter))
    with assume_target(device):
        hook = StopSignalHook(signals)
    hook.before_run(runner)
    for runner.iter in range(1, 31):
        if runner.iter == 12:
            signals.received = SimpleNamespace(name='SIGTERM')
        hook.after_train_iter(runner)
    assert [number for what, number in events if what == 'asked'] == asked
    assert [number for what, number in events if what == 'read'] == read
    assert stopped[0] == stops_at


def test_a_single_process_stops_at_once():
    signals = SimpleNamespace(received=SimpleNamespace(name='SIGINT'))
    stopped = []
    runner = SimpleNamespace(iter=7, world_size=1, stop=stopped.append)
    with assume_target('Ascend'):
        StopSignalHook(signals).after_train_iter(runner)
    assert stopped == ['SIGINT']

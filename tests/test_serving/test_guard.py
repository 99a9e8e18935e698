"""Refusals that depend on time and on other requests, without a network."""

import asyncio

import pytest

from msseg.serving import guard
from msseg.serving.guard import Guard, Limits, RateLimit

SCOPE = {'type': 'http', 'method': 'POST', 'path': '/', 'client': ('10.0.0.7', 1),
         'headers': [(b'host', b'localhost')]}  # fmt: skip


def run(guarded, receive):
    """Returns the status of an answer, and its headers."""
    sent = []

    async def send(message):
        sent.append(message)

    async def call():
        await guarded(dict(SCOPE), receive, send)

    asyncio.run(call())
    return sent[0]['status'], {name.decode(): value.decode() for name, value in sent[0]['headers']}


async def reads_all(scope, receive, send):
    while (await receive()).get('more_body'):
        pass
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b''})


async def comes_at_once():
    return {'type': 'http.request', 'body': b'x'}


def test_a_rate_is_counted_by_address_and_given_back_in_time():
    now = [0.0]
    limit = RateLimit(30, clock=lambda: now[0])
    assert [limit.wait_s('a') for _ in range(30)] == [0.0] * 30
    assert limit.wait_s('a') == pytest.approx(2)
    assert limit.wait_s('b') == 0
    now[0] = 1.0
    assert limit.wait_s('a') == pytest.approx(1)
    now[0] = 2.0
    assert limit.wait_s('a') == 0
    assert limit.wait_s('a') == pytest.approx(2)


def test_addresses_are_forgotten_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(guard, '_MOST_CLIENTS', 5)
    now = [0.0]
    limit = RateLimit(1, clock=lambda: now[0])
    for number in range(100):
        now[0] += 40
        assert limit.wait_s(f'{number}') == 0
        assert limit.wait_s(f'{number}') > 0
    assert len(vars(limit)['_used']) <= 5


def test_too_many_a_minute_are_told_when_to_come_again():
    guarded = Guard(reads_all, Limits(10, 10, 2), {'localhost'}, False)
    assert [run(guarded, comes_at_once)[0] for _ in range(3)] == [200, 200, 429]
    assert run(guarded, comes_at_once)[1]['retry-after'] in ('30', '31')


def test_too_many_at_a_time_are_refused(monkeypatch):
    monkeypatch.setattr(guard, 'MOST_AT_A_TIME', 0)
    guarded = Guard(reads_all, Limits(10, 10, 2), {'localhost'}, False)
    status, headers = run(guarded, comes_at_once)
    assert status == 503 and headers['retry-after'] == '1'


def test_a_request_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(guard, '_READ_TIMEOUT_S', 0.05)

    async def never_comes():
        await asyncio.sleep(10)

    guarded = Guard(reads_all, Limits(10, 10, 2), {'localhost'}, False)
    assert run(guarded, never_comes)[0] == 408

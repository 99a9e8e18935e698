"""What a server refuses before an image is looked at: foreign sites, too much, too fast."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

# Requests that are read, wait or are worked on: each may hold an image's file in memory.
MOST_AT_A_TIME = 128
_READ_TIMEOUT_S = 60.0
_MOST_DISCARDED = 1 << 28
_MOST_CLIENTS = 10_000
_HEADERS = {
    'content-security-policy': "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(self), microphone=(), geolocation=()',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
}


@dataclass(frozen=True)
class Limits:
    """How much a server takes.

    Attributes:
        max_bytes: Of a request.
        max_pixels: Of an image.
        rate: Images a minute from one address; also how many it may send at once.
    """

    max_bytes: int
    max_pixels: int
    rate: int


class RefusedError(Exception):
    """A request that is refused; its message is one line.

    Attributes:
        status: Of HTTP.
        headers: More headers of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.headers = status, dict(headers or {})

    def response(self) -> JSONResponse:
        """Return the answer."""
        return JSONResponse({'error': str(self)}, self.status, self.headers)


class RateLimit:
    """Count requests by address.

    Each address has `rate` requests, and gets back one every 60 / `rate` seconds.

    >>> limit = RateLimit(2, clock=lambda: 0.0)
    >>> [limit.wait_s('a'), limit.wait_s('a'), limit.wait_s('a'), limit.wait_s('b')]
    [0.0, 0.0, 30.0, 0.0]
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._used: dict[str, tuple[float, float]] = {}  # requests that are not given back yet

    def wait_s(self, address: str) -> float:
        """Count a request and return 0, or the seconds to wait until one is allowed."""
        now, per_second = self._clock(), self._rate / 60
        used, since = self._used.get(address, (0.0, now))
        used = max(used - (now - since) * per_second, 0.0)
        if used > self._rate - 1:
            return (used - self._rate + 1) / per_second
        if len(self._used) >= _MOST_CLIENTS:
            self._used = {a: (u, t) for a, (u, t) in self._used.items() if now - t < 60}
            if len(self._used) >= _MOST_CLIENTS:
                self._used.clear()
        self._used[address] = used + 1, now
        return 0.0


class Guard:
    """An ASGI application in front of another.

    It refuses requests that other sites' pages may have made: those whose Host header is a name
    that is not this server's (a name can be made to lead here), and those with another Origin.

    Args:
        app: The application.
        limits: What it takes.
        names: Names of this machine in Host headers, without port, in lower case.
        any_address: Whether Host may be any address in numbers, not only one of this machine.
    """

    def __init__(self, app: App, limits: Limits, names: Collection[str], any_address: bool) -> None:
        self._app, self._limits = app, limits
        self._names, self._any_address = names, any_address
        self._rate = RateLimit(limits.rate)
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope['type'] != 'http':
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message['type'] == 'http.response.start':
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        try:
            self._check_sender(headers)
            if scope['method'] in ('GET', 'HEAD'):
                await self._app(scope, receive, send_with_headers)
                return
            self._check_rate(scope)
            with self._counted():
                bounded = self._bounded(headers, receive)
                await self._app(scope, bounded, send_with_headers)
        except RefusedError as refusal:
            await _discard(headers, receive)
            await refusal.response()(scope, receive, send_with_headers)

    def _check_sender(self, headers: Headers) -> None:
        host = headers.get('host', '')
        if not self._is_ours(host):
            raise RefusedError(
                421,
                f'the host {host!r} is not one of this server: open it by its address, or start '
                'msseg serve with --allowed-host NAME',
            )
        origin, site = headers.get('origin'), headers.get('sec-fetch-site')
        is_foreign = origin is not None and urlsplit(origin).netloc.lower() != host.lower()
        is_navigation = headers.get('sec-fetch-mode') == 'navigate'
        if is_foreign or site in ('cross-site', 'same-site') and not is_navigation:
            raise RefusedError(403, f'pages of {origin or "another site"} may not use this server')

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f'//{host}').hostname or ''
        except ValueError:
            return False
        if name.rstrip('.') in self._names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return False
        return self._any_address or address.is_loopback

    def _check_rate(self, scope: Scope) -> None:
        client = scope.get('client')
        wait_s = self._rate.wait_s(client[0] if client else '')
        if wait_s > 0:
            raise RefusedError(
                429,
                f'more than {self._limits.rate} images a minute came from your address: send the '
                f'next one in {wait_s:.1f} s',
                {'retry-after': str(int(wait_s) + 1)},
            )

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._at_work >= MOST_AT_A_TIME:
            problem = f'{MOST_AT_A_TIME} images are waiting already: send it again in a second'
            raise RefusedError(503, problem, {'retry-after': '1'})
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    def _bounded(self, headers: Headers, receive: Receive) -> Receive:
        """Return a `receive` that raises RefusedError for a body too large or too slow."""
        limit = self._limits.max_bytes
        declared = headers.get('content-length', '')
        announced = int(declared) if declared.isascii() and declared.isdigit() else 0
        until = time.monotonic() + _READ_TIMEOUT_S
        num_bytes, is_read = 0, False

        async def bounded() -> MutableMapping[str, Any]:
            nonlocal num_bytes, is_read
            if is_read:
                return await receive()
            message: MutableMapping[str, Any] = {}
            if announced <= limit:
                left = max(until - time.monotonic(), 0.001)
                try:
                    message = await asyncio.wait_for(receive(), left)
                except asyncio.TimeoutError:
                    problem = f'the request did not come within {_READ_TIMEOUT_S:.0f} s'
                    raise RefusedError(408, problem, {'connection': 'close'}) from None
                num_bytes += len(message.get('body', b''))
                is_read = not message.get('more_body', False)
                if num_bytes <= limit:
                    return message
            if not is_read:
                await _discard(headers, receive)
            size = f'{announced} bytes' if announced else f'more than {limit} bytes'
            raise RefusedError(
                413,
                f'the request is of {size}, the limit is {limit}: send a smaller file, or start '
                'msseg serve with a larger --max-bytes',
                {'connection': 'close'},
            )

        return bounded


async def _discard(headers: Headers, receive: Receive) -> None:
    """Read and forget what still comes of a refused request, unless it waits for an answer first.

    A browser that is answered while it sends shows no answer, only that the connection broke.
    """
    if 'expect' in headers:
        return
    until, left = time.monotonic() + _READ_TIMEOUT_S, _MOST_DISCARDED
    while left > 0:
        try:
            message = await asyncio.wait_for(receive(), max(until - time.monotonic(), 0.001))
        except asyncio.TimeoutError:
            return
        left -= len(message.get('body', b''))
        if not message.get('more_body', False):
            return

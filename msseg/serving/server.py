"""Run the server: open its address, announce it, end it gracefully."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from types import FrameType

import uvicorn

from msseg.serving.app import Worker, create_app
from msseg.serving.guard import Limits
from msseg.serving.labelling import Backend
from msseg.utils.errors import UserOSError
from msseg.utils.say import STDERR, say

_PATIENCE_S = 60
_FORCED_STATUS = 130


def serve(
    backend: Backend,
    limits: Limits,
    host: str = '127.0.0.1',
    port: int = 8000,
    allowed_hosts: tuple[str, ...] = (),
) -> None:
    """Answer requests until a signal asks to end.

    The first SIGINT or SIGTERM lets the requests that have come be answered, at most for a minute;
    a second one ends the process at once.

    Args:
        backend: The model.
        limits: How much is taken.
        host: The address to listen on; others than this machine's loopback let others in.
        port: The port; 0 for any that is free.
        allowed_hosts: Further names by which browsers may open the server.

    Raises:
        OSError: The address cannot be opened.
    """
    opened = open_address(host, port)
    address = ip_address(opened.getsockname()[0].partition('%')[0])
    names = {'localhost', host.lower(), *(name.lower() for name in allowed_hosts)}
    if not address.is_loopback:
        names.add(socket.gethostname().lower())
        say(
            f'warning: everyone who reaches {host} can use this model; there is no password and '
            'no encryption',
            STDERR,
        )
    worker = Worker(backend, limits.max_pixels)
    app = create_app(worker, limits, names, any_address=not address.is_loopback)
    config = uvicorn.Config(
        app, log_config=None, log_level='warning', access_log=False, ws='none', lifespan='off',
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=_PATIENCE_S,
    )  # fmt: skip
    server = uvicorn.Server(config)
    say(f'serving {backend.name} at {_url(opened, host)} (Ctrl-C ends)')
    with opened, _signals_for_server_alone():
        server.run(sockets=[opened])
    if server.force_exit:
        say('ended at once by a second signal', STDERR)
        os._exit(_FORCED_STATUS)
    worker.close()
    say(f'ended, {worker.num_labelled} images were labelled')


def open_address(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to an address.

    Raises:
        OSError: It is taken, or not one of this machine.
    """
    who = f'--host {host} --port {port}'
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family)
    except (OSError, OverflowError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        raise UserOSError(
            f'cannot be opened ({reason})',
            who=who,
            advice='take another --port, or --port 0 for any that is free',
        ) from None


def _url(opened: socket.socket, host: str) -> str:
    port = opened.getsockname()[1]
    shown = socket.gethostname() if host in ('', '0.0.0.0', '::') else host
    return f'http://{f"[{shown}]" if ":" in shown else shown}:{port}'


@contextmanager
def _signals_for_server_alone() -> Iterator[None]:
    """Let signals that the server has handled do nothing more: it raises them again at its end."""

    def ignore(number: int, frame: FrameType | None) -> None:
        pass

    stops = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, ignore) for number in stops}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Fetching a file over https: resumed, checked, renamed into place when it is whole.

By hand on the standard library: pooch and torch.hub do not resume, huggingface_hub knows its own
server only.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tqdm import tqdm

from msseg.utils.errors import UserOSError, UserValueError
from msseg.utils.folder_lock import hold_file
from msseg.utils.progress_bar import progress_bar
from msseg.utils.say import STDERR, say
from msseg.version import __version__
from msseg.weights.part import Part

MIRROR_VARIABLE = 'MSSEG_MIRROR'
_LOCK = '.download.lock'
_CHUNK = 1 << 20
_TIMEOUT_S = 60.0
_PAUSES_S = (1.0, 2.0, 4.0)  # after connections in a row that brought nothing
_MOST_CONNECTIONS = 200
_RETRIED = (408, 425, 429, 500, 502, 503, 504)
_SECURE = 'https'
_RESERVED = "%:/?#[]@!$&'()*+,;=~"  # what stays in an address; spaces and the like are quoted
_SHA256 = re.compile('[0-9a-f]{64}')


class DownloadError(UserOSError):
    """A file that could not be fetched."""


class _CutError(Exception):
    """A connection that ended too early; the next one goes on."""


class _StaleError(Exception):
    """What has arrived is not of the file that the server has now: begin again."""


def download(address: str, path: Path, digits: str = '', megabytes: float | None = None) -> None:
    """Fetch a file unless it is there.

    One process of a machine fetches into a folder at a time; the others wait. What has arrived lies
    in a hidden file next to `path` until it is whole, and another call goes on with it.

    Args:
        address: Its address, https only; ``$MSSEG_MIRROR`` may replace the server, see `mirrored`.
        path: Where to put it; the folder is made.
        digits: The first hexadecimal digits of its SHA-256; '' does not check them.
        megabytes: About how large it is, for the message at the beginning.

    Raises:
        DownloadError: It could not be fetched; `path` has not changed.
        ValueError: The address is not https.
    """
    real = quote(mirrored(address), safe=_RESERVED)
    check_secure(real, 'address')
    if path.is_file():
        return
    _make_folder(path.parent)

    def wait() -> None:
        say(f'waiting for another process that fetches weights into {path.parent}', STDERR)

    with hold_file(path.with_name(_LOCK), wait):
        if path.is_file():
            return
        size = '' if megabytes is None else f', about {megabytes:.4g} MB'
        say(f'fetching {real} to {path}{size}', STDERR)
        part = Part(path, real)
        was_begun = part.size > 0
        wrong = _complete(part, digits)
        if wrong and was_begun:  # what an earlier call has left may be of another file
            part.clear()
            wrong = _complete(part, digits)
        if wrong:
            part.clear()
            raise DownloadError(wrong)
        part.put_into_place()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _LOCK).touch()
    except OSError as error:
        raise DownloadError(
            f'{str(folder)!r}: {error.strerror}; set MSSEG_HOME to a folder that can be written'
        ) from error


def check_secure(address: str, what: str) -> None:
    """Raise ValueError unless an address is https."""
    if urlsplit(address).scheme != _SECURE:
        raise UserValueError(key=what, got=address, expected='one that starts with https://')


def mirrored(address: str) -> str:
    """Return the address at the user's mirror, if there is one.

    ``$MSSEG_MIRROR`` is ``https://MIRROR/FOLDER``, which has the files below the names of their
    servers; or pairs ``SERVER=https://MIRROR/FOLDER`` with commas, for those servers alone, whose
    files the folder has at the same paths.

    Raises:
        ValueError: The variable is neither.
    """
    setting = os.environ.get(MIRROR_VARIABLE, '').strip()
    parts = urlsplit(address)
    path = address.partition('://')[2].removeprefix(parts.netloc)
    for item in filter(None, map(str.strip, setting.split(','))):
        is_pair = '=' in item.partition('://')[0]
        server, _, base = item.partition('=') if is_pair else ('', '', item)
        if urlsplit(base).scheme != _SECURE or not urlsplit(base).hostname:
            raise UserValueError(
                key=MIRROR_VARIABLE,
                got=setting,
                expected="'https://MIRROR/FOLDER', or 'SERVER=https://MIRROR/FOLDER'",
            )
        if not server:
            return f'{base.rstrip("/")}/{parts.netloc}{path}'
        if server == parts.netloc:
            return base.rstrip('/') + path
    return address


def _complete(part: Part, digits: str) -> str:
    """Fetch what is missing; return what is wrong with the content, '' if nothing is."""
    redirects = _SecureRedirects()
    opener = _opener(redirects)
    pauses = list(_PAUSES_S)
    connections = 0
    with progress_bar(unit='B', unit_scale=True, desc=part.final.name) as bar:
        while part.total is None or part.size != part.total:
            before = part.size
            connections += 1
            try:
                _receive(opener, part, bool(digits), bar)
                break
            except _StaleError:
                part.clear()
                problem = 'the file changes while it is fetched'
            except _CutError as error:
                problem = str(error)
            if part.size > before and connections < _MOST_CONNECTIONS:
                pauses = list(_PAUSES_S)
                continue
            if not pauses or connections >= _MOST_CONNECTIONS:
                raise DownloadError(
                    f'{part.address}: {problem}; {_arrived(part)}; try again later, or put the '
                    f'file to {str(part.final)!r} yourself'
                )
            time.sleep(pauses.pop(0))
    found, wanted = part.sha256(), digits or redirects.sha256
    if found.startswith(wanted):
        return ''
    return (
        f'{part.address}: what arrived has a SHA-256 that begins with {found[: len(wanted)]}, '
        f'expected {wanted}; it is damaged or another file, and was removed; try again, or from '
        f'another {MIRROR_VARIABLE}; if its name has no digits of a hash, put it to '
        f'{str(part.final)!r} yourself'
    )


def _arrived(part: Part) -> str:
    if not part.size or not part.version:
        return 'nothing can be kept of it'
    total = '' if part.total is None else f' of {part.total:,}'
    return f'the {part.size:,}{total} bytes that arrived are kept for the next time'


def _receive(
    opener: urllib.request.OpenerDirector, part: Part, has_digits: bool, bar: tqdm
) -> None:
    """Connect once, and append what comes."""
    headers = {'User-Agent': f'msseg/{__version__}', 'Accept-Encoding': 'identity'}
    if part.size and part.version:
        headers |= {'Range': f'bytes={part.size}-', 'If-Range': part.version}
    request = urllib.request.Request(part.address, headers=headers)
    with _open(opener, request, part) as response:
        answer = _Answer.of(response, part)
        if answer.start == 0:
            part.clear()
        if answer.total == 0:
            raise DownloadError(f'{part.address}: the server sends an empty file')
        if answer.total is None and not has_digits and not answer.is_chunked:
            raise DownloadError(
                f'{part.address}: the server does not say how long the file is, so that a cut one '
                f'would look whole; put it to {str(part.final)!r} yourself'
            )
        part.begin(answer.version, answer.total)
        bar.total = answer.total
        bar.update(answer.start - bar.n)
        _check_room(part)
        _append(response, part, bar)
    if part.total is not None and part.size != part.total:
        raise _CutError(f'the server announced {part.total:,} bytes and sent {part.size:,}')


@dataclass(frozen=True)
class _Answer:
    """What the head of a response says.

    Attributes:
        start: The place of the first byte.
        total: The bytes of the whole file.
        version: The file's ETag or date, which must be the same to go on; '' where it has none.
        is_chunked: Whether the content has an end of its own.
    """

    start: int
    total: int | None
    version: str
    is_chunked: bool

    @classmethod
    def of(cls, response: http.client.HTTPResponse, part: Part) -> _Answer:
        """Read the head of a response, and refuse what is not the file."""
        headers: Message = response.headers
        encoding = headers.get('Content-Encoding', 'identity')
        kind = headers.get_content_type()
        if encoding != 'identity' or kind == 'text/html':
            what = 'a web page' if kind == 'text/html' else f'content encoded as {encoding!r}'
            raise DownloadError(
                f'{part.address}: the server answers with {what}, expected a file of weights; look '
                f'at the address in a browser, and put the file to {str(part.final)!r} yourself'
            )
        etag = headers.get('ETag', '')
        version = headers.get('Last-Modified', '') if etag.startswith('W/') or not etag else etag
        is_chunked = 'chunked' in headers.get('Transfer-Encoding', '').lower()
        length = headers.get('Content-Length', '')
        if response.status == http.HTTPStatus.PARTIAL_CONTENT:
            start, total = _read_range(headers.get('Content-Range', ''))
            if start != part.size or part.total not in (None, total):
                raise _StaleError
            return cls(start, total, part.version, is_chunked)
        return cls(0, int(length) if length.isdecimal() else None, version, is_chunked)


def _read_range(text: str) -> tuple[int, int | None]:
    """Return start and total of ``bytes START-END/TOTAL``."""
    numbers = text.removeprefix('bytes').strip()
    start, total = numbers.partition('-')[0], numbers.rpartition('/')[2]
    if not start.isdecimal():
        raise _StaleError
    return int(start), int(total) if total.isdecimal() else None


def _open(
    opener: urllib.request.OpenerDirector, request: urllib.request.Request, part: Part
) -> http.client.HTTPResponse:
    """Send a request; raise _CutError where another one may succeed."""
    try:
        return opener.open(request, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and part.size:
            raise _StaleError from error
        answer = f'the server answers {error.code} ({error.reason})'
        if error.code in _RETRIED:
            raise _CutError(answer) from error
        raise DownloadError(
            f'{part.address}: {answer}; look whether the file has moved, and put it to '
            f'{str(part.final)!r} yourself'
        ) from error
    except urllib.error.URLError as error:
        raise _as_failure(error.reason, part) from error
    except (OSError, http.client.HTTPException) as error:
        raise _as_failure(error, part) from error


def _as_failure(reason: object, part: Part) -> Exception:
    server = urlsplit(part.address).netloc
    if isinstance(reason, DownloadError):
        return reason
    if isinstance(reason, ssl.SSLCertVerificationError):
        return DownloadError(
            f'{part.address}: the certificate of {server} is not accepted '
            f'({reason.verify_message}); if it is of your company, name the file of its '
            'certificates in SSL_CERT_FILE'
        )
    if isinstance(reason, socket.gaierror):
        return DownloadError(
            f'{part.address}: the server {server!r} cannot be found from this machine '
            f'({reason.strerror}); set https_proxy or {MIRROR_VARIABLE}, or put the file to '
            f'{str(part.final)!r} yourself'
        )
    return _CutError(f'the connection failed ({reason or type(reason).__name__})')


def _check_room(part: Part) -> None:
    if part.total is None:
        return
    free, needed = shutil.disk_usage(part.final.parent).free, part.total - part.size
    if free < needed:
        raise DownloadError(
            f'{str(part.final.parent)!r} has {free / 1e6:,.1f} MB free, and {needed / 1e6:,.1f} MB '
            'of the file are still to come; make room, or set MSSEG_HOME to another disk'
        )


def _append(response: http.client.HTTPResponse, part: Part, bar: tqdm) -> None:
    with part.path.open('ab', buffering=0) as file:
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _CutError(
                    f'the connection broke ({error or type(error).__name__})'
                ) from error
            if not chunk:
                return
            bar.update(len(chunk))
            rest = memoryview(chunk)
            while rest:
                try:
                    rest = rest[file.write(rest) :]
                except OSError as error:
                    raise DownloadError(
                        f'{str(part.path)!r}: {error.strerror}; {_arrived(part)}; make room, or '
                        'set MSSEG_HOME to another disk'
                    ) from error


class _SecureRedirects(urllib.request.HTTPRedirectHandler):
    """Follow a server to another address, if that is https.

    Attributes:
        sha256: What Hugging Face's server says of the file that it leads to; '' if nothing.
    """

    sha256 = ''

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != _SECURE:
            raise DownloadError(
                f'{req.full_url}: the server leads to {newurl}, which is not https: refused; get '
                'the file from another place'
            )
        linked = headers.get('X-Linked-Etag', '').strip('"')
        if _SHA256.fullmatch(linked):
            self.sha256 = linked
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(redirects: _SecureRedirects) -> urllib.request.OpenerDirector:
    """Return what opens https addresses and nothing else, with the system's certificates."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        redirects,
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener

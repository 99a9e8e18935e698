"""A server of files on the loopback address, over https, with the faults of real ones."""

from __future__ import annotations

import http.server
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class File:
    """A file, and how the server behaves when it is asked for.

    Attributes:
        content: The bytes.
        cuts: After how many bytes each of the first connections ends.
        announced: The length that the head states, in place of the content's.
        statuses: The status of each of the first answers, in place of a file.
        headers: More lines of the head.
        etag: What names the version; None sends no such line.
        takes_ranges: Whether a part can be asked for.
        chunked: Send in chunks, without a length.
        length: Whether the length is stated.
        redirect: Where to go instead.
        delay: What is called before the content is sent.
    """

    content: bytes = b''
    cuts: list[int] = field(default_factory=list)
    announced: int | None = None
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"1"'
    takes_ranges: bool = True
    chunked: bool = False
    length: bool = True
    redirect: str = ''
    delay: Callable[[], object] = lambda: None


@dataclass
class Server:
    """A running server: ``files`` by path, and the ``asked`` (path, range) so far."""

    address: str
    files: dict[str, File] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def ranges(self) -> list[str]:
        """The ranges that were asked for, '' for whole files."""
        return [wanted for _, wanted in self.asked]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate of localhost that is signed by itself; return it and its key."""
    certificate, key = folder / 'certificate.pem', folder / 'key.pem'
    program = shutil.which('openssl')
    assert program, 'these tests make a certificate with openssl, which is not installed'
    options = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2'
    names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
    files = ['-keyout', str(key), '-out', str(certificate)]
    subprocess.run([program, 'req', *options.split(), *names, *files], check=True,
                   capture_output=True)  # fmt: skip
    return certificate, key


@contextmanager
def serving(certificate: tuple[Path, Path] | None) -> Iterator[Server]:
    """Serve until the block ends; without a certificate over plain http."""
    httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), _Handler)
    scheme = 'http'
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        scheme = 'https'
    httpd.handle_error = lambda *_: None  # clients that hang up
    httpd.served = Server(f'{scheme}://localhost:{httpd.server_address[1]}')
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield httpd.served
    finally:
        httpd.shutdown()
        httpd.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        served = self.server.served
        wanted = self.headers.get('Range', '')
        served.asked.append((self.path, wanted))
        file = served.files.get(self.path)
        self.close_connection = True
        if file is None or file.statuses:
            self.send_error(404 if file is None else file.statuses.pop(0))
            return
        if file.redirect:
            self.send_response(302)
            self._end_head({'Location': file.redirect, 'Content-Length': '0', **file.headers})
            return
        self._send(file, wanted)

    def _send(self, file, wanted):
        total, start = len(file.content), 0
        if wanted and file.takes_ranges and self.headers.get('If-Range') == file.etag:
            start = int(wanted.removeprefix('bytes=').rstrip('-'))
            if start >= total:
                self.send_response(416)
                self._end_head({'Content-Range': f'bytes */{total}', 'Content-Length': '0'})
                return
        self.send_response(206 if start else 200)
        head = dict(file.headers)
        if file.etag is not None:
            head['ETag'] = file.etag
        if start:
            head['Content-Range'] = f'bytes {start}-{total - 1}/{total}'
        if file.chunked:
            head['Transfer-Encoding'] = 'chunked'
        elif file.length:
            head['Content-Length'] = str((file.announced or total) - start)
        self._end_head(head)
        file.delay()
        body = file.content[start:]
        if file.cuts:
            body = body[: file.cuts.pop(0)]
        elif file.chunked:
            self.wfile.write(b'%x\r\n%s\r\n0\r\n\r\n' % (len(body), body))
            return
        self.wfile.write(body)

    def _end_head(self, lines):
        for name, value in lines.items():
            self.send_header(name, value)
        self.send_header('Connection', 'close')
        self.end_headers()

    def log_message(self, *_):
        pass

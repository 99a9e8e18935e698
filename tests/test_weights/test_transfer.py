"""Files are fetched whole, checked, or not at all."""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from msseg.weights.transfer import DownloadError, download, mirrored
from tests.https_server import File, serving

CONTENT = bytes(range(256)) * 40
DIGITS = hashlib.sha256(CONTENT).hexdigest()[:8]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'home' / 'w.pth'


def leftovers(path):
    """The files next to a file, but the lock."""
    return sorted(each.name for each in path.parent.iterdir() if each.name != '.download.lock')


def refused(server, path, file, words, digits=DIGITS, kept=()):
    """A file cannot be fetched: some words of the message, and what stays."""
    server.files['/w.pth'] = file
    with pytest.raises(DownloadError) as caught:
        download(f'{server.address}/w.pth', path, digits)
    for word in words:
        assert word in str(caught.value)
    assert '\n' not in str(caught.value)
    assert not path.exists()
    assert leftovers(path) == sorted(kept)


def test_a_file_arrives_under_its_name_and_nothing_else_stays(server, path, capfd):
    server.files['/w.pth'] = File(CONTENT)
    download(f'{server.address}/w.pth', path, DIGITS, 0.01)
    assert path.read_bytes() == CONTENT
    assert leftovers(path) == ['w.pth']
    assert f'fetching {server.address}/w.pth to {path}, about 0.01 MB' in capfd.readouterr().err
    download(f'{server.address}/w.pth', path, DIGITS)  # it is there
    assert len(server.asked) == 1


def test_a_cut_connection_goes_on_where_it_ended(server, path):
    server.files['/w.pth'] = File(CONTENT, cuts=[1000, 3000, 1])
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT
    assert server.ranges() == ['', 'bytes=1000-', 'bytes=4000-', 'bytes=4001-']


def test_another_call_goes_on_with_what_has_arrived(server, path):
    address = f'{server.address}/w.pth'
    kept = ['.w.pth.part', '.w.pth.part.json']
    file = File(CONTENT, cuts=[1000, 0, 0, 0])
    refused(server, path, file, ['the 1,000 of 10,240 bytes that arrived are kept'], kept=kept)
    download(address, path, DIGITS)
    assert path.read_bytes() == CONTENT
    assert server.ranges()[-1] == 'bytes=1000-'
    assert leftovers(path) == ['w.pth']


def test_a_whole_part_that_was_not_named_yet_is_not_fetched_again(server, path):
    address = f'{server.address}/w.pth'
    path.parent.mkdir()
    path.with_name('.w.pth.part').write_bytes(CONTENT)
    note = {'address': address, 'version': '"1"', 'total': len(CONTENT)}
    path.with_name('.w.pth.part.json').write_text(json.dumps(note))
    download(address, path, DIGITS)
    assert path.read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize('note', ['', '[]', '{"address": "https://other/w.pth", "version": "1"}'])
def test_a_part_of_unknown_origin_is_thrown_away(server, path, note):
    server.files['/w.pth'] = File(CONTENT)
    path.parent.mkdir()
    path.with_name('.w.pth.part').write_bytes(b'other')
    path.with_name('.w.pth.part.json').write_text(note)
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT
    assert server.ranges() == ['']


@pytest.mark.parametrize(
    'file',
    [
        File(CONTENT, cuts=[1000], takes_ranges=False),  # sends the whole file again
        File(CONTENT, cuts=[1000], etag=None),  # cannot say whether it is the same file
        File(CONTENT, cuts=[1000], etag='W/"1"'),  # nor by a weak name
    ],
)
def test_without_ranges_it_begins_again(server, path, file):
    server.files['/w.pth'] = file
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT
    assert len(server.asked) == 2


def test_a_file_that_changes_meanwhile_is_not_mixed(server, path):
    other = b'x' * len(CONTENT)

    def change():
        if len(server.asked) == 1:
            server.files['/w.pth'] = File(CONTENT, etag='"2"')

    server.files['/w.pth'] = File(other, cuts=[1000], delay=change)
    download(f'{server.address}/w.pth', path)
    assert path.read_bytes() == CONTENT


def test_what_an_earlier_call_left_of_another_content_is_replaced(server, path):
    kept = ['.w.pth.part', '.w.pth.part.json']
    file = File(b'x' * len(CONTENT), cuts=[1000, 0, 0, 0])
    refused(server, path, file, ['announced 10,240 bytes'], kept=kept)
    server.files['/w.pth'] = File(CONTENT)  # under the same name of the version
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT


def test_another_content_is_refused_and_removed(server, path):
    words = ['a SHA-256 that begins with', f'expected {DIGITS}', 'was removed', '/w.pth']
    refused(server, path, File(CONTENT[:-1] + b'x'), words)


@pytest.mark.parametrize('announced', [len(CONTENT) + 1, 10**15])
def test_a_length_that_never_comes(server, path, announced):
    kept = ['.w.pth.part', '.w.pth.part.json']
    file = File(CONTENT, announced=announced, takes_ranges=False)
    small = announced < 10**15
    words = [f'announced {announced:,} bytes and sent 10,240'] if small else ['make room']
    refused(server, path, file, words, kept=kept if small else kept[1:])


def test_a_length_that_is_too_short_cuts_the_file(server, path):
    refused(server, path, File(CONTENT, announced=500), ['SHA-256', DIGITS])


def test_without_a_length_only_a_hash_or_chunks_show_the_end(server, path):
    file = File(CONTENT, length=False)
    refused(server, path, file, ['does not say how long the file is'], digits='')
    download(f'{server.address}/w.pth', path, DIGITS)
    chunked = path.with_name('c.pth')
    server.files['/c.pth'] = File(CONTENT, chunked=True)
    download(f'{server.address}/c.pth', chunked)
    assert path.read_bytes() == chunked.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ('file', 'words'),
    [
        (File(b''), ['empty file']),
        (File(CONTENT, headers={'Content-Type': 'text/html; charset=utf-8'}), ['a web page']),
        (File(CONTENT, headers={'Content-Encoding': 'gzip'}), ["'gzip'"]),
        (File(CONTENT, statuses=[403]), ['answers 403', 'yourself']),
        (File(CONTENT, statuses=[503] * 9), ['answers 503', 'try again later']),
    ],
)
def test_what_is_no_file_is_refused(server, path, file, words):
    refused(server, path, file, words, digits='')


def test_a_file_that_is_not_there(server, path):
    with pytest.raises(DownloadError, match=r'answers 404 .*has moved.*yourself'):
        download(f'{server.address}/no.pth', path)
    assert len(server.asked) == 1


def test_a_server_that_is_busy_is_asked_again(server, path):
    server.files['/w.pth'] = File(CONTENT, statuses=[503, 429])
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT


def test_redirects_lead_to_https_only(server, path):
    server.files['/there.pth'] = File(CONTENT)
    server.files['/w.pth'] = File(redirect=f'{server.address}/there.pth')
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT
    with serving(None) as plain:
        plain.files['/w.pth'] = File(CONTENT)
        other = path.with_name('other.pth')
        server.files['/other.pth'] = File(redirect=f'{plain.address}/w.pth')
        with pytest.raises(DownloadError, match='which is not https: refused'):
            download(f'{server.address}/other.pth', other, DIGITS)
        assert plain.asked == []
        assert not other.exists()


def test_hugging_faces_server_states_the_hash_before_it_leads_on(server, path):
    server.files['/there'] = File(CONTENT[:-1] + b'x')
    linked = {'X-Linked-Etag': f'"{hashlib.sha256(CONTENT).hexdigest()}"'}
    file = File(redirect=f'{server.address}/there', headers=linked)
    refused(server, path, file, ['SHA-256', 'was removed'], digits='')
    server.files['/there'] = File(CONTENT)
    download(f'{server.address}/w.pth', path)
    assert path.read_bytes() == CONTENT


def test_a_server_without_a_known_certificate_is_refused(server, path, monkeypatch):
    monkeypatch.delenv('SSL_CERT_FILE')
    words = ['the certificate of localhost', 'is not accepted', 'SSL_CERT_FILE']
    refused(server, path, File(CONTENT), words)
    assert server.asked == []


@pytest.mark.parametrize('address', ['http://localhost/w.pth', 'ftp://localhost/w', 'file:///etc'])
def test_addresses_are_https_only(path, address):
    with pytest.raises(ValueError, match='expected one that starts with https://'):
        download(address, path)
    assert not path.parent.exists()


def test_odd_characters_of_an_address_are_quoted(server, path):
    server.files['/a%20%C3%A9%25.pth'] = File(CONTENT)
    download(f'{server.address}/a é%25.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize('home', ['file', 'file/folder'])
def test_a_folder_that_cannot_be_made_is_named(server, tmp_path, home):
    (tmp_path / 'file').touch()
    with pytest.raises(DownloadError, match=r'file.*set MSSEG_HOME to a folder that can be writ'):
        download(f'{server.address}/w.pth', tmp_path / home / 'w.pth')


def test_an_unreachable_server_is_named(server, path):
    with pytest.raises(DownloadError, match=r'the connection failed.*nothing can be kept'):
        download('https://localhost:1/w.pth', path)


Usage = namedtuple('Usage', 'total used free')


def test_a_disk_that_is_too_small_is_seen_before(server, path, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: Usage(10**6, 10**6, 100))
    refused(server, path, File(CONTENT), ['MB free', 'make room', 'MSSEG_HOME'],
            kept=['.w.pth.part.json'])  # fmt: skip


@contextlib.contextmanager
def small_files():
    """A file cannot grow beyond some bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_is_full_keeps_what_has_arrived(server, path):
    with small_files():
        words = ['File too large', '4,000 of 10,240 bytes', 'make room']
        refused(server, path, File(CONTENT), words,
                kept=['.w.pth.part', '.w.pth.part.json'])  # fmt: skip
    download(f'{server.address}/w.pth', path, DIGITS)
    assert path.read_bytes() == CONTENT
    assert server.ranges()[-1] == 'bytes=4000-'


PROGRAM = """
import sys
from pathlib import Path
from msseg.weights.transfer import download
download(sys.argv[1], Path(sys.argv[2]), sys.argv[3])
print(Path(sys.argv[2]).stat().st_size)
"""


def test_of_two_processes_one_fetches_and_the_other_waits(server, path):
    begun, go_on = threading.Event(), threading.Event()

    def wait():
        begun.set()
        go_on.wait(20)

    server.files['/w.pth'] = File(CONTENT, delay=wait)
    command = [sys.executable, '-c', PROGRAM, f'{server.address}/w.pth', str(path), DIGITS]
    environment = {**os.environ, 'PYTHONPATH': str(ROOT)}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    first = subprocess.Popen(command, **pipes)
    assert begun.wait(20)
    second = subprocess.Popen(command, **pipes)
    assert 'waiting for another process' in second.stderr.readline()
    go_on.set()
    assert [each.communicate(timeout=20)[0] for each in (first, second)] == ['10240\n'] * 2
    assert len(server.asked) == 1
    assert leftovers(path) == ['w.pth']


@pytest.mark.parametrize(
    ('mirror', 'expected'),
    [
        ('', 'https://a.org/x/w.pth?v=1'),
        ('https://m.org', 'https://m.org/a.org/x/w.pth?v=1'),
        ('https://m.org/weights/', 'https://m.org/weights/a.org/x/w.pth?v=1'),
        ('a.org=https://m.org/a', 'https://m.org/a/x/w.pth?v=1'),
        ('b.org=https://m.org/b, a.org=https://n.org', 'https://n.org/x/w.pth?v=1'),
        ('b.org=https://m.org', 'https://a.org/x/w.pth?v=1'),
    ],
)
def test_a_mirror_replaces_servers(monkeypatch, mirror, expected):
    monkeypatch.setenv('MSSEG_MIRROR', mirror)
    assert mirrored('https://a.org/x/w.pth?v=1') == expected


@pytest.mark.parametrize(
    'mirror', ['m.org', 'http://m.org', '/a/folder', 'a.org=http://m', 'https://']
)
def test_a_mirror_is_https_too(monkeypatch, path, mirror):
    monkeypatch.setenv('MSSEG_MIRROR', mirror)
    with pytest.raises(ValueError, match="MSSEG_MIRROR is .*expected 'https://MIRROR/FOLDER'"):
        download('https://a.org/w.pth', path)

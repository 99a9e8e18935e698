"""A server with files, whose certificate this process and its children accept."""

import pytest

from tests.https_server import make_certificate, serving


@pytest.fixture(scope='session')
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp('certificate'))


@pytest.fixture
def server(certificate, monkeypatch, tmp_path):
    monkeypatch.setenv('SSL_CERT_FILE', str(certificate[0]))
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('no_proxy', 'localhost')
    for name in ('MSSEG_MIRROR', 'MSSEG_DOWNLOAD'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr('msseg.weights.transfer._PAUSES_S', (0.0, 0.0))
    with serving(certificate) as running:
        yield running

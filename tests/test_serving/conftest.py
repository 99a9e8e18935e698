"""A served model, in a process of its own."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.test_deploy.onnx_file import write_onnx

ROOT = Path(__file__).parents[2]


class Served:
    """A running server.

    Attributes:
        process: The process.
        address: Such as ``http://127.0.0.1:34567``.
        port: Its port.
        log: The file of what it prints.
    """

    def __init__(self, folder, words):
        self.log = folder / f'server_{time.monotonic_ns()}.log'
        environment = {**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}
        with self.log.open('w') as log:
            self.process = subprocess.Popen(
                [sys.executable, *words], stdout=log, stderr=log, env=environment, cwd=folder
            )
        until = time.monotonic() + 60
        while not (found := re.search(r' at (http://.*:(\d+)) ', self.output)):
            if self.process.poll() is not None or time.monotonic() > until:
                self.end()
                raise RuntimeError(self.output)
            time.sleep(0.05)
        self.address, self.port = found[1], int(found[2])

    @property
    def output(self):
        return self.log.read_text()

    def end(self):
        """Ask it to end; return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


@contextlib.contextmanager
def serving(folder, *words):
    served = Served(folder, words)
    try:
        yield served
    finally:
        served.end()


@pytest.fixture(scope='session')
def served(tmp_path_factory):
    """``msseg serve`` with a network that is worked out by hand, of classes earth and plate."""
    folder = tmp_path_factory.mktemp('served')
    write_onnx(folder / 'a.onnx', size=(24, 32), scale=(32, 24))
    words = ['-m', 'msseg', 'serve', 'a.onnx', '--port', '0', '--max-bytes', '100000']
    with serving(folder, *words, '--max-pixels', '5000', '--rate', '100000') as served:
        yield served

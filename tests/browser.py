"""Headless Chromium, spoken to over a pipe: what a page does, without further packages."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NAMES = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')
_TIMEOUT_S = 120
# DevTools' pipe is file descriptors 3 and 4
_START = """
import fcntl, os, sys
given = [fcntl.fcntl(int(text), fcntl.F_DUPFD, 10) for text in sys.argv[1:3]]
for number, descriptor in zip((3, 4), given):
    os.dup2(descriptor, number)
os.execvp(sys.argv[3], sys.argv[3:])
"""


def find_chromium():
    """Returns the program, None where there is none. The environment's CHROMIUM may name it."""
    return os.environ.get('CHROMIUM') or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """A browser with one open page.

    Args:
        program: From `find_chromium`.
        *options: More of its command line.

    Attributes:
        requests: Addresses that the page asked for, itself and what stands in it left out.
        complaints: Errors and warnings of its console, and exceptions of its scripts.
    """

    def __init__(self, program, *options):
        self._profile = tempfile.mkdtemp(prefix='msseg-browser-')
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, '-S', '-c', _START, str(to_browser), str(from_browser), program,
             '--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
             '--no-first-run', '--hide-scrollbars', '--disable-background-networking',
             *options, f'--user-data-dir={self._profile}', '--remote-debugging-pipe',
             'about:blank'],
            pass_fds=(to_browser, from_browser), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_browser)
        os.close(from_browser)
        self._buffer, self._count, self._events = b'', 0, []
        self.requests, self.complaints = [], []
        target = self._call('Target.createTarget', url='about:blank')['targetId']
        self._session = self._call('Target.attachToTarget', targetId=target, flatten=True)[
            'sessionId'
        ]
        for domain in ('Page', 'Network', 'Runtime', 'Log'):
            self.call(f'{domain}.enable')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._write)
        os.close(self._read)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, path, width=1280, height=900, dark=False):
        """Loads a file, or the page of an http address, and waits for it."""
        self.call('Emulation.setDeviceMetricsOverride', width=width, height=height,
                  deviceScaleFactor=1, mobile=False)  # fmt: skip
        scheme = 'dark' if dark else 'light'
        self.call('Emulation.setEmulatedMedia',
                  features=[{'name': 'prefers-color-scheme', 'value': scheme}])  # fmt: skip
        self._events.clear()
        is_file = not str(path).startswith('http://')
        address = Path(path).resolve().as_uri() if is_file else path
        self.call('Page.navigate', url=address)
        while not any(event['method'] == 'Page.loadEventFired' for event in self._events):
            self._take()
        self.run('new Promise(done => setTimeout(done, 300))')  # what scripts do afterwards
        self._sort(address)

    def run(self, script):
        """Returns what JavaScript evaluates to."""
        answer = self.call('Runtime.evaluate', expression=script, returnByValue=True,
                           awaitPromise=True)  # fmt: skip
        if 'exceptionDetails' in answer:
            raise RuntimeError(f'{script!r}: {answer["exceptionDetails"]}')
        return answer['result'].get('value')

    def wait_for(self, script):
        """Waits until JavaScript evaluates to something true, and returns it."""
        until = time.monotonic() + _TIMEOUT_S
        while not (value := self.run(script)):
            if time.monotonic() > until:
                raise TimeoutError(f'{script!r} is still {value!r}')
            time.sleep(0.05)
        return value

    def wait_for_files(self, paths):
        """Waits until downloads are there as a whole."""
        until = time.monotonic() + _TIMEOUT_S
        while not all(path.is_file() and path.stat().st_size for path in paths):
            if time.monotonic() > until:
                raise TimeoutError(f'{[str(path) for path in paths]} are not there')
            self.run('1')  # the browser's events are read meanwhile
            time.sleep(0.05)

    def choose_file(self, selector, path):
        """Puts a file into an input, as a user does."""
        found = self.call('Runtime.evaluate', expression=f'document.querySelector({selector!r})')
        self.call('DOM.setFileInputFiles', files=[str(Path(path).resolve())],
                  objectId=found['result']['objectId'])  # fmt: skip

    def sort(self):
        """Adds what has happened since `open` to `requests` and `complaints`."""
        self._sort(None)

    def screenshot(self, path, whole=False, clip=None):
        """Writes a PNG or JPEG of what is seen, of the whole page, or of (x, y, w, h) of it."""
        options = {'format': 'jpeg' if Path(path).suffix == '.jpg' else 'png'}
        if clip:
            x, y, width, height = clip
            options['clip'] = {'x': x, 'y': y, 'width': width, 'height': height, 'scale': 1}
        data = self.call('Page.captureScreenshot', captureBeyondViewport=whole or bool(clip),
                         **options)['data']  # fmt: skip
        Path(path).write_bytes(base64.b64decode(data))

    def call(self, method, **parameters):
        """Calls a method of the DevTools protocol on the page."""
        return self._call(method, self._session, **parameters)

    def _sort(self, address):
        for event in self._events:
            method, what = event['method'], event['params']
            if method == 'Network.requestWillBeSent':
                url = what['request']['url']
                if url != address and not url.startswith('data:'):
                    self.requests.append(url)
            elif method == 'Log.entryAdded' and what['entry']['level'] in ('error', 'warning'):
                self.complaints.append(what['entry']['text'])
            elif method == 'Runtime.consoleAPICalled' and what['type'] in ('error', 'warning'):
                self.complaints.append(str([a.get('value') for a in what['args']]))
            elif method == 'Runtime.exceptionThrown':
                self.complaints.append(what['exceptionDetails']['exception']['description'])
        self._events.clear()

    def _call(self, method, session=None, **parameters):
        self._count += 1
        number = self._count
        message = {'id': number, 'method': method, 'params': parameters}
        if session:
            message['sessionId'] = session
        os.write(self._write, json.dumps(message).encode() + b'\0')
        while True:
            answer = self._take()
            if answer.get('id') == number:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']

    def _take(self):
        until = time.monotonic() + _TIMEOUT_S
        while b'\0' not in self._buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([self._read], [], [], left)[0]:
                raise TimeoutError(f'Chromium said nothing for {_TIMEOUT_S} s')
            data = os.read(self._read, 1 << 20)
            if not data:
                raise ConnectionError(f'Chromium ended, status {self._process.wait()}')
            self._buffer += data
        text, self._buffer = self._buffer.split(b'\0', 1)
        answer = json.loads(text)
        if 'method' in answer:
            self._events.append(answer)
        return answer

"""What all tests share."""

import functools
import gc
import inspect
import types

import mindspore as ms
import pytest

from msseg.utils.device import setup_device
from msseg.utils.logging import close_logging
from tests.browser import Browser, find_chromium


def pytest_configure():
    """Build networks faster: MindSpore 2.8 inspects the constructor of each operator it makes."""
    inspect.signature = _knowing_those_of_mindspore(inspect.signature)


def _knowing_those_of_mindspore(signature):
    known = functools.cache(signature)

    def look_up(something, **options):
        is_function = isinstance(something, types.FunctionType) and not options
        if is_function and something.__module__.startswith('mindspore.'):
            return known(something)
        return signature(something, **options)

    return look_up


def pytest_collection_finish():
    """Compile faster: MindSpore collects garbage before each graph, and what is there is none."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope='session')
def _cpu():
    """Choose the device before any test computes: MindSpore refuses it afterwards."""
    setup_device('CPU')


@pytest.fixture(autouse=True, scope='module')
def _same_weights_in_module(_cpu):
    """What a module's fixtures draw is the same in every run."""
    ms.set_seed(0)


@pytest.fixture(autouse=True)
def _same_weights(_same_weights_in_module):
    """Random weights are the same in every run: a failure is seen again, and no run is unlucky."""
    ms.set_seed(0)


@pytest.fixture(autouse=True)
def _mode_of_users(_cpu):
    """Every test starts in graph mode, which is what users run."""
    ms.set_context(mode=ms.GRAPH_MODE)


@pytest.fixture(autouse=True)
def _no_logging_left():
    """No test inherits the log handlers of another, whose streams pytest has closed."""
    yield
    close_logging()


@pytest.fixture(scope='module')
def browser():
    """A headless browser, with a camera that shows a test picture."""
    program = find_chromium()
    if program is None:
        pytest.skip('no Chromium on this machine: apt-get install chromium, or name it in CHROMIUM')
    camera = ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream']
    with Browser(program, *camera) as browser:
        yield browser

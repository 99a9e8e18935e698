"""What all tests share."""

import mindspore as ms
import pytest

from msseg.utils.device import setup_device


@pytest.fixture(autouse=True, scope='session')
def _cpu():
    """Choose the device before any test computes: MindSpore refuses it afterwards."""
    setup_device('CPU')


@pytest.fixture(autouse=True)
def _mode_of_users(_cpu):
    """Every test starts in graph mode, which is what users run."""
    ms.set_context(mode=ms.GRAPH_MODE)

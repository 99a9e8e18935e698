import mindspore as ms
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _pynative_and_seed(_mode_of_users):
    mode = ms.get_context('mode')
    ms.set_context(mode=ms.PYNATIVE_MODE)
    ms.set_seed(0)
    np.random.seed(0)
    yield
    ms.set_context(mode=mode)


@pytest.fixture
def graph_mode():
    ms.set_context(mode=ms.GRAPH_MODE)
    yield
    ms.set_context(mode=ms.PYNATIVE_MODE)

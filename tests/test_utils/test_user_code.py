"""Errors of a user's own code: their message and place, on one line."""

import importlib.util
import os
import re
import sys

import mindspore as ms
import numpy as np
import pytest

from msseg.config import Config
from msseg.datasets.pipelines import Compose
from msseg.datasets.worker_process import pack_error, raise_packed
from msseg.utils.cli import run_main
from msseg.utils.user_code import describe_error

PARTS = """
import mindspore as ms
from mindspore import nn, ops


def divide(a):
    return a / 0


def add(a):
    return a + 'b'


def refuse(a):
    raise ValueError('I want no a')


class Attribute(nn.Cell):
    def construct(self, x):
        return x.no_such_method()


class Raised(nn.Cell):
    def construct(self, x):
        raise ValueError('seven channels are wanted')


class Shapes(nn.Cell):
    def construct(self, x):
        return x + ops.zeros((3, 5), ms.float32)


def leave(a):
    raise SystemExit(0)


def close(a):
    raise GeneratorExit


def stop(a):
    raise StopIteration
"""


@pytest.fixture
def parts(tmp_path, monkeypatch):
    path = tmp_path / 'my_parts.py'
    path.write_text(PARTS)
    spec = importlib.util.spec_from_file_location('my_parts', path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, 'my_parts', module)
    spec.loader.exec_module(module)
    return module


def caught(function, argument):
    """Return what a part raises that this package calls."""
    try:
        Compose([function])(argument)
    except Exception as error:
        return error
    raise AssertionError('it did not fail')


def test_error_in_code_that_this_package_did_not_call_is_not_told(parts):
    with pytest.raises(ZeroDivisionError) as raised:
        parts.divide(1)
    assert describe_error(raised.value) is None


def test_error_in_python_names_file_and_line(parts, tmp_path, monkeypatch):
    expected = 'ZeroDivisionError: division by zero ({}, line 7)'
    assert describe_error(caught(parts.divide, 1)) == expected.format(tmp_path / 'my_parts.py')
    monkeypatch.chdir(tmp_path)
    assert describe_error(caught(parts.divide, 1)) == expected.format('my_parts.py')


def test_message_of_a_users_own_stays_as_it_is(parts):
    assert describe_error(caught(parts.refuse, 1)) is None
    assert 'my_parts.py, line 11' in describe_error(caught(parts.add, 1))


def test_an_error_whose_message_fails_is_described_all_the_same(tmp_path, capsys):
    path = tmp_path / 'config.py'
    path.write_text('class E(Exception):\n def __str__(self):\n  raise SystemExit\nraise E\n')
    with pytest.raises(SystemExit) as end:
        run_main(lambda: Config.fromfile(path))
    assert end.value.code == 1
    line = f'error: {path}, line 4: E: (its message cannot be shown: SystemExit)\n'
    assert capsys.readouterr().err == line


def test_error_in_a_loader_worker_names_file_and_line(parts):
    error = caught(raise_packed, pack_error(caught(parts.divide, 1)))
    assert describe_error(error).endswith('my_parts.py, line 7)')


def test_error_in_this_package_or_below_it_is_not_the_users():
    assert describe_error(caught(raise_packed, np.zeros(3, np.uint8))) is None


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('Attribute', "AttributeError: 'Tensor' object has no attribute 'no_such_method' ({}"),
        ('Raised', 'seven channels are wanted ({}, line 25)'),
        ('Shapes', "For 'Add', input1.shape and input2.shape need to broadcast"),
    ],
)  # fmt: skip
def test_error_while_a_graph_is_compiled(parts, tmp_path, monkeypatch, name, expected):
    monkeypatch.setenv('MS_OM_PATH', str(tmp_path / 'reports'))
    ms.set_context(mode=ms.GRAPH_MODE)
    error = caught(getattr(parts, name)(), ms.Tensor(np.ones((2, 4), np.float32)))
    told = describe_error(error)
    assert told.startswith(expected.format(tmp_path / 'my_parts.py'))
    assert 'my_parts.py, line' in told and '\n' not in told and 'C++' not in told


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('leave', 'error: SystemExit: 0; it must not end the program ('),
        ('close', 'error: GeneratorExit ('),
        ('stop', 'error: StopIteration ('),
    ],
)
def test_component_that_ends_the_program_is_an_error(parts, capsys, name, expected):
    def main():
        for _ in (step(1) for step in [Compose([getattr(parts, name)])]):
            pass

    with pytest.raises(SystemExit) as ended:
        run_main(main)
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(expected) and re.search(r'my_parts\.py, line \d+\)$', line)


def test_command_line_ends_with_one_line(parts, capsys, monkeypatch):
    name = 'MS_SUBMODULE_LOG_v'
    monkeypatch.setenv(name, os.environ.get(name, ''))
    with pytest.raises(SystemExit) as ended:
        run_main(lambda: Compose([parts.divide])(1))
    assert ended.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('error: ZeroDivisionError: division by zero (')
    monkeypatch.setenv('MSSEG_DEBUG', '1')
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: Compose([parts.divide])(1))

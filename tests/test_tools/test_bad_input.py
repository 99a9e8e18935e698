"""What the command lines say to wrong input: one line, exit status 1, before training starts."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

from tests.test_tools.bad_input_cases import CASES, World

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a tool in this process; return its exit status and the lines on stderr."""

    def run_tool(tool, *arguments):
        # It keeps the signal from the whole process, which lives on after a tool here.
        monkeypatch.setattr('msseg.utils.stop_signals.hear_interrupts', lambda: None)
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
        return end.value.code, [line for line in capfd.readouterr().err.splitlines() if line]

    return run_tool


def files_of(folder):
    """Every file below a folder, with its content."""
    return {path: path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_a_mistake_is_said_in_one_line_and_costs_no_file(case, run, tmp_path, monkeypatch):
    world = World(tmp_path, case.more, case.large, monkeypatch)
    case.prepare(world)
    before = files_of(tmp_path)
    arguments = [argument.replace('{folder}', str(tmp_path)) for argument in case.args]
    if not case.is_command:
        device = [] if '--device' in arguments else ['--device', 'CPU']
        arguments = [world.config, *arguments, '--work-dir', tmp_path / 'run', *device]
    status, lines = run(case.tool, *arguments)

    assert status == case.status, lines
    if status == 1:
        assert len(lines) == 1, lines
        assert lines[0].startswith('error: ')
    for phrase in case.phrases:
        assert phrase.replace('{folder}', str(tmp_path)) in lines[-1]
    after = files_of(tmp_path)
    assert {path: after.get(path) for path in before} == before


def test_there_are_many():
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)

"""The compiled msseg_infer, where there is one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOW = 'deploy/cpp/ci.sh builds it'


def find_program(folder, variable):
    """Returns its path; skips the test where it was not built. The environment may name it."""
    path = Path(os.environ.get(variable) or ROOT / 'build' / folder / 'msseg_infer')
    if not path.is_file():
        pytest.skip(f'{path} is not there: {HOW}')
    return path


def run(program, *arguments, **options):
    """Returns the ended process."""
    return subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, text=True, timeout=300, **options
    )


def error_of(program, *arguments):
    """Returns the one line that a wrong call prints."""
    done = run(program, *arguments)
    assert done.returncode == 1, done
    (line,) = done.stderr.splitlines()
    assert line.startswith('error: ')
    return line

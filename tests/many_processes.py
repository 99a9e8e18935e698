"""Running a script of the tests in several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from msseg.utils.launch import find_free_port

ROOT = Path(__file__).parents[1]


def clean_environment() -> dict[str, str]:
    """Return the environment without what another launcher or pytest has put there."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(('MS_', 'RANK_', 'PYTEST', 'OMPI_', 'MSSEG_'))
    }
    # msrun starts the first `python` on the path.
    path = f'{Path(sys.executable).parent}{os.pathsep}{kept["PATH"]}'
    return {**kept, 'PATH': path, 'PYTHONPATH': str(ROOT), 'GLOG_v': '3'}


def run_processes(folder: Path, count: int, script: Path, *arguments: object) -> None:
    """Run a script with msrun; fail the test with the ends of the logs when it fails."""
    command = [
        sys.executable,
        *('-m', 'mindspore.parallel.cluster.run'),
        *(f'--worker_num={count}', f'--local_worker_num={count}', '--join=True'),
        *(f'--master_port={find_free_port()}', f'--log_dir={folder / "log"}'),
        *(script, *arguments),
    ]
    process = subprocess.run(
        [str(part) for part in command],
        env=clean_environment(),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if process.returncode:
        logs = ''.join(p.read_text()[-3000:] for p in (folder / 'log').glob('worker_*.log'))
        pytest.fail(f'{process.stdout[-500:]}{process.stderr[-500:]}{logs}')

"""Running scripts, training and testing in several processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from msseg.launch.spawn import find_free_port
from tests.small_run import SmallRun

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


class ManyRun(SmallRun):
    """A `SmallRun` whose `start` takes the number of processes first; 0 runs `tools/train.py`."""

    def start(self, count: int, *arguments: object, **variables: str) -> subprocess.Popen:
        """Start training; its output is in ``output`` of the folder."""
        return self._start('train', count, [self.config], *arguments, **variables)

    def start_test(self, count: int, checkpoint: Path, *arguments: object) -> subprocess.Popen:
        """Start testing a checkpoint."""
        return self._start('test', count, [self.config, checkpoint], *arguments)

    def _start(
        self, tool: str, count: int, files: list, *arguments: object, **variables: str
    ) -> subprocess.Popen:
        if count == 0:
            command = [sys.executable, ROOT / 'tools' / f'{tool}.py', *files]
        else:
            command = [ROOT / 'tools' / f'dist_{tool}.sh', *files, count]
        if tool == 'train' and '--seed' not in arguments:
            arguments = ('--seed', '0', *arguments)
        with (self.folder / 'output').open('w') as output:
            process = subprocess.Popen(
                [str(part) for part in (*command, '--device', 'CPU', *arguments)],
                env={
                    **clean_environment(),
                    'OMP_NUM_THREADS': '1',
                    'PYTHONPATH': f'{ROOT}{os.pathsep}{self.folder}',
                    **variables,
                },
                cwd=self.folder,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def end(self) -> None:
        """Kill what is still there, the ranks too, which are in sessions of their own."""
        for process in self._started:
            with contextlib.suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
        super().end()

"""Starting the processes of a job on this machine, with msrun or from a rank table."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from msseg.utils.launchers import read_rank_table
from msseg.utils.orphan_guard import LAUNCHER_VARIABLE
from msseg.utils.rank_status import FOLDER_VARIABLE

_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER
_DEFAULT_PORT = 29500  # as MMSegmentation's scripts have it
# MindSpore's own patience (2.8: 30 s and a little) is short for a rank that saves a large file or
# shares a busy machine; who watches over the job looks for stuck ranks itself.
_NODE_TIMEOUT_S = 900


@dataclass(frozen=True)
class JobPlan:
    """What to start.

    Attributes:
        script: The Python script that every process runs.
        arguments: Its arguments, without ``--launcher``.
        num_local: Processes on this machine.
        log_dir: Folder for the logs; must exist.
        launcher: ``msrun`` or ``ranktable``.
        num_nodes: Machines with as many processes each.
        node: This machine's number among them.
        address: Of machine 0.
        port: On machine 0, where the processes find each other; None takes a free one.
    """

    script: Path
    arguments: Sequence[str]
    num_local: int
    log_dir: Path
    launcher: str = 'msrun'
    num_nodes: int = 1
    node: int = 0
    address: str = '127.0.0.1'
    port: int | None = None

    @property
    def ranks(self) -> range:
        """The ranks on this machine."""
        return range(self.node * self.num_local, (self.node + 1) * self.num_local)

    def log_file(self, rank: int) -> Path:
        """Return the log of a rank."""
        return self.log_dir / f'worker_{rank}.log'

    @property
    def scheduler_log(self) -> Path:
        """The log of msrun's scheduler, on machine 0."""
        return self.log_dir / 'scheduler.log'


@dataclass
class Processes:
    """Process numbers of a started job.

    Attributes:
        ranks: Rank to process number.
        scheduler: msrun's scheduler, where there is one.
        handles: Kept, so that nothing but the watch over the job waits for these processes.
    """

    ranks: dict[int, int] = field(default_factory=dict)
    scheduler: int | None = None
    handles: list[subprocess.Popen] = field(default_factory=list)


def start_processes(plan: JobPlan, status_folder: str) -> Processes:
    """Start the processes of a job that this machine is to run.

    They become children of this process, so their ends can be waited for.

    Args:
        plan: What to start.
        status_folder: For the notes of `msseg.utils.rank_status`.

    Raises:
        OSError: They cannot be started here.
        ValueError: The rank table does not have so many ranks.
    """
    _adopt_orphans()
    environment = _environment(plan, status_folder)
    if plan.launcher == 'ranktable':
        return _start_from_rank_table(plan, environment)
    return _start_with_msrun(plan, environment)


def find_free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _environment(plan: JobPlan, status_folder: str) -> dict[str, str]:
    environment = dict(os.environ)
    # msrun starts the first `python` on the path.
    environment['PATH'] = os.pathsep.join([str(_python().parent), os.environ.get('PATH', '')])
    environment[FOLDER_VARIABLE] = status_folder
    environment[LAUNCHER_VARIABLE] = str(os.getpid())
    environment['PYTHONUNBUFFERED'] = '1'
    environment.setdefault('MS_NODE_TIMEOUT', str(_NODE_TIMEOUT_S))
    # Without this every process on the CPU would compute with as many threads as there are cores.
    threads = max(1, (os.cpu_count() or 1) // plan.num_local)
    environment.setdefault('OMP_NUM_THREADS', str(threads))
    return environment


def _python() -> Path:
    """Return this Python under a name that msrun takes."""
    folder = Path(sys.executable).parent
    for name in ('python', 'python3'):
        if (folder / name).exists():
            return folder / name
    raise OSError(f'there is neither python nor python3 in {str(folder)!r}, which msrun starts')


def _start_with_msrun(plan: JobPlan, environment: dict[str, str]) -> Processes:
    port = plan.port or (find_free_port() if plan.num_nodes == 1 else _DEFAULT_PORT)
    # --join=False: msrun ends when all are started. Joining, it would kill ranks that still save
    # when another has ended after a signal, and take Ctrl-C for itself.
    command = [
        sys.executable,
        *('-m', 'mindspore.parallel.cluster.run', '--join=False'),
        f'--worker_num={plan.num_nodes * plan.num_local}',
        f'--local_worker_num={plan.num_local}',
        *(f'--node_rank={plan.node}', f'--master_addr={plan.address}', f'--master_port={port}'),
        *(f'--log_dir={plan.log_dir}', _python().name, str(plan.script), *plan.arguments),
        '--launcher=msrun',
    ]
    log = plan.log_dir / 'msrun.log'
    before = {child.pid for child in psutil.Process().children()}
    with log.open('w') as file:
        done = subprocess.run(
            command, env=environment, stdout=file, stderr=file, start_new_session=True, check=False
        )
    started = [child for child in psutil.Process().children() if child.pid not in before]
    started.sort(key=lambda process: (process.create_time(), process.pid))
    pids = [process.pid for process in started]
    if done.returncode != 0 or len(pids) < plan.num_local:
        for process in started:
            process.kill()
        lines = [line for line in log.read_text().splitlines() if line.strip()]
        raise OSError(f'msrun did not start the processes: {lines[-1] if lines else "no output"}')
    # The scheduler comes first, on the machine that has the address.
    scheduler = pids[0] if len(pids) > plan.num_local else None
    return Processes(dict(zip(plan.ranks, pids[-plan.num_local :], strict=True)), scheduler)


def _start_from_rank_table(plan: JobPlan, environment: dict[str, str]) -> Processes:
    path = os.environ.get('RANK_TABLE_FILE')
    if not path:
        raise ValueError(
            '--launcher ranktable: RANK_TABLE_FILE is not set in the environment; it names the '
            'JSON file that lists servers, devices and ranks'
        )
    devices = read_rank_table(path)
    missing = [rank for rank in plan.ranks if rank not in devices]
    if missing:
        raise ValueError(
            f'{plan.num_local} processes were asked for on each of {plan.num_nodes} machines, but '
            f'RANK_TABLE_FILE {path!r} has no rank {missing[0]}; it lists {sorted(devices)}'
        )
    processes = Processes()
    for rank in plan.ranks:
        own = {
            'RANK_TABLE_FILE': str(Path(path).resolve()),
            'RANK_ID': str(rank),
            'RANK_SIZE': str(len(devices)),
            'DEVICE_ID': str(devices[rank]),
        }
        with plan.log_file(rank).open('w') as log:
            process = subprocess.Popen(
                [sys.executable, str(plan.script), *plan.arguments, '--launcher=ranktable'],
                env={**environment, **own},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        processes.ranks[rank] = process.pid
        processes.handles.append(process)
    return processes


def _adopt_orphans() -> None:
    """Become the parent of what children of this process leave behind."""
    if not sys.platform.startswith('linux'):
        raise OSError(f'several processes are started on Linux only, this is {sys.platform}')
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)

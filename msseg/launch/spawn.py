"""The processes of a job on this machine: started as msrun does, or from a rank table."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msseg.utils.launchers import read_rank_table
from msseg.utils.rank_status import FOLDER_VARIABLE, LAUNCHER_VARIABLE

_DEFAULT_PORT = 29500  # as MMSegmentation's scripts have it
# MindSpore's own patience (2.8: 30 s and a little) is short for a rank that saves a large file or
# shares a busy machine; who watches over the job looks for stuck ranks itself.
_NODE_TIMEOUT_S = 900
_START_TIMEOUT_S = 600


@dataclass(frozen=True)
class JobPlan:
    """What to start.

    Attributes:
        program: What Python runs in every process: a script, or ``-m`` and a module.
        arguments: Its arguments, without ``--launcher``.
        num_local: Processes on this machine.
        log_dir: Folder for the logs; must exist.
        launcher: ``msrun`` or ``ranktable``.
        num_nodes: Machines with as many processes each.
        node: This machine's number among them.
        address: Of machine 0.
        port: On machine 0, where the processes find each other; None takes a free one.
    """

    program: Sequence[str]
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
    """The processes of a started job, each the leader of a process group.

    Attributes:
        ranks: By rank.
        scheduler: The process that brings them together, where one is started here.
        lifeline: End of a pipe; the ranks stop when it closes, as it does with this process.
    """

    ranks: dict[int, subprocess.Popen] = field(default_factory=dict)
    scheduler: subprocess.Popen | None = None
    lifeline: int | None = None

    def all(self) -> list[subprocess.Popen]:
        """Return ranks and scheduler."""
        return [*self.ranks.values(), *([self.scheduler] if self.scheduler else [])]

    def end(self) -> None:
        """Kill what is left of the job."""
        for process in self.all():
            kill_group(process)
        for process in self.all():
            process.wait()
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None


def start_processes(plan: JobPlan, status_folder: str) -> Processes:
    """Start the processes of a job that this machine is to run.

    Args:
        plan: What to start.
        status_folder: For the notes of `msseg.utils.rank_status`.

    Raises:
        OSError: They cannot be started here.
        ValueError: The rank table lists fewer ranks.
    """
    if not sys.platform.startswith('linux'):
        raise OSError(f'several processes are started on Linux only, this is {sys.platform}')
    variables_of = _rank_table_variables if plan.launcher == 'ranktable' else _cluster_variables
    variables = variables_of(plan)
    theirs, ours = os.pipe()
    shared = {FOLDER_VARIABLE: status_folder, LAUNCHER_VARIABLE: str(theirs)}
    started = Processes(lifeline=ours)
    try:
        if plan.launcher == 'msrun' and plan.node == 0:
            role = {**variables[0], 'MS_ROLE': 'MS_SCHED', 'RANK_ID': '0'}
            started.scheduler = _start(plan, role, plan.scheduler_log)
        for rank in plan.ranks:
            role = {**variables[rank], 'RANK_ID': str(rank), **shared}
            started.ranks[rank] = _start(plan, role, plan.log_file(rank), (theirs,))
    except OSError:
        started.end()
        raise
    finally:
        os.close(theirs)
    return started


def kill_group(process: subprocess.Popen) -> None:
    """Kill a process and what it started, unless it ended and was waited for."""
    if process.returncode is None:  # otherwise its number may be another's
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def find_free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def _start(
    plan: JobPlan, variables: Mapping[str, str], log: Path, fds: Sequence[int] = ()
) -> subprocess.Popen:
    # Without this every process on the CPU would compute with as many threads as there are cores.
    threads = max(1, (os.cpu_count() or 1) // plan.num_local)
    defaults = {'MS_NODE_TIMEOUT': str(_NODE_TIMEOUT_S), 'OMP_NUM_THREADS': str(threads)}
    with log.open('w') as file:
        return subprocess.Popen(
            [sys.executable, *plan.program, *plan.arguments, f'--launcher={plan.launcher}'],
            env={**defaults, **os.environ, 'PYTHONUNBUFFERED': '1', **variables},
            stdout=file,
            stderr=subprocess.STDOUT,
            pass_fds=fds,
            start_new_session=True,
        )


def _cluster_variables(plan: JobPlan) -> dict[int, dict[str, str]]:
    """Return what each rank reads to join the others, as MindSpore's msrun sets it."""
    port = plan.port or (find_free_port() if plan.num_nodes == 1 else _DEFAULT_PORT)
    num_ranks = str(plan.num_nodes * plan.num_local)
    try:
        host = socket.gethostbyname(plan.address)
    except OSError as error:
        raise OSError(f'MASTER_ADDR {plan.address!r} is not known: {error.strerror}') from error
    shared = {
        'MS_ROLE': 'MS_WORKER',
        'MS_SCHED_HOST': host,
        'MS_SCHED_PORT': str(port),
        'MS_WORKER_NUM': num_ranks,
        'MS_TOPO_TIMEOUT': str(_START_TIMEOUT_S),
        'RANK_SIZE': num_ranks,
    }
    return {
        rank: {**shared, 'MS_NODE_ID': str(rank), 'DEVICE_ID': str(device)}
        for device, rank in enumerate(plan.ranks)
    }


def _rank_table_variables(plan: JobPlan) -> dict[int, dict[str, str]]:
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
    shared = {'RANK_TABLE_FILE': str(Path(path).resolve()), 'RANK_SIZE': str(len(devices))}
    return {rank: {**shared, 'DEVICE_ID': str(devices[rank])} for rank in plan.ranks}

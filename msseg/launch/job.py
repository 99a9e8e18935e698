"""Watching over the processes of a job until all have ended."""

from __future__ import annotations

import os
import re
import signal
import tempfile
import time
from pathlib import Path

import psutil

from msseg.launch.rank_report import RankEnd, Report, describe_failure, last_lines
from msseg.launch.spawn import JobPlan, Processes, kill_group, start_processes
from msseg.utils.rank_status import Status, heard_file, read_status
from msseg.utils.say import STDERR, say
from msseg.utils.stop_signals import STOP_SIGNALS

STUCK_VARIABLE = 'MSSEG_STUCK_AFTER_S'
_STUCK_AFTER_S = 300.0
_POLL_S = 0.2
_LOOK_FOR_STUCK_EVERY_S = 1.0
# For others to say why they fail, too, before they are killed.
_GRACE_S = 3.0
# After a signal: to finish the iteration and to save.
_STOP_GRACE_S = 600.0
_STOP_CODES = tuple(128 + number for number in STOP_SIGNALS)
# In which a signal that was sent to every process has reached the ranks, too.
_HEARD_AFTER_S = 1.0
# MindSpore's notes on how processes find each other stay in the logs.
_NOISE = re.compile(r'^(\[(INFO|WARNING)\] (DISTRIBUTED|DEVICE|ME)\(|error: )')


class Job:
    """The processes of a job on this machine.

    Args:
        plan: What to start.

    Raises:
        ValueError: The environment names a nonsensical time to wait for stuck ranks.
    """

    def __init__(self, plan: JobPlan) -> None:
        self.plan = plan
        self.stuck_after_s = _stuck_after_s()
        self._is_patient = STUCK_VARIABLE not in os.environ
        self._processes = Processes()
        self._codes: dict[int, int] = {}  # by process number, in the order of ends
        self._killed: set[int] = set()
        self._signals: list[int] = []
        self._hand_on_at: float | None = None
        self._failed_at: float | None = None
        self._stopped_at: float | None = None
        self._looked_at = 0.0
        self._shown = 0  # bytes of rank 0's log

    def run(self) -> int:
        """Start the processes, show rank 0's log, and wait until all have ended.

        Returns:
            The exit status: 0; 1 when a rank failed or was stuck, which was printed; 143 or 130
            when the job was stopped by SIGTERM or Ctrl-C.
        """
        before = {number: signal.signal(number, self._forward) for number in STOP_SIGNALS}
        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        with tempfile.TemporaryDirectory(prefix='msseg-ranks-') as folder:
            self._folder = folder
            try:
                self._processes = start_processes(self.plan, folder)
                report = self._watch()
            finally:
                self._kill_all()
                self._show_log()
            return self._conclude(report)

    def _watch(self) -> Report | None:
        while True:
            self._reap()
            self._show_log()
            self._hand_on()
            if set(self._pids.values()) <= self._codes.keys():
                return None
            if self._is_time_over():
                return None
            report = self._find_stuck()
            if report is not None:
                return report
            time.sleep(_POLL_S)

    def _is_time_over(self) -> bool:
        """Whether the ranks that remain have had their time to end by themselves."""
        now = time.monotonic()
        bad = [code for code in self._codes.values() if code != 0]
        if self._failed_at is None and (len(self._signals) > 1 or any(map(self._is_failure, bad))):
            self._failed_at = now
        if self._stopped_at is None and bad:
            self._stopped_at = now
        if self._failed_at is not None:
            return now - self._failed_at > _GRACE_S
        return self._stopped_at is not None and now - self._stopped_at > _STOP_GRACE_S

    def _is_failure(self, code: int) -> bool:
        """Whether a process ended otherwise than well, or because of signals to the job."""
        was_told = {-number for number in self._signals}
        if len(self._signals) > 1:
            was_told.add(-signal.SIGKILL)
        return code != 0 and code not in _STOP_CODES and code not in was_told

    def _reap(self) -> None:
        """Note the ends of processes; end what they started, loader workers for instance."""
        for process in self._processes.all():
            if process.pid in self._codes:
                continue
            options = os.WEXITED | os.WNOHANG | os.WNOWAIT
            if os.waitid(os.P_PID, process.pid, options) is not None:
                kill_group(process)
                self._codes[process.pid] = process.wait()

    def _find_stuck(self) -> Report | None:
        """Return what to say when a rank keeps the others waiting for too long."""
        now = time.monotonic()
        if self._failed_at is not None or now - self._looked_at < _LOOK_FOR_STUCK_EVERY_S:
            return None
        self._looked_at = now
        notes = {rank: read_status(self._folder, rank) for rank in self._processes.ranks}
        reached = [note for note in notes.values() if note]
        farthest = max(reached, key=lambda note: note.step, default=None)
        if farthest is None:
            return None
        limit_s = self.stuck_after_s
        if self._is_patient:
            limit_s = max(limit_s, *(note.patience_s for note in reached))
        for rank, note in notes.items():
            pid = self._pids[rank]
            waited_s = now - (note or farthest).since_s
            if _is_stopped(pid) and waited_s > self.stuck_after_s:
                return self._stuck(rank, 'it is stopped (SIGSTOP)', note)
            first = min(each.since_s for each in reached if each.step == farthest.step)
            is_late = note is None or note.step < farthest.step
            if pid not in self._codes and is_late and now - first > limit_s:
                return self._stuck(rank, f'the others have waited {now - first:.0f} s for it', note)
        return None

    def _stuck(self, rank: int, why: str, note: Status | None) -> Report:
        doing = f' while {note.doing}' if note else ' before it joined the others'
        return Report(
            f'rank {rank} (process {self._pids[rank]}) is stuck{doing}: {why}; all '
            f'ranks were ended; its log is {self.plan.log_file(rank)}'
        )

    def _conclude(self, report: Report | None) -> int:
        report = report or self._failure()
        if report is None:
            codes = [self._codes.get(pid, 0) for pid in self._pids.values()]
            stopped = [code for code in codes if code != 0]
            if stopped and self._signals:
                return 128 + self._signals[0]
            return stopped[0] if stopped else 0
        if report.details:
            say(report.details, STDERR)
        say(f'error: {report.error}', STDERR)
        return 1

    def _failure(self) -> Report | None:
        by_pid = {pid: rank for rank, pid in self._pids.items()}
        # Those that were ended here, when another had failed, count nothing.
        bad = [
            self._end_of(by_pid[pid], pid, code)
            for pid, code in self._codes.items()
            if pid in by_pid and self._is_failure(code) and pid not in self._killed
        ]
        if bad:
            return describe_failure(bad)
        scheduler = self._processes.scheduler
        code = self._codes.get(scheduler.pid, 0) if scheduler else 0
        if self._is_failure(code) and scheduler.pid not in self._killed:
            log = self.plan.scheduler_log
            return Report(
                f"MindSpore's scheduler ended: {last_lines(log, 1)}; its log is {log}",
                last_lines(log, 20),
            )
        return None

    def _end_of(self, rank: int, pid: int, code: int) -> RankEnd:
        note = read_status(self._folder, rank)
        return RankEnd(rank, pid, code, note.doing if note else None, self.plan.log_file(rank))

    def _forward(self, number: int, frame: object) -> None:
        self._signals.append(number)
        is_first = len(self._signals) == 1
        self._hand_on_at = time.monotonic() + (_HEARD_AFTER_S if is_first else 0.0)

    def _hand_on(self) -> None:
        """Hand a signal on to the ranks, which finish their iteration and save.

        A job's scheduler may have sent it to every process: a second one would end them at once.
        """
        if self._hand_on_at is None or time.monotonic() < self._hand_on_at:
            return
        self._hand_on_at = None
        number, is_first = self._signals[-1], len(self._signals) == 1
        for rank, process in self._processes.ranks.items():
            # the first one must not reach a rank twice
            if not (is_first and heard_file(self._folder, rank).exists()):
                process.send_signal(number)

    @property
    def _pids(self) -> dict[int, int]:
        return {rank: process.pid for rank, process in self._processes.ranks.items()}

    def _kill_all(self) -> None:
        """End what is left: ranks, their loader workers, the scheduler."""
        self._reap()
        self._killed = {process.pid for process in self._processes.all()} - self._codes.keys()
        self._processes.end()
        self._codes |= {process.pid: process.returncode for process in self._processes.all()}

    def _show_log(self) -> None:
        """Print what rank 0 has logged since the last time, whole lines."""
        log = self.plan.log_file(0)
        if 0 not in self._processes.ranks or not log.exists():
            return
        with log.open('rb') as file:
            file.seek(self._shown)
            content = file.read()
        whole = content[: content.rfind(b'\n') + 1]
        self._shown += len(whole)
        lines = whole.decode(errors='replace').splitlines()
        shown = [line for line in lines if not _NOISE.match(line)]
        if shown:
            say('\n'.join(shown))


def _is_stopped(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def _stuck_after_s() -> float:
    text = os.environ.get(STUCK_VARIABLE)
    try:
        value = _STUCK_AFTER_S if text is None else float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise ValueError(f'{STUCK_VARIABLE} is {text!r}, expected a positive number of seconds')
    return value


def make_log_dir(work_dir: Path) -> Path:
    """Make the folder for the logs of one start of a job.

    Raises:
        OSError: It cannot be made.
    """
    folder = work_dir / 'rank_logs' / time.strftime('%Y%m%d_%H%M%S')
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        folder = folder.with_name(f'{folder.name}_{os.getpid()}')
        folder.mkdir()
    except OSError as error:
        raise OSError(
            f'work dir {str(work_dir)!r} cannot be written ({error.strerror}): choose another with '
            '--work-dir'
        ) from error
    return folder

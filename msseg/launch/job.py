"""Watching over the processes of a job until all have ended."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import tempfile
import time
from pathlib import Path

import psutil

from msseg.launch.rank_report import RankEnd, Report, describe_failure, last_lines
from msseg.launch.spawn import JobPlan, Processes, start_processes
from msseg.utils.rank_status import Status, read_status
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
        self._foreign = {child.pid for child in psutil.Process().children()}
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
            ranks = set(self._processes.ranks.values())
            if ranks <= self._codes.keys():
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
        watched = [*self._processes.ranks.values(), self._processes.scheduler]
        bad = [code for pid in watched if (code := self._codes.get(pid, 0)) != 0]
        if self._failed_at is None and (len(self._signals) > 1 or any(map(self._is_failure, bad))):
            self._failed_at = now
        if self._stopped_at is None and bad:
            self._stopped_at = now
        if self._failed_at is not None:
            return now - self._failed_at > _GRACE_S
        return self._stopped_at is not None and now - self._stopped_at > _STOP_GRACE_S

    def _is_failure(self, code: int) -> bool:
        """Whether a process ended otherwise than well, or because it was told to stop."""
        was_told = {-number for number in self._signals}
        return code != 0 and code not in _STOP_CODES and code not in was_told

    def _reap(self) -> None:
        """Note the ends of processes, those of loader workers that lost their rank among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._codes[pid] = os.waitstatus_to_exitcode(status)

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
        for rank, note in notes.items():
            pid = self._processes.ranks[rank]
            waited_s = now - (note or farthest).since_s
            if _is_stopped(pid) and waited_s > self.stuck_after_s:
                return self._stuck(rank, 'it is stopped (SIGSTOP)', note)
            first = min(each.since_s for each in reached if each.step == farthest.step)
            is_late = note is None or note.step < farthest.step
            if pid not in self._codes and is_late and now - first > self.stuck_after_s:
                return self._stuck(rank, f'the others have waited {now - first:.0f} s for it', note)
        return None

    def _stuck(self, rank: int, why: str, note: Status | None) -> Report:
        doing = f' while {note.doing}' if note else ' before it joined the others'
        return Report(
            f'rank {rank} (process {self._processes.ranks[rank]}) is stuck{doing}: {why}; all '
            f'ranks were ended; its log is {self.plan.log_file(rank)}'
        )

    def _conclude(self, report: Report | None) -> int:
        report = report or self._failure()
        if report is None:
            codes = [self._codes.get(pid, 0) for pid in self._processes.ranks.values()]
            stopped = [code for code in codes if code != 0]
            if stopped and self._signals:
                return 128 + self._signals[0]
            return stopped[0] if stopped else 0
        if report.details:
            say(report.details, STDERR)
        say(f'error: {report.error}', STDERR)
        return 1

    def _failure(self) -> Report | None:
        by_pid = {pid: rank for rank, pid in self._processes.ranks.items()}
        # Those that were ended here, when another had failed, count nothing.
        bad = [
            self._end_of(by_pid[pid], pid, code)
            for pid, code in self._codes.items()
            if pid in by_pid and self._is_failure(code) and pid not in self._killed
        ]
        if bad:
            return describe_failure(bad)
        scheduler = self._processes.scheduler
        if self._is_failure(self._codes.get(scheduler, 0)) and scheduler not in self._killed:
            log = self.plan.scheduler_log
            return Report(
                f"msrun's scheduler ended: {last_lines(log, 1)}; its log is {log}",
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
        for rank, pid in self._processes.ranks.items():
            if pid not in self._codes and not (is_first and self._has_heard(rank, number)):
                os.kill(pid, number)

    def _has_heard(self, rank: int, number: int) -> bool:
        """Whether a rank has received a stop signal already."""
        caught = _caught_signals(self._processes.ranks[rank])
        if number in caught:
            return False
        # The first signal takes its handler away at once; Python's part, which may have to wait
        # until a graph is compiled, takes away the others and notes it.
        if caught & (set(STOP_SIGNALS) - {signal.SIGINT}):
            return True
        note = read_status(self._folder, rank)
        return note is not None and note.is_stopping

    def _kill_all(self) -> None:
        """End what is left: ranks, their loader workers, the scheduler."""
        self._reap()
        self._killed = {
            pid
            for pid in [*self._processes.ranks.values(), self._processes.scheduler]
            if pid is not None and pid not in self._codes
        }
        deadline = time.monotonic() + _GRACE_S
        while own := self._children():
            for process in own:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            self._reap()
            if time.monotonic() > deadline:
                break
            time.sleep(0.02)

    def _children(self) -> list[psutil.Process]:
        """Return what descends from this job, loader workers that lost their rank too."""
        own = [p for p in psutil.Process().children() if p.pid not in self._foreign]
        for process in list(own):
            with contextlib.suppress(psutil.NoSuchProcess):
                own += process.children(recursive=True)
        return own

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


def _caught_signals(pid: int) -> set[int]:
    """Return the signals for which a process has handlers."""
    try:
        lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    mask = next((int(line.split()[1], 16) for line in lines if line.startswith('SigCgt')), 0)
    return {number for number in STOP_SIGNALS if mask >> (number - 1) & 1}


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

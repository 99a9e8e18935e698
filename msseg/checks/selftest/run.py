"""Run the parts of the self-test, each in processes of its own, and collect what they found."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msseg.checks import machine
from msseg.checks.selftest import command_lines
from msseg.checks.selftest.check import Bench, Check, Record, run_check
from msseg.checks.selftest.report import SelfTestReport
from msseg.launch.spawn import kill_group
from msseg.utils.device_name import parse_device
from msseg.utils.errors import UserValueError

_POLL_S = 0.2
_PATIENCE_S = command_lines.PATIENCE_S
_NUMBERS = ('float32', 'defaults', 'float16', 'bfloat16')
_RUNS = ('together', 'loading', 'commands', 'resumed', 'afterwards', 'exported')
_ON_CPU = ('loading', 'resumed')  # on every machine
_HERE: Mapping[str, Sequence[Check]] = {
    'commands': command_lines.CHECKS,
    'afterwards': command_lines.AFTERWARDS,
}
# MindSpore's minor versions: those of CANN that its installation page names.
_CANN = {'2.8': ('8.2', '8.3', '8.5'), '2.10': ('8.2', '8.3', '8.5', '9.0')}
_CRASH = (
    'read the lines of its output at the end; where a driver ended it, look at dmesg and its own '
    'logs; otherwise report it to msseg with this report'
)


@dataclass(frozen=True)
class Worker:
    """The processes that run parts.

    Attributes:
        bench: Device, folder and number of processes.
        number: The number of the card, or None.
        module: What Python runs.
        patience_s: How long a check may take.
        is_over: Set when nothing more is to be done.
    """

    bench: Bench
    number: int | None = None
    module: str = 'msseg.checks.selftest.worker'
    patience_s: float = 600.0
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self, part: str) -> tuple[list[Record], str]:
        """Run a part's checks; return what they found, and what processes said that ended badly.

        A check that ends its process has failed, and another process does those that follow.
        """
        file, log = (self.bench.folder / f'{part}.{end}' for end in ('jsonl', 'log'))
        said = ''
        while True:
            done = len(read_records(part, file)[1])
            status = self._start(part, done, file, log)
            begun, records = read_records(part, file)
            if status == 0 or self.is_over.is_set():
                return records, said
            said = log.read_text(encoding='utf-8', errors='replace')
            how = 'took too long' if status is None else f'ended with status {status}'
            found = f'the process {how}: {command_lines.last_words(said)}'
            if begun is None:  # it does not start, or does not end
                where = f'after {records[-1].title}' if len(records) > done else 'at its start'
                return [*records, Record(part, f'process {where}', 'failed', found, _CRASH)], said
            append_record(file, Record(part, begun, 'failed', found, _CRASH))

    def _start(self, part: str, done: int, file: Path, log: Path) -> int | None:
        """Run a process to its end; return its status, None if it was killed for being late."""
        device = 'CPU' if part in _ON_CPU else self.bench.device
        words = ['--device', device, '--folder', str(self.bench.folder), '--done', str(done)]
        if part == 'together':
            words += ['--processes', str(self.bench.processes)]
        elif self.number is not None and device != 'CPU':
            words += ['--device-id', str(self.number)]
        with log.open('w') as output:
            process = subprocess.Popen(
                [sys.executable, '-m', self.module, part, *words],
                cwd=self.bench.folder, env=environment(), stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        try:
            size, moved_at = -1, time.monotonic()
            while process.poll() is None:
                time.sleep(_POLL_S)
                now = file.stat().st_size if file.exists() else 0
                if now != size:
                    size, moved_at = now, time.monotonic()
                elif self.is_over.is_set() or time.monotonic() - moved_at > self.patience_s:
                    return None
            return process.returncode
        finally:
            kill_group(process)
            process.wait()


def environment() -> dict[str, str]:
    """Return the variables of the processes: they find this package, and MindSpore is quiet."""
    package = str(Path(__file__).parents[3])
    path = os.pathsep.join(filter(None, (package, os.environ.get('PYTHONPATH'))))
    return {'GLOG_v': '3', **os.environ, 'PYTHONPATH': path}


def read_records(part: str, file: Path) -> tuple[str | None, list[Record]]:
    """Return the title of a check that has begun and not ended, or None, and those that ended."""
    lines = file.read_text(encoding='utf-8').splitlines() if file.exists() else []
    begun, records = None, []
    for line in map(json.loads, lines):
        begun = line.pop('begins', None)
        if begun is None:
            records.append(Record(part=part, **line))
    return begun, records


def append_record(file: Path, record: Record) -> None:
    """Write a result in the place of the check that was to write it."""
    line = {key: value for key, value in vars(record).items() if key != 'part'}
    with file.open('a', encoding='utf-8') as stream:
        stream.write(f'{json.dumps(line)}\n')


def run_selftest(
    device: str = 'auto', devices: int | None = None, say: Callable[[str], Any] = lambda line: None
) -> SelfTestReport:
    """Check that a machine and its cards compute what they should, which takes minutes.

    Files are written to a temporary folder, which is removed.

    Args:
        device: See `parse_device`.
        devices: How many processes compute together, one a card; by default all cards, and two
            processes on the CPU.
        say: Called with a line when a part begins, and for each check.

    Raises:
        ValueError: An unknown device, or more processes than cards.
    """
    start = time.monotonic()
    name, number = parse_device(device)
    say('machine: versions and devices')
    page = machine.examine_machine()
    if name == 'auto':
        name = next((each for each in ('Ascend', 'GPU') if each in page.cards), 'CPU')
    most = page.cards.get(name, 1) if number is None else 1
    if devices and name != 'CPU' and name in page.cards and devices > most:
        expected = f'at most {most}, the number of cards' if number is None else '1 for one card'
        raise UserValueError(key='--devices', got=devices, expected=expected)
    processes = devices or (2 if name == 'CPU' else most)
    report = SelfTestReport(name, processes, ', '.join(page.lines[:2]), page.text())
    report.records += examine(page, name)
    if name in page.cards:
        _run_on_device(report, number, say)
    report.elapsed_s = time.monotonic() - start
    return report


def examine(page: machine.Report, device: str) -> list[Record]:
    """Return the findings on a machine as results of checks."""
    part, found = 'machine', page.devices.get(device, page.devices.get('MindSpore', ''))
    todo = f'see docs/{device.lower()}.md' if device != 'CPU' else 'install MindSpore again'
    status = 'ok' if device in page.cards else 'failed'
    records = [Record(part, device, status, found, '' if status == 'ok' else todo)]
    others = [text for text in page.problems if not text.startswith(f'{device}:')]
    text = '; '.join(others) or 'nothing is wrong'
    advice = 'do what each of them says' if others else ''
    records.append(Record(part, 'msseg doctor', 'failed' if others else 'ok', text, advice))
    if device == 'Ascend':
        fits, text = compare_cann(version_of_mindspore())
        kind = {True: 'ok', False: 'failed', None: 'not applicable'}[fits]
        todo = 'install a CANN that MindSpore names, see docs/ascend.md' if fits is False else ''
        records.append(Record(part, 'CANN', kind, text, todo))
    return records


def version_of_mindspore() -> str:
    """Return the version of the installed MindSpore; empty if there is none."""
    try:
        return importlib.metadata.version('mindspore')
    except importlib.metadata.PackageNotFoundError:
        return ''


def compare_cann(mindspore: str) -> tuple[bool | None, str]:
    """Return whether the installed CANN fits a MindSpore, None where that is not known, and why.

    Source: MindSpore 2.8 ``run_check``, for the file that has CANN's version.
    """
    expected = _CANN.get('.'.join(mindspore.split('.')[:2]))
    home = os.environ.get('ASCEND_HOME_PATH')
    if not home:
        return False, "ASCEND_HOME_PATH is not set: source CANN's set_env.sh in this shell"
    file = Path(home) / 'compiler' / 'version.info'
    try:
        lines = file.read_text(encoding='utf-8', errors='replace').splitlines()
    except OSError as error:
        return None, f"CANN's version is not known: {file}: {error.strerror}"
    full = next((line.partition('=')[2] for line in lines if line.startswith('Version=')), '')
    version = '.'.join(full.strip().split('.')[:2])
    if expected is None or not version:
        return None, f'CANN {version or "of unknown version"} with MindSpore {mindspore}: not known'
    text = f'CANN {version}, MindSpore {mindspore} takes {", ".join(expected)}'
    return version in expected, text


def _run_on_device(report: SelfTestReport, number: int | None, say: Callable[[str], Any]) -> None:
    with tempfile.TemporaryDirectory(prefix='msseg-selftest-') as folder:
        name = report.device
        bench = Bench(name, 'float32', Path(folder), report.processes)
        worker = Worker(bench, number, patience_s=_PATIENCE_S[name])
        # two processes on one card would take each other's memory
        with ThreadPoolExecutor(2 if name == 'CPU' else 1) as pool:
            lanes = [
                pool.submit(_run_parts, parts, worker, report, say) for parts in (_NUMBERS, _RUNS)
            ]
            try:
                for lane in lanes:
                    lane.result()
            finally:  # an interrupt, too
                worker.is_over.set()


def _run_parts(
    parts: Sequence[str], worker: Worker, report: SelfTestReport, say: Callable[[str], Any]
) -> None:
    bench = worker.bench
    for part in parts:
        if worker.is_over.is_set():
            return
        say(f'{part}: begins')
        if part == 'together' and bench.processes == 1:
            reason = 'one process; --devices 2 takes two'
            records = [Record(part, 'several processes', 'not applicable', reason)]
        elif part in _HERE:
            file = bench.folder / f'{part}.jsonl'
            for check in _HERE[part]:
                run_check(check, bench, file)
            records = read_records(part, file)[1]
        else:
            records, said = worker.run(part)
            if said:
                report.outputs[part] = said
        for record in records:
            say(f'{part}: {record.title}: {record.status} ({record.elapsed_s:.0f} s)')
        report.records += records

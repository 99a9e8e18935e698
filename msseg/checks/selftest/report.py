"""The report of a self-test: a page for readers, and the same as JSON."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from msseg.checks.findings import count
from msseg.checks.selftest.check import Record

_MOST_LINES = 40
_MARKS = {'ok': 'ok', 'failed': 'FAILED', 'not applicable': 'n/a'}
# What each part is about, in the order of the report.
PARTS = {
    'machine': 'Machine: versions, device, memory, disk',
    'float32': "float32: layers and networks, compared with numpy's and PyTorch's float64",
    'defaults': 'What float32 is on this device unless a config says otherwise',
    'float16': 'Mixed precision, float16 with a loss scale: the same comparisons',
    'bfloat16': 'Mixed precision, bfloat16',
    'together': 'Several processes: exchange, synchronised batch norm, averaged gradients',
    'loading': 'Loading of batches',
    'commands': 'Commands: training',
    'resumed': 'Interrupted and resumed training',
    'afterwards': 'Commands: testing and exporting',
    'exported': 'The exported file on this device',
}


@dataclass
class SelfTestReport:
    """What a self-test found.

    Attributes:
        device: ``'CPU'``, ``'GPU'`` or ``'Ascend'``.
        processes: How many processes computed together.
        versions: A line on msseg, MindSpore and the system.
        machine: The page of ``msseg doctor``.
        records: The checks.
        outputs: By part, the last lines of processes that ended badly.
        elapsed_s: Of everything, in seconds.
    """

    device: str
    processes: int
    versions: str
    machine: str
    records: list[Record] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    elapsed_s: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return all(record.status != 'failed' for record in self.records)

    def summary(self) -> str:
        """Return a line with the numbers of checks."""
        counts = Counter(record.status for record in self.records)
        return (
            f'{count(len(self.records), "check")} in {self.elapsed_s:.0f} s: {counts["ok"]} ok, '
            f'{counts["failed"]} failed, {counts["not applicable"]} not applicable'
        )

    def text(self) -> str:
        """Return the page."""
        lines = [
            f'msseg self-test of {self.device} with {self.processes} '
            f'{"process" if self.processes == 1 else "processes"}',
            self.versions,
            self.summary(),
        ]
        for part, about in PARTS.items():
            own = [record for record in self.records if record.part == part]
            if own:
                lines += ['', about]
            for record in own:
                lines.append(f'  {_MARKS[record.status]:6}  {record.title}: {record.found}')
                if record.todo:
                    lines.append(f'          what to do: {record.todo}')
        for part, output in self.outputs.items():
            lines += ['', f'Last lines of what ended badly in part {part}']
            lines += [f'  | {line}' for line in output.splitlines()[-_MOST_LINES:]]
        return '\n'.join([*lines, '', 'Machine (msseg doctor)', self.machine, ''])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {'passed': self.passed, **asdict(self)}

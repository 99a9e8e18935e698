"""Run the tests in groups of files, each group in a process of its own: ``make test``.

A process that has compiled hundreds of graphs holds gigabytes, and one that crashes or hangs takes
its other tests along. So groups are small, and a few run at a time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES_IN_A_GROUP = 6
# Several test processes: each computes with one thread, or they fight over the cores.
ENVIRONMENT = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1', 'MPLBACKEND': 'Agg'}
# A group takes some minutes: one that takes this long hangs.
TIME_LIMIT = 2400


@dataclass
class Outcome:
    """What became of tests.

    Attributes:
        counts: How many passed, failed, were skipped.
        broken: Names of those that failed, with the error.
        skipped: Names of those that were skipped, with the reason.
        times: Seconds of every test.
    """

    counts: Counter = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    times: dict[str, float] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        """Add the outcome of other tests."""
        self.counts += other.counts
        self.broken += other.broken
        self.skipped += other.skipped
        self.times.update(other.times)

    def text(self) -> str:
        """Return the numbers as pytest words them."""
        kinds = ('passed', 'failed', 'skipped')
        return ', '.join(f'{self.counts[kind]} {kind}' for kind in kinds if self.counts[kind])


def groups_of(paths: Iterable[Path], size: int = FILES_IN_A_GROUP) -> list[tuple[Path, ...]]:
    """Return the test files under some paths in groups of a size, each from one folder."""
    folders: dict[Path, list[Path]] = {}
    for path in paths:
        found = [path] if path.suffix == '.py' else sorted(path.rglob('test_*.py'))
        if not found:
            raise SystemExit(f'error: no tests in {str(path)!r}')
        for file in found:
            folders.setdefault(file.parent, []).append(file)
    return [
        tuple(files[start : start + size])
        for files in folders.values()
        for start in range(0, len(files), size)
    ]


def run_groups(
    python: Path,
    groups: Sequence[tuple[Path, ...]],
    workers: int,
    logs: Path,
    options: Sequence[str] = (),
) -> Outcome:
    """Run groups of tests, some at a time, and print a line on each; return the sum.

    Args:
        python: The interpreter, of an environment that has msseg.
        groups: See `groups_of`.
        workers: How many run at a time.
        logs: A folder for what pytest prints, and for the processes' other files; must exist.
        options: More arguments for pytest.
    """

    def run(number: int) -> Outcome:
        start = time.monotonic()
        outcome, log = _run_group(python, groups[number], logs / f'group-{number:02}', options)
        if outcome.broken:
            print(log.read_text(errors='replace'))
        first, *more = groups[number]
        others = f' and {len(more)} more' if more else ''
        spent = time.monotonic() - start
        print(
            f'[{number + 1:2}/{len(groups)}] {first}{others}: {outcome.text()} in {spent:.0f} s',
            flush=True,
        )
        return outcome

    total = Outcome()
    with ThreadPoolExecutor(workers) as pool:
        for outcome in pool.map(run, range(len(groups))):
            total.add(outcome)
    return total


def _run_group(
    python: Path, files: Sequence[Path], stem: Path, options: Sequence[str]
) -> tuple[Outcome, Path]:
    """Run one group; return its outcome and its log."""
    log, report = (stem.with_name(f'{stem.name}.{kind}') for kind in ('log', 'xml'))
    report.unlink(missing_ok=True)
    status = _run_pytest(python, files, log, report, options)
    outcome = read_report(report) if report.is_file() else Outcome()
    if sum(outcome.counts.values()) == 0 or status not in (0, 1):
        outcome.counts['failed'] += 1
        outcome.broken.append(f'{files[0]}: pytest ended with status {status}')
    return outcome, log


def _run_pytest(
    python: Path, files: Sequence[Path], log: Path, report: Path, options: Sequence[str]
) -> int:
    """Run pytest in a process of its own; return its exit status, -N after signal N."""
    command = [python, '-m', 'pytest', '-q', *files, f'--junitxml={report}', *options]
    command += ['-p', 'no:cacheprovider']
    variables = {
        **os.environ,
        **ENVIRONMENT,
        'PATH': f'{python.parent}{os.pathsep}{os.environ["PATH"]}',
        # one folder for each group: what subprocesses write is told apart
        'COVERAGE_FILE': str(log.with_suffix('.coverage')),
    }
    # outside of the repository, whose files messages name by their relative paths
    scratch = tempfile.TemporaryDirectory(prefix='msseg-', ignore_cleanup_errors=True)
    with scratch as folder, log.open('w') as file:
        try:
            return subprocess.run(
                [*command, '--basetemp', Path(folder) / 'tests'],
                cwd=ROOT,
                env=variables,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=TIME_LIMIT,
            ).returncode
        except subprocess.TimeoutExpired:
            file.write(f'ended after {TIME_LIMIT} s\n')
            return 1


def read_report(report: Path) -> Outcome:
    """Read the JUnit report of pytest."""
    outcome = Outcome()
    for case in ElementTree.parse(report).iter('testcase'):
        name = f'{case.get("classname")}::{case.get("name")}'
        outcome.times[name] = float(case.get('time', 0))
        kinds = {child.tag: child for child in case}
        if kinds.keys() & {'failure', 'error'}:
            outcome.counts['failed'] += 1
            error = kinds.get('failure', kinds.get('error')).get('message', '')
            outcome.broken.append(f'{name}: {error.partition(chr(10))[0]}')
        elif 'skipped' in kinds:
            outcome.counts['skipped'] += 1
            outcome.skipped.append(f'{name}: {kinds["skipped"].get("message")}')
        else:
            outcome.counts['passed'] += 1
    return outcome


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument(
        'tests', nargs='*', type=Path, default=[Path('tests')], help='folders or files'
    )
    parser.add_argument('--workers', type=int, default=2, help='test processes at a time')
    parser.add_argument(
        '--group-size', type=int, default=FILES_IN_A_GROUP, help='files in a test process'
    )
    parser.add_argument('--coverage', action='store_true', help='print which lines were run')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    start = time.monotonic()
    groups = groups_of(args.tests, args.group_size)
    python = Path(sys.executable)
    options = ['--cov', '--cov-report='] if args.coverage else []
    with tempfile.TemporaryDirectory(prefix='msseg-tests-') as logs:
        total = run_groups(python, groups, args.workers, Path(logs), options)
        if args.coverage:
            print_coverage(python, Path(logs))
    print('\nThe slowest:')
    for name in sorted(total.times, key=total.times.__getitem__, reverse=True)[:15]:
        print(f'{total.times[name]:6.1f} s  {name}')
    for name in total.skipped:
        print(f'skipped {name}')
    for name in total.broken:
        print(f'FAILED {name}')
    minutes, seconds = divmod(round(time.monotonic() - start), 60)
    print(f'{total.text()} in {minutes} min {seconds} s')
    sys.exit(bool(total.broken))


def print_coverage(python: Path, folder: Path) -> None:
    """Print the coverage of all groups together."""
    found = [str(path) for path in folder.glob('*.coverage*') if path.is_file()]
    variables = {**os.environ, 'COVERAGE_FILE': str(folder / 'all')}
    for command in (['combine', '-q', *found], ['report']):
        subprocess.run([python, '-m', 'coverage', *command], cwd=ROOT, env=variables, check=True)


if __name__ == '__main__':
    main()

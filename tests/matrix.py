"""Run all tests with each MindSpore that msseg supports: ``make test-matrix``.

Every version has an environment of its own in ``.venvs/``, made by the Makefile's rules with the
pins of constraints.txt but for MindSpore's. Each folder of tests is a process of its own, so that
memory does not add up. The outcome is a table; what pytest printed stays in ``.venvs/logs/``.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / '.venvs'
VERSIONS = ('2.7.2', '2.8.0', '2.10.0')


@dataclass
class Outcome:
    """What the tests of one version came to."""

    version: str
    counts: Counter = field(default_factory=Counter)
    seconds: float = 0.0
    broken: list[str] = field(default_factory=list)

    def row(self) -> str:
        numbers = ' | '.join(str(self.counts[kind]) for kind in ('passed', 'failed', 'skipped'))
        return f'| {self.version} | {numbers} | {self.seconds / 60:.0f} min |'


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--versions', nargs='+', default=VERSIONS, help='MindSpore versions')
    parser.add_argument('--workers', type=int, default=2, help='test processes at a time')
    parser.add_argument(
        '--tests', nargs='+', type=Path, default=groups_of_tests(), help='folders or files'
    )
    return parser.parse_args()


def groups_of_tests() -> list[Path]:
    tests = ROOT / 'tests'
    return [path.relative_to(ROOT) for path in sorted(tests.glob('test_*')) if _holds_tests(path)]


def _holds_tests(path: Path) -> bool:
    return path.suffix == '.py' or any(path.rglob('test_*.py'))


def make_environment(version: str) -> Path:
    """Make an environment with this MindSpore, unless it is there; return its folder."""
    HOME.mkdir(exist_ok=True)
    pins = (ROOT / 'constraints.txt').read_text()
    pins, count = re.subn(r'^mindspore==.*$', f'mindspore=={version}', pins, flags=re.MULTILINE)
    assert count == 1
    constraints = HOME / f'constraints-{version}.txt'
    constraints.write_text(pins)
    folder = (HOME / version).relative_to(ROOT)
    target = f'{folder}/ready-for-tests'
    settings = [f'VENV={folder}', f'CONSTRAINTS=-c {constraints}', f'PYTHON={sys.executable}']
    subprocess.run(['make', *settings, target], cwd=ROOT, check=True)
    return ROOT / folder


def run_group(environment: Path, version: str, group: Path, workers: int, outcome: Outcome) -> None:
    """Run one folder's tests and add up what became of them."""
    logs = HOME / 'logs'
    logs.mkdir(exist_ok=True)
    name = f'{version}-{"-".join(group.with_suffix("").parts[1:])}'
    log, report = (logs / f'{name}.{suffix}' for suffix in ('log', 'xml'))
    report.unlink(missing_ok=True)
    command = [environment / 'bin' / 'python', '-m', 'pytest', group, f'--junitxml={report}']
    command += ['-q', '-p', 'no:cacheprovider', '--basetemp', HOME / f'tmp-{version}']
    if workers > 1:
        command += ['-n', str(workers), '--dist', 'loadfile']
    variables = {
        **os.environ,
        'PATH': f'{environment / "bin"}{os.pathsep}{os.environ["PATH"]}',
        'OMP_NUM_THREADS': '1',
        'OPENBLAS_NUM_THREADS': '1',
        'MPLBACKEND': 'Agg',
    }
    start = time.monotonic()
    with log.open('w') as file:
        run = subprocess.run(
            command, cwd=ROOT, env=variables, stdout=file, stderr=subprocess.STDOUT
        )
    outcome.seconds += time.monotonic() - start
    counted = count_outcomes(report, outcome) if report.is_file() else 0
    if not counted or run.returncode not in (0, 1):
        outcome.counts['failed'] += 1
        outcome.broken.append(f'{group}: pytest ended with status {run.returncode}, see {log}')
    print(
        f'MindSpore {version}: {group}: {counted} tests, so far {dict(outcome.counts)}', flush=True
    )


def count_outcomes(report: Path, outcome: Outcome) -> int:
    """Add up a JUnit report; return how many tests it tells of."""
    cases = list(ElementTree.parse(report).iter('testcase'))
    for case in cases:
        kinds = {child.tag for child in case}
        if kinds & {'failure', 'error'}:
            outcome.counts['failed'] += 1
            outcome.broken.append(f'{case.get("classname")}::{case.get("name")}')
        else:
            outcome.counts['skipped' if 'skipped' in kinds else 'passed'] += 1
    return len(cases)


def main() -> None:
    args = parse_args()
    outcomes = []
    for version in args.versions:
        environment = make_environment(version)
        outcomes.append(Outcome(version))
        for group in args.tests:
            run_group(environment, version, group, args.workers, outcomes[-1])
    print('\n| MindSpore | passed | failed | skipped | time |\n| --- | --- | --- | --- | --- |')
    for outcome in outcomes:
        print(outcome.row())
    for outcome in outcomes:
        for name in outcome.broken:
            print(f'failed with {outcome.version}: {name}')
    passed = sum(outcome.counts['passed'] for outcome in outcomes)
    failed = sum(outcome.counts['failed'] for outcome in outcomes)
    print(f'\n{passed} passed, {failed} failed')
    sys.exit(bool(failed))


if __name__ == '__main__':
    main()

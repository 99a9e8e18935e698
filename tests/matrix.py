"""Run all tests with each MindSpore that msseg supports: ``make test-matrix``.

Every version has an environment of its own in ``.venvs/``, made by the Makefile's rules with the
pins of constraints.txt but for MindSpore's. The outcome is a table; what pytest printed stays in
``.venvs/logs/``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.run import ROOT, Outcome, groups_of, run_groups

HOME = ROOT / '.venvs'
VERSIONS = ('2.7.2', '2.8.0', '2.10.0')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--versions', nargs='+', default=VERSIONS, help='MindSpore versions')
    parser.add_argument('--workers', type=int, default=2, help='test processes at a time')
    parser.add_argument(
        '--tests', nargs='+', type=Path, default=[Path('tests')], help='folders or files'
    )
    return parser.parse_args()


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


def row(version: str, outcome: Outcome, seconds: float) -> str:
    """Return a line of the table."""
    numbers = ' | '.join(str(outcome.counts[kind]) for kind in ('passed', 'failed', 'skipped'))
    return f'| {version} | {numbers} | {seconds / 60:.0f} min |'


def main() -> None:
    args = parse_args()
    groups = groups_of(args.tests)
    outcomes, rows = {}, []
    for version in args.versions:
        print(f'MindSpore {version}', flush=True)
        environment = make_environment(version)
        logs = HOME / 'logs' / version
        logs.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        python = environment / 'bin' / 'python'
        outcomes[version] = run_groups(python, groups, args.workers, logs)
        rows.append(row(version, outcomes[version], time.monotonic() - start))
    print('\n| MindSpore | passed | failed | skipped | time |\n| --- | --- | --- | --- | --- |')
    print('\n'.join(rows))
    for version, outcome in outcomes.items():
        for name in outcome.broken:
            print(f'failed with {version}: {name}')
    print()
    sys.exit(any(outcome.broken for outcome in outcomes.values()))


if __name__ == '__main__':
    main()

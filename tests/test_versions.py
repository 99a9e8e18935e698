"""What is said of supported versions agrees, and the run over them counts right."""

import re
from pathlib import Path

from tests import matrix

ROOT = Path(__file__).parents[1]


def test_the_matrix_reaches_from_the_oldest_to_the_newest_that_is_required():
    requirements = (ROOT / 'requirements.txt').read_text()
    oldest, *_, newest = matrix.VERSIONS
    assert f'mindspore>={oldest},<={newest}\n' in requirements
    pinned = re.search(r'^mindspore==(.*)$', (ROOT / 'constraints.txt').read_text(), re.MULTILINE)
    assert pinned[1] in matrix.VERSIONS
    for page in ('CONTRIBUTING.md', 'docs/versions.md', 'docs/getting_started.md'):
        assert f'MindSpore {oldest} to {newest}' in (ROOT / page).read_text(), page


def test_every_folder_of_tests_is_in_the_matrix():
    groups = {path.as_posix() for path in matrix.groups_of_tests()}
    files = {path.relative_to(ROOT) for path in (ROOT / 'tests').rglob('test_*.py')}
    assert {Path(*file.parts[:2]).as_posix() for file in files} == groups


def test_outcomes_are_counted_by_test(tmp_path):
    report = tmp_path / 'report.xml'
    report.write_text(
        '<testsuites><testsuite>'
        '<testcase classname="a" name="good"/>'
        '<testcase classname="a" name="odd"><skipped/></testcase>'
        '<testcase classname="a" name="bad"><failure>x</failure></testcase>'
        '<testcase classname="b" name="worse"><error>x</error></testcase>'
        '</testsuite></testsuites>'
    )
    outcome = matrix.Outcome('2.8.0', seconds=90.0)
    assert matrix.count_outcomes(report, outcome) == 4
    assert outcome.counts == {'passed': 1, 'skipped': 1, 'failed': 2}
    assert outcome.broken == ['a::bad', 'b::worse']
    assert outcome.row() == '| 2.8.0 | 1 | 2 | 1 | 2 min |'


def test_a_process_without_a_report_counts_as_failed(tmp_path, monkeypatch):
    monkeypatch.setattr(matrix, 'HOME', tmp_path)
    (tmp_path / 'bin').mkdir()
    python = tmp_path / 'bin' / 'python'
    python.write_text('#!/bin/sh\nkill -9 $$\n')
    python.chmod(0o755)
    outcome = matrix.Outcome('2.8.0')
    matrix.run_group(tmp_path, '2.8.0', Path('tests/test_utils'), 1, outcome)
    assert outcome.counts == {'failed': 1}
    assert 'tests/test_utils: pytest ended with status -9' in outcome.broken[0]

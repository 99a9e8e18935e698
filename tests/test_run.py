"""The program that runs the tests counts right, and survives and reports crashes and hangs."""

import sys
from pathlib import Path

import pytest

from tests import run

ROOT = Path(__file__).parents[1]
PYTHON = Path(sys.executable)


@pytest.fixture
def outcome_of(tmp_path, capsys):
    """Returns a function that runs a test file of some source, and what was printed."""

    def run_source(source):
        lines = [line[4:] for line in source.splitlines()]
        (tmp_path / 'test_one.py').write_text('\n'.join(lines))
        groups = run.groups_of([tmp_path / 'test_one.py'])
        outcome = run.run_groups(PYTHON, groups, 1, tmp_path, ['--rootdir', str(tmp_path)])
        return outcome, capsys.readouterr().out

    return run_source


def test_every_test_file_is_in_one_group():
    groups = run.groups_of([ROOT / 'tests'])
    files = [file for group in groups for file in group]
    assert sorted(files) == sorted((ROOT / 'tests').rglob('test_*.py'))
    assert all(len(group) <= run.FILES_IN_A_GROUP for group in groups)
    assert {len(group) for group in run.groups_of([ROOT / 'tests'], 1)} == {1}
    assert all(len({file.parent for file in group}) == 1 for group in groups)


def test_folder_without_tests_is_refused(tmp_path):
    with pytest.raises(SystemExit, match='no tests in'):
        run.groups_of([tmp_path])


def test_outcomes_are_counted_by_test(tmp_path):
    report = tmp_path / 'report.xml'
    report.write_text(
        '<testsuites><testsuite>'
        '<testcase classname="a" name="good" time="1.5"/>'
        '<testcase classname="a" name="odd"><skipped message="no disk"/></testcase>'
        '<testcase classname="a" name="bad"><failure message="1 is not 2&#10;more"/></testcase>'
        '<testcase classname="b" name="worse"><error message="no file"/></testcase>'
        '</testsuite></testsuites>'
    )
    outcome = run.read_report(report)
    assert outcome.counts == {'passed': 1, 'skipped': 1, 'failed': 2}
    assert outcome.broken == ['a::bad: 1 is not 2', 'b::worse: no file']
    assert outcome.skipped == ['a::odd: no disk']
    assert outcome.times['a::good'] == 1.5
    assert outcome.text() == '1 passed, 2 failed, 1 skipped'


def test_failing_test_fails_at_once_and_is_shown(outcome_of):
    outcome, printed = outcome_of("""
    def test_wrong():
        assert 1 == 2
    """)
    assert outcome.counts == {'failed': 1}
    assert 'assert 1 == 2' in printed


def test_process_that_crashes_fails_and_is_shown(outcome_of):
    outcome, printed = outcome_of("""
    import os, signal

    def test_crash():
        os.kill(os.getpid(), signal.SIGSEGV)
    """)
    assert outcome.counts == {'failed': 1}
    assert 'pytest ended with status -11' in outcome.broken[0]
    assert 'test_crash' in printed  # in the interpreter's account of the crash


def test_tests_that_cannot_be_collected_fail(outcome_of):
    outcome, printed = outcome_of("""
    import a_module_that_is_not_there
    """)
    assert outcome.counts['failed'] >= 1
    assert 'a_module_that_is_not_there' in printed


def test_group_that_hangs_ends_and_fails(outcome_of, monkeypatch):
    monkeypatch.setattr(run, 'TIME_LIMIT', 3)
    outcome, printed = outcome_of("""
    import time

    def test_wait():
        time.sleep(600)
    """)
    assert outcome.counts == {'failed': 1}
    assert 'ended after 3 s' in printed

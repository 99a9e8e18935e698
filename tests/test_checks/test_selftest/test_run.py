"""Processes of the self-test that end badly, what the machine's page says, and the report."""

import json
import subprocess
import sys

import pytest

from msseg.checks import machine
from msseg.checks.selftest import run
from msseg.checks.selftest.check import Bench, Check, CheckFailed, Found, NotApplicable, Record
from msseg.checks.selftest.check import run_check as run_one
from msseg.checks.selftest.report import PARTS, SelfTestReport
from msseg.checks.selftest.run import Worker, compare_cann, read_records, run_selftest
from msseg.commands import selftest


@pytest.fixture
def worker(tmp_path):
    bench = Bench('CPU', 'float32', tmp_path, 2)
    module = 'tests.test_checks.test_selftest.stub_worker'
    return Worker(bench, module=module, patience_s=2.0)


def statuses(records):
    return [(record.title, record.status) for record in records]


def test_what_watches_over_the_processes_does_not_import_mindspore():
    program = 'import sys, msseg.checks.selftest.run; sys.exit("mindspore" in sys.modules)'
    subprocess.run([sys.executable, '-c', program], check=True)


def test_an_interrupt_ends_what_runs(worker):
    worker.is_over.set()
    records, _ = worker.run('late')
    assert len(records) < 3
    report = make_report()
    run._run_parts(('loading',), worker, report, pytest.fail)
    assert len(report.records) == 3


def test_a_part_that_runs_through(worker):
    records, said = worker.run('fine')
    assert statuses(records) == [('first', 'ok'), ('second', 'ok'), ('third', 'ok')]
    assert records[0].found == 'first of CPU' and said == ''


@pytest.mark.parametrize(
    ('part', 'how'), [('killed', 'ended with status -9: the driver is gone'), ('late', 'too long')]
)
def test_a_check_that_ends_its_process_has_failed_and_the_others_are_done(worker, part, how):
    records, said = worker.run(part)
    assert statuses(records) == [('first', 'ok'), ('second', 'failed'), ('third', 'ok')]
    assert how in records[1].found and 'report it' in records[1].todo
    assert ('driver is gone' in said) == (part == 'killed')


def test_a_process_that_does_not_start_or_does_not_end(worker):
    (record,), said = worker.run('never')
    assert record.title == 'process at its start' and 'status 1: error: no driver' in record.found
    assert said == 'error: no driver\n'
    *records, last = worker.run('bad_end')[0]
    assert statuses(records) == [('first', 'ok'), ('second', 'ok'), ('third', 'ok')]
    assert last.title == 'process after third' and 'status 7' in last.found


def test_a_check_that_fails_or_does_not_fit_is_written_down(tmp_path):
    def fail(bench):
        raise CheckFailed('it is wrong')

    def refuse(bench):
        raise NotApplicable('not here')

    bench, file = Bench('CPU', 'float32', tmp_path), tmp_path / 'x.jsonl'
    for title, function in (('a', fail), ('b', refuse), ('c', lambda _: Found('fine', {'n': 2}))):
        run_one(Check(title, function, 'mend it'), bench, file)
    begun, records = read_records('x', file)
    assert begun is None
    assert statuses(records) == [('a', 'failed'), ('b', 'not applicable'), ('c', 'ok')]
    assert [record.todo for record in records] == ['mend it', '', '']
    assert records[2].values == {'n': 2.0}


@pytest.fixture
def page(monkeypatch):
    """A machine with two GPUs."""
    found = machine.Report(['msseg 1', 'Python 3'], [], {'CPU': 'works', 'GPU': 'works: 2 cards'})
    found.cards |= {'CPU': 1, 'GPU': 2}
    monkeypatch.setattr(machine, 'examine_machine', lambda: found)
    monkeypatch.setattr(run, '_run_on_device', lambda report, number, say: None)
    return found


def test_the_best_device_and_all_its_cards_are_taken(page):
    report = run_selftest()
    assert (report.device, report.processes) == ('GPU', 2)
    assert statuses(report.records) == [('GPU', 'ok'), ('msseg doctor', 'ok')]
    assert run_selftest('cpu').processes == 2
    assert run_selftest('cuda:1').processes == 1
    with pytest.raises(ValueError, match=r'--devices is 3, expected at most 2'):
        run_selftest('GPU', 3)
    with pytest.raises(ValueError, match=r'--devices is 2, expected 1 for one card'):
        run_selftest('GPU:1', 2)


def test_a_device_that_does_not_work_is_a_failure_with_its_reason(page, monkeypatch):
    monkeypatch.delenv('ASCEND_HOME_PATH', raising=False)
    page.devices['Ascend'] = 'not available: libascend_hal.so is missing'
    page.problems.append('only 1.0 GiB of memory are free')
    report = run_selftest('npu')
    assert not report.passed
    card, doctor, cann = report.records
    assert card.status == 'failed' and 'libascend_hal.so' in card.found
    assert 'docs/ascend.md' in card.todo
    assert doctor.status == 'failed' and '1.0 GiB' in doctor.found
    assert cann.status == 'failed' and 'set_env.sh' in cann.found


@pytest.mark.parametrize(
    ('version', 'mindspore', 'fits'),
    [('8.3.0.1', '2.8.0', True), ('9.0.0', '2.8.0', False), ('9.0.0', '2.10.0', True),
     ('8.3.0', '2.7.2', None), ('', '2.8.0', None)],
)  # fmt: skip
def test_cann_is_compared_with_mindspores_list(tmp_path, monkeypatch, version, mindspore, fits):
    monkeypatch.setenv('ASCEND_HOME_PATH', str(tmp_path))
    (tmp_path / 'compiler').mkdir()
    (tmp_path / 'compiler' / 'version.info').write_text(f'package=x\nVersion={version}\n')
    assert compare_cann(mindspore)[0] is fits


def make_report():
    page = machine.Report(['msseg 1', 'Python 3'])
    records = [
        Record('float16', 'overflow', 'failed', 'weights have changed', 'do not use fp16'),
        Record('float32', 'losses', 'ok', '1e-7 from float64', values={'loss': 1e-7}),
        Record('together', 'several processes', 'not applicable', 'one process'),
    ]
    return SelfTestReport('GPU', 1, 'msseg 1', page.text(), records, {'float16': 'a\nb'}, 12.3)


def test_the_report_has_a_line_for_each_check_by_part_and_says_what_to_do():
    lines = make_report().text().splitlines()
    assert lines[0] == 'msseg self-test of GPU with 1 process'
    assert lines[2] == '3 checks in 12 s: 1 ok, 1 failed, 1 not applicable'
    shown = [line for line in lines if line.startswith('  ok') or ': ' in line and '  ' in line]
    assert lines.index('  ok      losses: 1e-7 from float64') < lines.index(
        '  FAILED  overflow: weights have changed'
    )
    position = lines.index('  FAILED  overflow: weights have changed')
    assert lines[position + 1] == '          what to do: do not use fp16'
    assert '  n/a     several processes: one process' in shown
    assert '  | b' in lines
    assert {record.part for record in make_report().records} <= PARTS.keys()


def test_every_part_that_runs_has_a_title():
    assert {'machine', *run._NUMBERS, *run._RUNS} == PARTS.keys()


def test_the_command_writes_both_files_and_its_status_says_whether_all_passed(
    tmp_path, monkeypatch, capsys
):
    report = make_report()
    monkeypatch.setattr(run, 'run_selftest', lambda *args: report)
    file = tmp_path / 'new' / 'report.txt'
    assert selftest.main(['--out', str(file)]) == 1
    assert file.read_text() == report.text() == capsys.readouterr().out[:-1]
    content = json.loads(file.with_suffix('.json').read_text())
    assert content['passed'] is False and content['records'][1]['values'] == {'loss': 1e-7}
    report.records.pop(0)
    assert selftest.main([]) == 0


@pytest.mark.parametrize(
    ('words', 'message'),
    [(['--out', 'report.pdf'], "'report.pdf', expected a name that ends in .txt"),
     (['--devices', '0'], '--devices is 0, expected a whole number from 1'),
     (['--device', 'TPU'], "device 'TPU' is not known")],
)  # fmt: skip
def test_wrong_options(words, message):
    with pytest.raises(ValueError, match=message):
        selftest.main(words)

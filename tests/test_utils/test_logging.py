"""Logs whose disk fails: /dev/full takes no byte."""

import logging
import resource
import sys

import pytest

from msseg.utils.logging import (
    Console,
    PatientFile,
    PatientFileHandler,
    close_logging,
    log_early,
    setup_logging,
)
from msseg.utils.say import say


@pytest.fixture
def write_limit():
    """Set how large a file may get; None is as large as before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def set_limit(size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft if size is None else size, hard))

    yield set_limit
    set_limit(None)


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


def test_names_that_are_no_utf_8_are_escaped(tmp_path, capfd):
    handler = PatientFileHandler(tmp_path / 'a.log')
    handler.emit(logging.makeLogRecord({'msg': 'a\udcff'}))
    handler.close()
    say('b\udcff')
    assert (tmp_path / 'a.log').read_text() == 'a\\udcff\n'
    assert capfd.readouterr().out == 'b\\udcff\n'


def test_log_goes_on_when_the_disk_has_room_again(tmp_path, caplog, write_limit, capfd):
    handler = PatientFileHandler(tmp_path / 'a.log')
    log = logging.getLogger('test_log_file')
    log.addHandler(handler)
    log.propagate = False
    try:
        log.error('first')
        for _ in range(2):
            write_limit(10)
            log.error('lost, and too long')
            log.error('lost, and too long')
            write_limit(None)
            log.error('again')
    finally:
        log.removeHandler(handler)
        handler.close()
    lines = (tmp_path / 'a.log').read_text().splitlines()
    assert lines[0] == 'first' and lines[-1].endswith('again')
    assert len(messages(caplog)) == 2
    assert 'a.log cannot be written (File too large): its next lines are lost' in caplog.text
    assert capfd.readouterr().err == ''


def test_full_disk_is_said_once_on_the_console_and_closing_is_quiet(capfd):
    logger = setup_logging('/dev/full')
    try:
        logger.info('one')
        logger.info('two')
    finally:
        close_logging()
    out, err = capfd.readouterr()
    texts = [line.split(' - ')[-1] for line in out.splitlines()]
    assert texts[0] == 'one' and texts[-1] == 'two'
    assert texts[1].startswith('log /dev/full cannot be written (No space left on device)')
    assert len(texts) == 3
    assert err == ''


def test_lines_are_whole_or_not_there(tmp_path, caplog, write_limit):
    file = PatientFile(tmp_path / 'a.json')
    file.append('{"a": 1}\n')
    write_limit(12)
    file.append('{"b": 2}\n')
    file.append('{"c": 3}\n')
    write_limit(None)
    file.append('{"d": 4}\n')
    assert (tmp_path / 'a.json').read_text() == '{"a": 1}\n{"d": 4}\n'
    assert caplog.text.count('cannot be written') == 1


def test_folder_that_went_away_is_said_once(tmp_path, caplog):
    file = PatientFile(tmp_path / 'lost' / 'a.json')
    file.append('x')
    file.append('x')
    assert caplog.text.count('a.json cannot be written (No such file or directory)') == 1


class FullStream:
    def write(self, text):
        raise OSError('no room')

    def flush(self):
        raise OSError('no room')


def test_console_that_takes_nothing_is_no_noise(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'stdout', FullStream())
    console = Console()
    console.emit(logging.makeLogRecord({'msg': 'lost'}))
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize('make', [Console, lambda: PatientFileHandler('/dev/null')])
def test_mistakes_in_a_message_are_shown_as_logging_does(make, capsys):
    handler = make()
    handler.emit(logging.makeLogRecord({'msg': '%d', 'args': ('no number',)}))
    assert 'Logging error' in capsys.readouterr().err


def test_what_is_found_before_the_log_is_set_up_is_in_it_once(tmp_path, capsys):
    close_logging()
    logging.getLogger('msseg').setLevel(logging.WARNING)
    for message in ('50 % of it', '50 % of it', 'more'):
        log_early(message)
    assert capsys.readouterr() == ('', '')
    for name in ('a.log', 'b.log'):
        setup_logging(tmp_path / name)
    log_early('at once')
    close_logging()
    lines = (tmp_path / 'a.log').read_text().splitlines()
    assert [line.rpartition(' - ')[2] for line in lines] == ['50 % of it', 'more']
    assert 'at once' in (tmp_path / 'b.log').read_text()

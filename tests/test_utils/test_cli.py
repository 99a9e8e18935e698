"""The frame of command lines: one line for each mistake."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from msseg.registry import Registry
from msseg.utils.cli import CommandParser, one_line, run_main
from msseg.utils.logging import close_logging, setup_logging
from msseg.utils.shown import shorten, shown


@pytest.fixture
def parser():
    parser = CommandParser(prog='train.py')
    for name in ('--work-dir', '--cfg-options', '--device-id', '--resume-from', '--show-dir',
                 '--data-url', '--checkpoint-url'):  # fmt: skip
        parser.add_argument(name)
    return parser


@pytest.fixture
def commands():
    parser = CommandParser(prog='benchmark.py')
    parser.add_subparsers(dest='command').add_parser('step').add_argument('--iters', type=int)
    return parser


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        ('--work_dri x', "'--work_dri'. Did you mean '--work-dir'?"),
        ('--work_dri=x', "'--work_dri=x'. Did you mean '--work-dir'?"),
        ('--Work-Dirs x', "Did you mean '--work-dir'?"),
        ('-work-dir x', "Did you mean '--work-dir'?"),
        ('--gpu-ids 0 1', '--gpu-ids: for several cards use msseg dist train CONFIG N'),
        ('--gpus 2', '--gpus: for several cards use msseg dist train CONFIG N'),
        ('--output-dir x', "unrecognized argument '--output-dir'"),
        ('--zzz', "unrecognized argument '--zzz'. (--help lists the options)"),
        ('two', 'A value with spaces needs quotes'),
        ('--work-dir', 'expected one argument'),
        ('--\x1b[31m', "unrecognized argument '--\\x1b[31m'"),
    ],
)
def test_wrong_options_are_one_line_with_a_suggestion(parser, capsys, line, message):
    with pytest.raises(SystemExit) as end:
        parser.parse_args(line.split())
    text = capsys.readouterr().err
    assert end.value.code == 2 and text.startswith('train.py') and message in text
    assert text.count('\n') == 1


@pytest.mark.parametrize(
    ('line', 'expected', 'note'),
    [
        ('--work_dir x', {'work_dir': 'x'}, 'note: --work_dir is --work-dir here\n'),
        ('--work_dir=x', {'work_dir': 'x'}, 'note: --work_dir is --work-dir here\n'),
        ('--options a=1', {'cfg_options': 'a=1'}, 'note: --options is --cfg-options here\n'),
        ('--gpu-ids 0', {'device_id': '0'}, 'note: --gpu-ids is --device-id here\n'),
        ('--gpu_id 1', {'device_id': '1'}, 'note: --gpu_id is --device-id here\n'),
        ('--show-dir x', {'show_dir': 'x'}, ''),
        ('--ckpt_url x', {'checkpoint_url': 'x'}, 'note: --ckpt_url is --checkpoint-url here\n'),
        ('--data_url=x', {'data_url': 'x'}, 'note: --data_url is --data-url here\n'),
    ],
)
def test_old_spellings_are_taken_with_a_note(parser, capfd, line, expected, note):
    found = vars(parser.parse_args(line.split()))
    assert {key: value for key, value in found.items() if value is not None} == expected
    assert capfd.readouterr().err == note


def test_options_that_need_nothing_here_are_dropped_with_a_note(capfd):
    parser = CommandParser(prog='test.py')
    parser.add_argument('--aug-test', action='store_true')
    parser.add_argument('files', nargs='*')
    args = parser.parse_intermixed_args(['a', '--gpu-collect', '--tmpdir', 'x', 'b', '--tta'])
    assert (args.files, args.aug_test) == (['a', 'b'], True)
    notes = capfd.readouterr().err.splitlines()
    assert [line.partition(' ')[2].partition(' ')[0] for line in notes] == [
        '--gpu-collect',
        '--tmpdir',
        '--tta',
    ]


def test_options_of_subcommands(commands, capsys):
    assert commands.parse_args(['step', '--iters', '3']).iters == 3
    for line, message in {
        'step --iter_s 3': "unrecognized argument '--iter_s'. Did you mean '--iters'?",
        'step --iters x': "step: error: argument --iters: invalid int value: 'x'",
        'stop': "invalid choice: 'stop'",
    }.items():
        with pytest.raises(SystemExit):
            commands.parse_args(line.split())
        assert message in capsys.readouterr().err


def test_right_options_are_taken_and_may_be_shortened(parser):
    assert parser.parse_args(['--work', 'x']).work_dir == 'x'


def test_a_line_has_no_control_characters_and_an_end():
    text = one_line(ValueError('\x1b[31mred\r\n\u202ename\udce4 ' + 'x' * 10_000 + ' end'))
    assert text.startswith('\\x1b[31mred \\u202ename\\udce4 xxx') and text.endswith('xxx end')
    assert len(text) == 800 and text.isprintable()


@pytest.mark.parametrize(
    ('fail', 'line'),
    [
        (lambda: Path('/nowhere/a.npz').read_text(), '/nowhere/a.npz: no such file or directory'),
        (lambda: os.listdir(b'/nowhere'), '/nowhere: no such file or directory'),
        (lambda: Path('/').read_text(), '/: is a directory'),
        (lambda: os.rename('/nowhere/a', '/b'), '/nowhere/a -> /b: no such file or directory'),
        (lambda: os.close(10**6), 'bad file descriptor'),
    ],
)
def test_errors_of_the_operating_system_begin_with_the_file_and_have_no_number(fail, line):
    with pytest.raises(OSError) as raised:
        fail()
    assert one_line(raised.value) == line


def test_an_own_message_of_an_os_error_stays():
    assert one_line(FileNotFoundError('a.npz: there is no such file')) == (
        'a.npz: there is no such file'
    )


def test_stacks_of_the_framework_are_cut_away():
    stack = '-' * 60 + '\n- C++ Call Stack: (For framework developers)\n' + '-' * 60 + '\nmind.cc:1'
    assert one_line(ValueError(f"For 'Add', x is wrong.\n\n{stack}")) == "For 'Add', x is wrong."
    assert one_line(KeyError('a ---- b')) == 'a ---- b'
    assert one_line(ValueError()) == 'ValueError'


def test_values_are_shown_short_and_the_environment_never(monkeypatch):
    monkeypatch.setenv('TOKEN', 'the secret')
    for value in (os.environ, dict(os.environ), {'a': [{**os.environ, 'b': 1}]}):
        assert 'secret' not in shown(value) and '<the environment>' in shown(value)
    assert one_line(ValueError('lr is the secret')) == 'lr is <TOKEN>'
    assert shown({'Bearer the secret': 1}) == "{'Bearer <TOKEN>': 1}"
    monkeypatch.setenv('TOKEN', os.getcwd())  # the folder of a key, say
    assert shown(os.getcwd()) == repr(os.getcwd())
    assert shown({'a': [1, 2.5, None, 'x']}) == "{'a': [1, 2.5, None, 'x']}"
    assert len(shown(list(range(10**6)))) <= 200 and len(shown('x' * 10**6)) <= 200
    assert shown(10**5000) == '<a whole number of 16610 bits>'
    assert shown(object()) == '<builtins.object object>' and shown(len) == '<builtins.len>'
    assert shorten('abcdefghij', 6) == 'abcd … '


PARTS = Registry('part')


@PARTS.register_module()
class Part:
    """Runs into what its values make of it."""

    def __init__(self, kind, value):
        self.value = kind(value)


@pytest.mark.parametrize(
    ('kind', 'value', 'message'),
    [
        (int, float('inf'), r'OverflowError: cannot convert float infinity'),
        (lambda value: 1 // value, 0, r'ZeroDivisionError'),
        (lambda value: value[1], (0.9,), r'IndexError: tuple index out of range'),
        (lambda value: value.items(), 5, r"AttributeError: 'int' object has no attribute 'items'"),
        (bytearray, 10**15, r'MemoryError'),
    ],
)
def test_what_constructors_run_into_names_values_and_place(kind, value, message):
    expected = rf'Part cannot be made of .*value.*test_cli.py, line \d+: {message}'
    with pytest.raises(ValueError, match=expected):
        PARTS.build(dict(type='Part', kind=kind, value=value))


def test_the_command_ends_with_one_line(capsys):
    with pytest.raises(SystemExit) as end:
        run_main(lambda: PARTS.build(dict(type='Part', kind=int, value=float('nan') * 0 or 'x\n')))
    error = capsys.readouterr().err
    assert end.value.code == 1 and error.startswith('error: ') and error.count('\n') == 1


def test_log_lines_do_not_control_a_terminal(tmp_path):
    logger = setup_logging(tmp_path / 'a.log')
    logger.warning('skipped %s\n  two lines', '\x1b[31mred\r')
    close_logging()
    text = (tmp_path / 'a.log').read_text()
    assert 'skipped \\x1b[31mred\\r\n  two lines' in text and '\x1b' not in text


def test_an_import_of_another_framework_while_a_tool_runs_is_explained(
    tmp_path, capsys, monkeypatch
):
    (tmp_path / 'late_import.py').write_text('def call():\n    from mmcv.cnn import ConvModule\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, 'mmcv', None)
    with pytest.raises(SystemExit):
        run_main(lambda: importlib.import_module('late_import').call())
    error = capsys.readouterr().err
    assert 'late_import.py imports what is not here: line 2: mmcv.cnn.ConvModule -> msseg.' in error

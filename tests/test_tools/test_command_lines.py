"""What holds for every command line: those of tools/, and the sub-commands of msseg."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from msseg import commands
from msseg.commands.convert_datasets import DATASETS

ROOT = Path(__file__).parents[2]
TOOLS = sorted((ROOT / 'tools').rglob('*.py'))
COMMANDS = sorted((ROOT / 'msseg' / 'commands').rglob('*.py'))
NAMES = [tool.relative_to(ROOT).as_posix() for tool in TOOLS]
PRODUCTS = (
    *('msseg.checks', 'msseg.export', 'msseg.own_data', 'msseg.prediction', 'msseg.reports'),
    'msseg.serving',
)
ALLOWED = (
    *PRODUCTS,
    'msseg.apis',
    'msseg.commands',
    'msseg.config',
    'msseg.launch',
    'msseg.models.analysis',
    'msseg.utils',
    'msseg.version',
    'msseg.weights',
)


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, *map(str, arguments)], capture_output=True, text=True, **options
    )


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom):
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@pytest.mark.parametrize(
    'tool', [*TOOLS, *COMMANDS], ids=lambda tool: f'{tool.parent.name}-{tool.stem}'
)
def test_tools_enter_from_above_only(tool):
    own = [name for name in imports_of(tool) if name.split('.')[0] == 'msseg']
    allowed = (*ALLOWED, 'msseg.datasets') if tool.parent.name == 'convert_datasets' else ALLOWED
    assert own or tool.name == '__init__.py'
    assert [name for name in own if not name.startswith(allowed)] == []


@pytest.mark.parametrize('tool', TOOLS, ids=NAMES)
def test_tools_explain_themselves(tool):
    shown = run(tool, '--help')
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith('usage: ')


@pytest.mark.parametrize('command', commands.COMMANDS, ids=lambda command: command.name)
def test_sub_commands_explain_themselves(command, capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/bin/msseg', command.name, '--help'])
    with pytest.raises(SystemExit) as end:
        commands.main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith(f'usage: msseg {command.name} ')
    assert command.help[:1].islower() and not command.help.endswith('.')


def test_help_is_a_command_too(capsys, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/bin/msseg', 'help', 'flops'])
    with pytest.raises(SystemExit) as end:
        commands.main()
    assert end.value.code == 0
    assert capsys.readouterr().out.startswith('usage: msseg flops ')


def test_every_module_of_a_command_is_in_the_table_once():
    modules = [command.module for command in commands.COMMANDS]
    found = {path for path in COMMANDS if '\ndef main(' in path.read_text(encoding='utf-8')}
    tops = {path.stem for path in found if path.parent.name == 'commands'} - {'__init__'}
    assert sorted(modules) == sorted(tops)
    nested = {path.stem for path in found if path.parent.name == 'convert_datasets'}
    assert nested == set(DATASETS)
    assert len({command.name for command in commands.COMMANDS}) == len(modules)


def test_msseg_lists_its_commands_and_imports_only_the_chosen_one():
    shown = run('-m', 'msseg').stdout
    for command in commands.COMMANDS:
        assert f'\n  {command.name} ' in shown
    code = (
        "import sys; sys.argv[1:] = ['print-config', 'none.py']\n"
        'from msseg.commands import main\n'
        'try: main()\n'
        'except FileNotFoundError: print(*sys.modules)'
    )
    imported = [name for name in run('-c', code).stdout.split() if 'msseg.commands.' in name]
    assert imported == ['msseg.commands.print_config']


@pytest.mark.parametrize(
    ('word', 'answer'),
    [
        ('trian', "Did you mean 'train'?"),
        ('check_dataset.py', "Did you mean 'check-data'?"),
        ('get-flops', "Did you mean 'flops'?"),
        ('xyz', 'There are: train, test, '),
        ('--verson', "Did you mean '--version'?"),
        ('convert-dataset', 'NAME is missing: one of camvid, '),
        ('convert-dataset citscapes', "Did you mean 'cityscapes'?"),
    ],
)
def test_a_wrong_command_ends_in_one_line_with_the_right_one(word, answer, capsys):
    with pytest.raises(SystemExit) as end:
        commands.main(word.split())
    [line] = capsys.readouterr().err.splitlines()
    assert end.value.code == 2
    assert 'error: ' in line and answer in line


@pytest.mark.parametrize('words', [['-m', 'msseg', 'print-config'], ['tools/print_config.py']])
def test_a_command_and_its_script_end_alike(words):
    missing = run(*words, 'none.py', cwd=ROOT)
    assert missing.returncode == 1
    assert missing.stderr.startswith("error: config file 'none.py' does not exist")
    assert len(missing.stderr.splitlines()) == 1


def test_benchmark_lists_what_it_measures():
    shown = run(ROOT / 'tools' / 'benchmark.py', '--help').stdout
    for name in ('pipeline', 'metric', 'step', 'inference'):
        assert f'    {name} ' in shown


def test_analyze_logs_draws_or_says_in_one_line_why_not(tmp_path):
    tool, log = ROOT / 'tools' / 'analyze_logs.py', tmp_path / 'a.log.json'
    log.write_text(json.dumps({'mode': 'train', 'epoch': 1, 'iter': 1, 'loss': 1.0}))
    drawn = run(tool, log, cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / 'curve.png').stat().st_size > 1000
    missing = run(tool, tmp_path / 'b.log.json', cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr.startswith('error: ')
    assert len(missing.stderr.splitlines()) == 1
    assert 'b.log.json' in missing.stderr

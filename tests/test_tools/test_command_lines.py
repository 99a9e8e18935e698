"""What holds for every command line in tools/."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = sorted((ROOT / 'tools').rglob('*.py'))
NAMES = [tool.relative_to(ROOT).as_posix() for tool in TOOLS]
PRODUCTS = (
    *('msseg.checks', 'msseg.export', 'msseg.own_data', 'msseg.prediction', 'msseg.reports'),
)
ALLOWED = (
    *PRODUCTS,
    'msseg.apis',
    'msseg.config',
    'msseg.launch',
    'msseg.models.analysis',
    'msseg.utils',
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


@pytest.mark.parametrize('tool', TOOLS, ids=NAMES)
def test_tools_enter_from_above_only(tool):
    own = [name for name in imports_of(tool) if name.split('.')[0] == 'msseg']
    allowed = (*ALLOWED, 'msseg.datasets') if tool.parent.name == 'convert_datasets' else ALLOWED
    assert own
    assert [name for name in own if not name.startswith(allowed)] == []


@pytest.mark.parametrize('tool', TOOLS, ids=NAMES)
def test_tools_explain_themselves(tool):
    shown = run(tool, '--help')
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith('usage: ')


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

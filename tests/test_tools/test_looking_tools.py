"""The command lines that show something: they do it, or say in one line why not."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.tiny import write_config, write_discs

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run(monkeypatch, capfd):
    """Run a tool in this process; return its exit status, stdout and stderr."""

    def run_tool(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [tool, *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
        except SystemExit as end:
            status = end.code
        return status, *capfd.readouterr()

    return run_tool


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path, write_discs(tmp_path, count=2))


def test_flops(run, config):
    status, said, _ = run('get_flops.py', config, '--shape', '48', '--depth', '1')
    assert status == 0
    assert 'one image of 48x48' in said
    assert '| backbone ' in said and '| all ' in said
    status, _, errors = run('get_flops.py', config, '--shape', '4', '5', '6')
    assert status == 1
    assert errors.startswith('error: --shape is [4, 5, 6]') and len(errors.splitlines()) == 1


def test_browse(run, config, tmp_path):
    status, said, _ = run('browse_dataset.py', config, '--out', tmp_path / 'b', '--count', '1')
    assert status == 0
    assert said.endswith(f'wrote {tmp_path}/b/samples.html\n')
    assert (tmp_path / 'b' / 'samples.html').stat().st_size > 5000


def test_confusion(run, config, tmp_path):
    np.savez(tmp_path / 'labels.npz', **{f'disc_{i}': np.zeros((48, 64), int) for i in range(2)})
    out = tmp_path / 'c.png'
    status, said, _ = run(
        'confusion_matrix.py', config, tmp_path / 'labels.npz', '--out', out, '--title', 'x'
    )
    assert status == 0
    assert said.endswith(f'wrote {out}\n')
    assert out.stat().st_size > 5000
    status, _, errors = run('confusion_matrix.py', config, tmp_path / 'absent.npz')
    assert status == 1
    assert 'absent.npz' in errors.splitlines()[-1]


def test_several_logs(run, tmp_path):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        entry = {'mode': 'train', 'epoch': 1, 'iter': 1, 'loss': 1.0, 'time': 0.5, 'data_time': 0.1}
        (tmp_path / name / 'a.log.json').write_text(json.dumps(entry))
    out = tmp_path / 'runs.png'
    status, said, _ = run('analyze_logs.py', tmp_path / 'one', tmp_path / 'two', '--out', out)
    assert status == 0
    assert '| one ' in said and '| two ' in said and said.endswith(f'wrote {out}\n')
    assert out.stat().st_size > 5000

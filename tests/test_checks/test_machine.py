"""The doctor of a machine: what its page says where MindSpore, or a library of it, is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from msseg.checks import machine

ROOT = Path(__file__).parents[2]
WORKS = ({'available': True, 'count': 1, 'right': True, 'seconds': 0.1}, '')
ABSENT = ({'available': False}, '')


@pytest.fixture
def examine(monkeypatch):
    """Return what gives the page, with these answers of the probes in place of MindSpore's."""

    def run(broken=None, **answers):
        broken = broken or {}
        given = {'CPU': WORKS, 'GPU': ABSENT, 'Ascend': ABSENT, **answers}
        monkeypatch.setattr(machine, '_examine', given.get)
        monkeypatch.setattr(machine, 'find_broken_imports', lambda: broken)
        return machine.examine_machine()

    return run


def test_a_page_shows_versions_devices_memory_disks_and_caches(examine, monkeypatch, tmp_path):
    monkeypatch.setenv('MSSEG_HOME', str(tmp_path / 'weights'))
    text = examine().text()
    for part in ('msseg 0.', f'({sys.executable})', '\n  mindspore ', '\n  CPU ', 'works: a conv',
                 '\n  memory ', f'free in {tmp_path / "weights"}, does not exist yet',
                 'compiled graphs', '\n  MSSEG_HOME  '):  # fmt: skip
        assert part in text
    assert text.splitlines()[2].startswith(f'{len(list((ROOT / "configs").glob("[!_]*/*.py")))} ')


def test_it_says_which_libraries_of_a_plugin_are_missing(examine, monkeypatch, tmp_path):
    plugin = tmp_path / 'plugin' / 'libmindspore_gpu.so.11.6'
    plugin.parent.mkdir()
    plugin.touch()
    (tmp_path / 'libown.so').touch()
    monkeypatch.setattr(machine, '_plugin_folder', lambda: plugin.parent)
    monkeypatch.setattr(machine.shutil, 'which', lambda name: f'/usr/bin/{name}')
    missing = ('libown.so', 'libcuda.so.1', 'libcudnn.so.8', 'libcufft.so.10', 'libcurand.so.10')
    output = ''.join(f'\t{name} => not found\n' for name in missing) + '\tlibm.so.6 => /lib/libm\n'
    run = subprocess.run

    def instead(words, **options):
        if words[0] == 'ldd':
            return subprocess.CompletedProcess(words, 0, output, '')
        return run(words, **options)

    monkeypatch.setattr(machine.subprocess, 'run', instead)
    text = examine().text()
    assert (
        'libmindspore_gpu.so.11.6 lacks the NVIDIA driver: libcuda.so.1; cuDNN 8: libcudnn.so.8; '
        'CUDA 11: libcufft.so.10, libcurand.so.10' in text
    )
    assert 'Ascend' in text and 'this MindSpore has no plugin for it' in text
    assert 'libown' not in text
    output = ''
    assert 'has its libraries, but finds no card' in examine().text()


@pytest.mark.parametrize(
    ('answers', 'problem'),
    [
        ({'GPU': (None, 'no answer within 180 s')}, 'GPU: no answer within 180 s'),
        ({'CPU': ({**WORKS[0], 'right': False}, '')}, 'CPU: a convolution gives wrong numbers'),
        (
            dict.fromkeys(('CPU', 'GPU', 'Ascend'), (None, 'ImportError: libgomp.so.1')),
            'MindSpore cannot be used: ImportError: libgomp.so.1',
        ),
    ],
)
def test_what_does_not_work_is_a_problem(examine, answers, problem):
    report = examine(**answers)
    assert report.problems == [problem]
    assert report.text().endswith(f'problems\n  - {problem}')


def test_packages_that_are_missing_old_or_broken_are_problems(examine, monkeypatch):
    wanted = {
        'no-such-thing': (Requirement('no-such-thing>=1'), []),
        'not-wanted-thing': (Requirement('not-wanted-thing'), ['extra']),
        'numpy': (Requirement('numpy>=99'), []),
        'PyYAML': (Requirement('PyYAML>=1'), []),
    }
    monkeypatch.setattr(machine, 'read_requirements', lambda: wanted)
    report = examine({'PyYAML': 'libyaml.so'})
    assert "pip install 'msseg[extra]'" in report.text()
    missing, old, broken = report.problems
    assert missing == "no-such-thing is not installed: pip install 'no-such-thing>=1'"
    assert old.startswith('numpy is ') and 'expected >=99' in old
    assert broken == 'PyYAML does not import: libyaml.so'


def test_the_requirements_are_those_of_requirements_txt_and_setup_py():
    found = machine.read_requirements()
    for name in ('mindspore', 'numpy', 'opencv-python', 'PyYAML'):
        assert found[name][1] == []
    lines = (ROOT / 'requirements.txt').read_text().splitlines()
    for line in lines:
        if line.startswith('numpy'):
            assert found['numpy'][0].specifier == Requirement(line).specifier


def test_without_mindspore_the_page_comes_and_the_status_is_1(tmp_path):
    (tmp_path / 'mindspore').mkdir()
    (tmp_path / 'mindspore' / '__init__.py').write_text("raise ImportError('libgomp.so.1: gone')")
    run = subprocess.run(
        [sys.executable, '-m', 'msseg', 'doctor'],
        env={'PATH': '/usr/bin:/bin', 'PYTHONPATH': f'{tmp_path}:{ROOT}', 'HOME': str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (run.returncode, run.stderr) == (1, '')
    assert 'MindSpore cannot be used: ImportError: libgomp.so.1: gone' in run.stdout
    assert '\nresources\n' in run.stdout

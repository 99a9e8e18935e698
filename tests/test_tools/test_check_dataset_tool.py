"""The command line of the doctor of data sets."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import write_config, write_discs

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'check_dataset.py'


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the tool in this process; return its exit status, stdout and stderr."""

    def run_tool(*arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(TOOL), run_name='__main__')
        except SystemExit as end:
            status = end.code or 0
        out = capfd.readouterr()
        assert 'Traceback' not in out.err
        return status, out.out, out.err

    return run_tool


@pytest.fixture
def tiny(tmp_path):
    root = write_discs(tmp_path / 'data', count=3)
    for kind in ('images', 'labels'):
        (root / 'val' / kind).mkdir(parents=True)
        (root / kind / 'disc_2.png').rename(root / 'val' / kind / 'disc_2.png')
    more = """
for _split in ('val', 'test'):
    data[_split].update(img_dir='val/images', ann_dir='val/labels')
"""
    return root, write_config(tmp_path, root, more)


def test_exit_status_says_whether_there_are_errors(run, tmp_path, tiny):
    root, config = tiny
    assert run(config)[0] == 0

    (root / 'labels/disc_9.png').write_bytes((root / 'labels/disc_0.png').read_bytes())
    status, out, err = run(config)
    assert (status, err) == (0, '')
    assert 'warning: label without image (1, in train)' in out
    assert out.endswith('0 errors, 1 warning\n')

    (root / 'val/images/disc_2.png').write_bytes(b'')
    status, out, err = run(config, '--split', 'val', 'train', '--json', tmp_path / 'found.json')
    assert (status, err) == (1, '')
    assert out.index('error: empty file (1, in val)') < out.index('warning: label without image')
    assert out.endswith('1 error, 1 warning\n')
    found = json.loads((tmp_path / 'found.json').read_text())
    assert (found['num_errors'], found['num_warnings']) == (1, 1)
    assert found['findings'][0]['files'] == [
        {'path': str(root / 'val/images/disc_2.png'), 'note': 'it has 0 bytes'}
    ]
    assert list(found['splits']) == ['val', 'train']
    assert [c['name'] for c in found['splits']['train']['classes']] == ['ground', 'disc', None]
    assert found['splits']['val']['img_norm_cfg'] is None


def test_options_change_the_config(run, tiny):
    root, config = tiny
    status, out, _ = run(
        config, '--split', 'train', '--workers', '0', '--beta', '0.99',
        '--cfg-options', 'data.train.ignore_index=254',
    )  # fmt: skip
    assert status == 1
    assert 'label value out of range (2, in train)' in out
    assert 'beta=0.99' in out


def test_only_the_first_files_are_named(run, tiny):
    root, config = tiny
    for i in range(20, 32):
        (root / f'images/disc_{i}.png').write_bytes(b'')
    _, out, _ = run(config, '--split', 'train')
    assert '… and 7 more' in out.split('error: empty file (12, in train)')[1]


@pytest.mark.parametrize(
    ('arguments', 'phrases'),
    [
        (['absent.py'], ['absent.py']),
        (['CONFIG', '--workers', '-1'], ['workers=-1', '0 or more']),
        (['CONFIG', '--beta', '1'], ['beta=1.0', 'between 0 and 1']),
        (['CONFIG', '--json', 'none/a.json'], ['none/a.json', 'no such folder']),
        (['CONFIG', '--cfg-options', 'data.train.img_dirs=a'], ['img_dirs', "'img_dir'"]),
        (['CONFIG', '--cfg-options', 'data.train.type=CustomDatset'], ["'CustomDataset'"]),
        (['CONFIG', '--cfg-options', 'data.train.classes=none.txt'], ['none.txt', 'no file']),
        (['CONFIG', '--cfg-options', 'data.val=None', '--split', 'val'], ["'data.val'"]),
    ],
)
def test_bad_input_is_one_line(run, tiny, arguments, phrases):
    status, out, err = run(*(tiny[1] if a == 'CONFIG' else a for a in arguments))
    assert (status, out) == (1, '')
    assert err.startswith('error: ') and len(err.splitlines()) == 1
    for phrase in phrases:
        assert phrase in err


def test_wrong_split_is_a_wrong_argument(run, tiny):
    status, _, err = run(tiny[1], '--split', 'trian')
    assert status == 2 and "invalid choice: 'trian'" in err


def test_model_may_be_wrong_or_missing(run, tmp_path, tiny):
    text = tiny[1].read_text()
    (tmp_path / 'data_only.py').write_text(f"{text}\nmodel = dict(type='Nothing')\n")
    assert run(tmp_path / 'data_only.py')[0] == 0


def test_processes_of_the_command_line_start_by_spawning(tiny):
    environment = {**os.environ, 'PYTHONPATH': str(TOOL.parents[1])}
    done = subprocess.run(
        [sys.executable, TOOL, tiny[1], '--workers', '2'],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.endswith('nothing is wrong\n')

"""The command line of the doctor of configs."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from msseg.commands import check_config, check_dataset
from tests.test_checks.test_config.nuclei_config import write_configs

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'check_config.py'


@pytest.fixture
def run(monkeypatch, capfd):
    """Run the tool in this process; return its exit status, stdout and stderr."""

    def run_tool(*arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOL), '--device', 'CPU', *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(TOOL), run_name='__main__')
        except SystemExit as end:
            status = end.code or 0
        out = capfd.readouterr()
        assert 'Traceback' not in out.err
        return status, out.out, out.err

    return run_tool


def test_exit_status_says_whether_there_are_errors(run, tmp_path):
    path = write_configs(tmp_path)
    status, out, err = run(path, '--no-step')
    assert (status, err) == (0, '')
    assert out.endswith('nothing is wrong\n') and 'one step' not in out

    status, out, _ = run(path, '--no-step', '--cfg-options', 'data.samples_per_gpu=1')
    assert status == 0
    assert 'warning: samples_per_gpu 1 with BN (1)\n    data.samples_per_gpu (--cfg-options)' in out
    assert out.endswith('0 errors, 1 warning\n')

    options = ['data.samples_per_gpu=1', 'model.decode_head.1.num_classes=7']
    found = tmp_path / 'found.json'
    status, out, err = run(path, '--json', found, '--cfg-options', *options)
    assert (status, err) == (1, '')
    assert out.index('error: wrong num_classes (1)') < out.index('warning: samples_per_gpu 1')
    assert out.endswith('1 error, 1 warning\n')
    written = json.loads(found.read_text())
    assert (written['num_errors'], written['num_warnings']) == (1, 1)
    assert written['findings'][0]['places'] == [
        {
            'key': 'model.decode_head[1].num_classes',
            'origin': '--cfg-options',
            'note': '7, but data.train (NucleiDataset) has 2 classes: background, nucleus',
        }
    ]
    assert written['splits']['val']['num_images'] == 50


def test_without_files_no_data_are_needed(run, tmp_path):
    missing = ['--cfg-options', 'data.train.data_root=nowhere']
    assert run(write_configs(tmp_path), '--no-files', *missing)[0] == 0
    assert run(write_configs(tmp_path), '--no-step', *missing)[0] == 1


@pytest.mark.parametrize(
    ('arguments', 'phrases'),
    [
        (['absent.py'], ['absent.py']),
        (['CONFIG', '--json', 'none/a.json'], ['none/a.json', 'no such folder']),
        (['CONFIG', '--device', 'TPU'], ["'TPU'", 'CPU']),
        (['CONFIG', '--cfg-options', 'model.decode_head.0.num_clases=3'], ["'num_classes'"]),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, arguments, phrases):
    path = write_configs(tmp_path)
    status, out, err = run(*(path if argument == 'CONFIG' else argument for argument in arguments))
    assert (status, out) == (1, '')
    assert err.startswith('error: ') and len(err.splitlines()) == 1
    for phrase in phrases:
        assert phrase in err


@pytest.mark.parametrize('command', [check_config, check_dataset])
def test_findings_do_not_replace_a_config_that_is_named_without_its_ending(
    command, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    text = '{"_base_": "msseg::demo/ocrnet_nuclei.py"}'
    Path('mine.json').write_text(text)
    with pytest.raises(ValueError, match='mine.json'):
        command.main(['mine', '--json', 'mine.json'])
    assert Path('mine.json').read_text() == text

"""tools/convert_from_torch.py from file to file, and what it says to wrong input."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from msseg.runner.checkpoint import load_checkpoint
from tests.test_convert.torch_files import Call, dump, write_zip

ROOT = Path(__file__).resolve().parents[2]
PARITY = ROOT / 'tests' / 'data' / 'parity'
OFFICIAL, MMSEG = PARITY / 'official-hrnet-ocr-tiny.pth', PARITY / 'mmseg-ocrnet-tiny.pth'
IMAGENET = PARITY / 'imagenet-hrnet-tiny.pth'

# The network of the files, as a config.
CONFIG = """
_base_ = ['{root}/configs/_base_/models/ocrnet_hr18.py']
model = dict(
    backbone=dict(extra=dict(
        stage1=dict(num_blocks=(1,), num_channels=(8,)),
        stage2=dict(num_blocks=(1, 1), num_channels=(4, 8)),
        stage3=dict(num_modules=2, num_blocks=(1,) * 3, num_channels=(4, 8, 16)),
        stage4=dict(num_modules=1, num_blocks=(1,) * 4, num_channels=(4, 8, 16, 32)))),
    decode_head={
        '*': dict(in_channels=[4, 8, 16, 32], num_classes=7),
        0: dict(channels=60), 1: dict(channels=16, ocr_channels=8)})
"""


@pytest.fixture
def convert(monkeypatch, capfd):
    """Run the tool; return what it printed, or its error's one line."""

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['convert_from_torch.py', *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(ROOT / 'tools/convert_from_torch.py'), run_name='__main__')
        except SystemExit as end:
            status = end.code
        output = capfd.readouterr()
        if not status:
            return output.out
        lines = [line for line in output.err.splitlines() if line]
        assert len(lines) == 1 and lines[0].startswith('error: '), output.err
        return lines[0]

    return run


@pytest.fixture
def config(tmp_path):
    def write(more=''):
        path = tmp_path / 'tiny.py'
        path.write_text(CONFIG.replace('{root}', str(ROOT)) + more)
        return path

    return write


def test_names_alone(convert, tmp_path):
    text = convert(OFFICIAL, tmp_path / 'a.ckpt', '--report', tmp_path / 'a.json')
    assert "names of style 'official'" in text and 'wrote' in text and '379 parameters' in text
    assert '| decode_head.1 |      42 |' in text
    written = load_checkpoint(tmp_path / 'a.ckpt')
    assert written.meta == {'converted_from': OFFICIAL.name, 'style': 'official'}
    source = load_checkpoint(OFFICIAL).weights
    np.testing.assert_array_equal(
        written.weights['decode_head.0.convs.0.bn.moving_mean'],
        source['aux_head.1.running_mean'] - source['aux_head.0.bias'],
    )
    entries = json.loads((tmp_path / 'a.json').read_text())['parameters']
    assert {entry['source'] for entry in entries} == set(source)


@pytest.mark.parametrize(
    ('source', 'more'),
    [
        (MMSEG, ''),
        (OFFICIAL, ''),
        (OFFICIAL, "\nmodel['decode_head']['*']['conv_bias'] = True"),
        (OFFICIAL, "\nmodel['decode_head'][1]['dropout_ratio'] = 0.05"),
        (IMAGENET, ''),
    ],
    ids=['mmseg', 'official', 'official with biases', 'official with dropout', 'imagenet'],
)
def test_checked_against_a_config(convert, config, tmp_path, source, more):
    text = convert(source, tmp_path / 'a.ckpt', '--config', config(more))
    weights = load_checkpoint(tmp_path / 'a.ckpt').weights
    has_bias = 'conv_bias' in more
    assert ('decode_head.1.bottleneck.conv.bias' in weights) == has_bias
    assert len(weights) == (330 if source == IMAGENET else 381 if has_bias else 379)
    assert f'| total         | {len(weights):7d} |' in text or source == IMAGENET


def test_missing_parameters_fail_and_nothing_but_the_report_is_written(convert, config, tmp_path):
    more = "\nmodel['backbone']['extra']['stage4']['num_modules'] = 2"
    arguments = ['--config', config(more), '--report', tmp_path / 'a.txt']
    line = convert(MMSEG, tmp_path / 'a.ckpt', *arguments)
    assert 'does not fill the model of' in line and 'missing, such as' in line
    assert not (tmp_path / 'a.ckpt').exists()
    assert '\nmissing: ' in (tmp_path / 'a.txt').read_text()


def test_other_shapes_fail(convert, config, tmp_path):
    more = "\nmodel['decode_head']['*']['num_classes'] = 19"
    line = convert(MMSEG, tmp_path / 'a.ckpt', '--config', config(more))
    assert "such as 'decode_head.0.conv_seg.weight' ((7, 60, 1, 1) in the file" in line
    assert not (tmp_path / 'a.ckpt').exists()


def test_converting_twice_changes_nothing(convert, tmp_path):
    convert(MMSEG, tmp_path / 'a.ckpt')
    convert(tmp_path / 'a.ckpt', tmp_path / 'b.ckpt')
    first, second = load_checkpoint(tmp_path / 'a.ckpt'), load_checkpoint(tmp_path / 'b.ckpt')
    assert set(first.weights) == set(second.weights)
    name = 'decode_head.1.bottleneck.bn.moving_mean'
    np.testing.assert_array_equal(first.weights[name], second.weights[name])


def test_attack_is_one_line(convert, tmp_path):
    path = write_zip(tmp_path / 'a.pth', dump(Call('os', 'system', f'touch {tmp_path}/ran')))
    assert "asks for 'os.system', which no weights need" in convert(path, tmp_path / 'a.ckpt')
    assert not (tmp_path / 'ran').exists() and not (tmp_path / 'a.ckpt').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['absent.pth', 'a.ckpt'], "'absent.pth' is not a file"),
        ([MMSEG, 'a.pth'], "'a.pth' does not end in .ckpt"),
        ([MMSEG, 'no/a.ckpt'], "the folder of destination 'no/a.ckpt' does not exist"),
        ([MMSEG, 'a.ckpt', '--style', 'mmsg'], "style is 'mmsg', expected one of"),
        ([MMSEG, 'a.ckpt', '--style', 'imagenet'], 'no parameter is known or fits the model'),
        ([MMSEG, 'a.ckpt', '--config', 'absent.py'], 'absent.py'),
    ],
)
def test_wrong_arguments(convert, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in convert(*arguments)


def test_source_is_not_overwritten(convert, tmp_path):
    path = tmp_path / 'a.ckpt'
    path.write_bytes(MMSEG.read_bytes())
    assert 'is the source itself' in convert(path, path)
    assert path.read_bytes() == MMSEG.read_bytes()

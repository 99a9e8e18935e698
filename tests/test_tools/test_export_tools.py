"""tools/export.py and tools/deploy_test.py: what they print, and what they refuse in one line."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from msseg.deploy import Predictor
from msseg.utils.device import set_seed
from tests.test_deploy.onnx_file import write_onnx
from tests.test_tools.bad_input_cases import World

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
SIZE = '--size 48 64'


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A network of two convolutions, its checkpoint ``a.ckpt`` and two images of 48x64."""
    world = World(tmp_path, "data['test'] = data['val']\n", False, monkeypatch)
    set_seed(0)
    world.save('a.ckpt', meta={'CLASSES': ['ground', 'disc'], 'PALETTE': [[0, 0, 0], [9, 9, 9]]})
    return world


@pytest.fixture
def run(world, monkeypatch, capfd):
    """Run a tool in this process; return its exit status and the lines on stdout and stderr."""

    def run_tool(line):
        line = line.replace('CONFIG', str(world.config)).replace('CKPT', f'{world}/a.ckpt')
        tool, *arguments = line.replace('{folder}', str(world)).split()
        # It keeps the signal from the whole process, which lives on after a tool here.
        monkeypatch.setattr('msseg.utils.stop_signals.hear_interrupts', lambda: None)
        monkeypatch.setattr(sys, 'argv', [tool, *arguments])
        status = 0
        try:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
        except SystemExit as end:
            status = end.code
        output = capfd.readouterr()
        return status, output.out.splitlines(), [line for line in output.err.splitlines() if line]

    return run_tool


def test_a_network_is_exported_and_scored(run, world):
    status, lines, _ = run(f'export.py CONFIG CKPT {SIZE} --dynamic --out {{folder}}/new/a.onnx')
    assert status == 0
    assert lines[0].endswith('image float32 (N, 3, H, W) -> logits float32 (N, 2, H, W)')
    assert '100.0000 % of pixels equal on 2 images' in lines[1]
    assert sorted(p.name for p in (world.folder / 'new').iterdir()) == ['a.onnx', 'a.onnx.json']
    predictor = Predictor(world.folder / 'new' / 'a.onnx')
    assert predictor.classes == ('ground', 'disc')
    assert predictor(np.zeros((48, 80, 3), np.uint8)).shape == (48, 80)

    status, lines, _ = run('deploy_test.py {folder}/new/a.onnx CONFIG --eval mIoU mDice')
    assert status == 0
    assert any('mIoU' in line and 'mDice' in line for line in lines)


MISTAKES = {
    'an unknown format': (
        f'export.py CONFIG CKPT {SIZE} --format onx --out {{folder}}/a.onx',
        "--format is 'onx', expected one of ['mindir', 'onnx', 'air']. Did you mean 'onnx'?",
    ),
    'another ending': (
        f'export.py CONFIG CKPT {SIZE} --format onnx --out {{folder}}/a.mindir',
        'expected a name that ends in .onnx for --format onnx',
    ),
    'AIR without Ascend': (
        f'export.py CONFIG CKPT {SIZE} --out {{folder}}/a.air --device CPU',
        "Ascend's compiler makes AIR files, and this process computes on CPU",
    ),
    'no size': (
        'export.py CONFIG CKPT --size 0 64 --out {folder}/a.onnx',
        '--size is (0, 64), expected numbers from 1',
    ),
    'any batch and a batch': (
        f'export.py CONFIG CKPT {SIZE} --dynamic --batch 2 --out {{folder}}/a.onnx',
        '--dynamic takes any number of images at once; leave --batch out',
    ),
    'no checkpoint': (
        f'export.py CONFIG {{folder}}/b.ckpt {SIZE} --out {{folder}}/a.onnx',
        "b.ckpt' is not a file",
    ),
    'a checkpoint of another config': (
        f'export.py CONFIG {{folder}}/b.ckpt {SIZE} --out {{folder}}/a.onnx',
        'does not fit the model',
    ),
    'a folder in place of a file': (
        f'export.py CONFIG CKPT {SIZE} --out {{folder}}/taken.onnx',
        'which is a folder; give a file name',
    ),
    'a file in place of a folder': (
        f'export.py CONFIG CKPT {SIZE} --out {{folder}}/a.ckpt/a.onnx',
        'a.ckpt',
    ),
    'no image to compare on': (
        f'export.py CONFIG CKPT {SIZE} --out {{folder}}/a.onnx --images {{folder}}/b.png',
        'b.png: there is no such file',
    ),
    'a pipeline that is none': (
        f'export.py CONFIG CKPT {SIZE} --out {{folder}}/a.onnx --cfg-options '
        'data.test.pipeline=[Resize]',
        "pipeline is ['Resize'] (set in --cfg-options), expected a list, each a dict",
    ),
    'no exported file': (
        'deploy_test.py {folder}/b.onnx CONFIG',
        'b.onnx: there is no such file',
    ),
    'a checkpoint in place of an exported file': (
        'deploy_test.py CKPT CONFIG',
        "an exported file ends in one of ['.mindir', '.onnx', '.ms'], this one in '.ckpt'",
    ),
    'an exported file that was cut': (
        'deploy_test.py {folder}/cut.onnx CONFIG',
        'cut.onnx: is no ONNX model, or was cut short',
    ),
    'an exported file for another size': (
        'deploy_test.py {folder}/size.onnx CONFIG',
        'takes images of 6x8 (height x width), got 48x64',
    ),
    'an archive of another format': (
        'deploy_test.py {folder}/size.onnx CONFIG --out {folder}/a.zip',
        'expected a name ending in .npz',
    ),
    'an unknown metric': (
        'deploy_test.py {folder}/size.onnx CONFIG --eval mIuO',
        "Did you mean 'mIoU'?",
    ),
    'other classes': (
        'deploy_test.py {folder}/size.onnx CONFIG --cfg-options data.test.classes=[a,b,c]',
        'size.onnx has the 2 classes',
    ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_said_in_one_line_and_leaves_no_file(run, world, name):
    line, phrase = MISTAKES[name]
    if name == 'a checkpoint of another config':
        world.save('b.ckpt', channels=5, in_channels=5)
    (world.folder / 'taken.onnx').mkdir()
    for file in ('cut.onnx', 'size.onnx'):
        write_onnx(world.folder / file)
    cut = world.folder / 'cut.onnx'
    cut.write_bytes(cut.read_bytes()[:200])
    before = sorted(world.folder.rglob('*'))
    status, _, lines = run(line)
    assert (status, len(lines)) == (1, 1), lines
    assert lines[0].startswith('error: ')
    assert phrase in lines[0]
    assert sorted(world.folder.rglob('*')) == before

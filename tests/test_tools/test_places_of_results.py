"""No tool writes over what it reads, nor over pictures and pages that msseg has not written."""

import json
import os
import runpy
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.commands.convert_datasets.camvid import convert_camvid
from msseg.commands.convert_datasets.cityscapes import convert_cityscapes
from msseg.launch.modelarts import LocalFolders
from msseg.runner.checkpoint import save_weights
from tests.tiny import write_config, write_discs

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder with a config, data, a checkpoint, a log and an archive of labels."""
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, write_discs(tmp_path, count=2))
    save_weights('a.ckpt', {'backbone.w': np.zeros(3, np.float32)}, {})
    lines = [{'mode': 'train', 'epoch': 1, 'iter': i, 'loss': 1.0} for i in (1, 2)]
    Path('run.log.json').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    labels = {f'disc_{i}': cv2.imread(f'labels/disc_{i}.png', 0) for i in range(2)}
    np.savez('labels.npz', **labels)
    Path('users.html').write_text('<html>mine</html>')
    return tmp_path


@pytest.fixture
def error_of(monkeypatch, capfd):
    def run(tool, *arguments):
        monkeypatch.setattr(sys, 'argv', [str(TOOLS / tool), *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            runpy.run_path(str(TOOLS / tool), run_name='__main__')
        assert end.value.code == 1
        line = capfd.readouterr().err.splitlines()[-1]
        assert line.startswith('error: ')
        return line

    return run


def content(folder):
    return {path: path.read_bytes() for path in Path(folder).rglob('*') if path.is_file()}


# the tool, what it is given before the place of its result, and what it reads
FILES = {
    'analyze_logs.py': (['run.log.json', '--out'], 'run.log.json'),
    'confusion_matrix.py': (['tiny.py', 'labels.npz', '--out'], 'labels.npz'),
    'check_config.py': (['tiny.py', '--no-files', '--json'], 'tiny.py'),
    'check_dataset.py': (['tiny.py', '--json'], 'tiny.py'),
    'convert_from_torch.py': (['a.ckpt', 'new.ckpt', '--report'], 'a.ckpt'),
}


@pytest.mark.parametrize('tool', FILES)
@pytest.mark.parametrize('way', ['itself', 'absolute', 'upward', 'symbolic link', 'hard link'])
def test_a_file_is_not_written_over_what_is_read(world, error_of, tool, way):
    arguments, source = FILES[tool]
    target = {
        'itself': source, 'absolute': world / source, 'upward': f'images/../{source}',
    }.get(way, 'link' + Path(source).suffix)  # fmt: skip
    if way.endswith('link'):
        (os.symlink if way.startswith('sym') else os.link)(source, target)
    before = content(world)
    assert 'would replace the input' in error_of(tool, *arguments, target)
    assert content(world) == before


@pytest.mark.parametrize(
    ('tool', 'arguments', 'said'),
    [
        ('analyze_logs.py', ['run.log.json', '--out', 'images/disc_0.png'], 'not written by msseg'),
        ('confusion_matrix.py', ['tiny.py', 'labels.npz', '--out', 'images/disc_0.png'], 'replace'),
        ('check_config.py', ['tiny.py', '--json', 'images/disc_0.png'], 'is no .json file'),
        ('check_dataset.py', ['tiny.py', '--json', 'images/disc_0.png'], 'is no .json file'),
        ('browse_dataset.py', ['tiny.py', '--out', 'browsed'], 'not written by msseg'),
        ('export.py', ['tiny.py', 'a.ckpt', '--size', '32', '32', '--out', 'a.onnx'], 'replace'),
        ('convert_from_torch.py', ['a.ckpt', 'b.ckpt', '--report', 'b.ckpt'], 'twice'),
        ('deploy/preprocess.py', ['tiny.py', '--out', 'prepared'], 'is no list'),
    ],
)
def test_what_is_the_users_stays(world, error_of, tool, arguments, said):
    Path('browsed').mkdir()
    Path('users.html').rename('browsed/samples.html')
    Path('prepared').mkdir()
    Path('prepared/inputs.json').write_text('{"mine": 1}')
    os.link('tiny.py', 'a.onnx.json')
    before = content(world)
    assert said in error_of(tool, *arguments)
    assert content(world) == before


@pytest.mark.parametrize('link', ['000000_disc_0.bin', 'inputs.json'])
def test_prepared_inputs_keep_to_their_folder(world, error_of, link):
    Path('prepared').mkdir()
    Path('prepared', link).symlink_to(world / 'images' / 'disc_0.png')
    before = content(world)
    assert 'outside of' in error_of('deploy/preprocess.py', 'tiny.py', '--out', 'prepared')
    assert content(world) == before


@pytest.fixture
def cityscapes(tmp_path):
    for city in ('a', 'b'):
        folder = tmp_path / 'cs' / 'gtFine' / 'train' / city
        folder.mkdir(parents=True)
        Image.new('L', (4, 3), 7).save(folder / f'{city}_gtFine_labelIds.png')
    return tmp_path / 'cs'


def test_converting_cityscapes_keeps_what_is_the_users(cityscapes, tmp_path):
    assert convert_cityscapes(cityscapes) == {'train': 2}
    assert convert_cityscapes(cityscapes) == {'train': 2}, 'once more, over our own files'
    (cityscapes / 'train.txt').write_text('a list of mine\n')
    before = content(cityscapes)
    with pytest.raises(FileExistsError, match=r"train\.txt' is there already and lists other"):
        convert_cityscapes(cityscapes)
    (cityscapes / 'train.txt').unlink()
    users = cityscapes / 'gtFine/train/b/b_gtFine_labelTrainIds.png'
    Image.new('L', (4, 3)).save(users)
    with pytest.raises(FileExistsError, match=r'labelTrainIds.*not written by msseg'):
        convert_cityscapes(cityscapes)
    users.unlink()
    users.symlink_to(tmp_path / 'elsewhere.png')
    with pytest.raises(ValueError, match='outside of'):
        convert_cityscapes(cityscapes)
    users.unlink()
    after = content(cityscapes)
    assert all(before[path] == after[path] for path in after)


def test_labels_that_lie_elsewhere_are_converted_there(cityscapes, tmp_path):
    (cityscapes / 'gtFine').rename(tmp_path / 'labels')
    (cityscapes / 'gtFine').symlink_to(tmp_path / 'labels')
    assert convert_cityscapes(cityscapes) == {'train': 2}


def test_converting_camvid_keeps_what_is_the_users(tmp_path):
    for name in ('train/1.png', 'trainannot/1.png', 'test/1.png', 'testannot/1.png'):
        path = tmp_path / 'in' / name
        path.parent.mkdir(parents=True)
        Image.new('L' if 'annot' in name else 'RGB', (4, 3)).save(path)
    source, out = tmp_path / 'in', tmp_path / 'out'
    for _ in range(2):
        assert convert_camvid(source, out) == {'train': 1, 'test': 1}
    Image.new('RGB', (4, 3), 9).save(out / 'images/train/1.png')
    before = content(tmp_path)
    with pytest.raises(FileExistsError, match='not written by msseg'):
        convert_camvid(source, out)
    (out / 'images/train/1.png').unlink()
    (out / 'images/train/1.png').symlink_to(source / 'train/1.png')
    with pytest.raises(ValueError, match=r'outside of|replace the input'):
        convert_camvid(source, out)
    (out / 'images/train/1.png').unlink()
    assert all(before[path] == data for path, data in content(tmp_path).items())


@pytest.mark.parametrize('path', ['/abs/out', '../out', 'a/../../out'])
def test_results_on_modelarts_lie_below_the_work_dir(path):
    folders = LocalFolders(Path('work'), Path('root'))
    assert folders.output('shown') == 'work/shown'
    with pytest.raises(ValueError, match='results lie below the work dir'):
        folders.output(path)

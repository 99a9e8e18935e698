"""Archives of retinas become what their data sets read; tried on tiny made-up files."""

import gzip
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from msseg.commands.convert_datasets.chase_db1 import convert_chase_db1
from msseg.commands.convert_datasets.drive import convert_drive
from msseg.commands.convert_datasets.hrf import convert_hrf
from msseg.commands.convert_datasets.stare import convert_stare
from msseg.datasets import build_dataset
from msseg.datasets.picture_archives import PictureArchive

TOOLS = Path(__file__).parents[2] / 'tools' / 'convert_datasets'
VALUES = np.array([[0, 127], [128, 255]], np.uint8)
LABEL = [[0, 0], [1, 1]]


def encode(suffix, is_label):
    content = io.BytesIO()
    if is_label:
        picture = Image.fromarray(VALUES)
    else:
        picture = Image.fromarray(np.full((2, 2, 3), (200, 100, 0), np.uint8))
    picture.save(content, {'.jpg': 'jpeg', '.tif': 'tiff', '.JPG': 'jpeg'}.get(suffix, suffix[1:]))
    return content.getvalue()


def content_of(name):
    is_label = any(part in name for part in ('manual', 'HO', '.ah', '.vk', 'labels'))
    data = encode(Path(name.removesuffix('.gz')).suffix, is_label)
    return gzip.compress(data) if name.endswith('.gz') else data


def pack(path, names, as_label=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = {name: encode(Path(name).suffix, True) if as_label else content_of(name)
            for name in names}  # fmt: skip
    if path.suffix == '.zip':
        with zipfile.ZipFile(path, 'w') as archive:
            for name, data in made.items():
                archive.writestr(name, data)
    elif path.suffix == '.tar':
        with tarfile.open(path, 'w') as archive:
            for name, data in made.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    else:
        for name, data in made.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    return path


def check(kind, out, training, validation, is_exact=True):
    """Each image has its label, and values are those of the archives."""
    for split, count in (('training', training), ('validation', validation)):
        dataset = build_dataset(
            dict(type=kind, data_root=str(out), img_dir=f'images/{split}',
                 ann_dir=f'annotations/{split}', pipeline=[])
        )  # fmt: skip
        assert len(dataset) == count
        for i in range(count):
            assert dataset.get_gt_seg_map(i).tolist() == LABEL
            pixels = np.array(Image.open(dataset.get_filename(i)))
            np.testing.assert_allclose(pixels, np.full((2, 2, 3), (200, 100, 0)), atol=3)


@pytest.mark.parametrize('suffix', ['.zip', ''])
def test_drive(tmp_path, suffix):
    archives = []
    for part, ending, start in (('training', 'training', 21), ('test', 'test', 1)):
        names = []
        for i in (start, start + 1):
            names += [
                f'{part}/images/{i:02}_{ending}.tif',
                f'{part}/1st_manual/{i:02}_manual1.gif',
                f'{part}/mask/{i:02}_{ending}_mask.gif',
            ]
        if part == 'test':
            names += ['test/2nd_manual/01_manual2.gif']
        archives.append(pack(tmp_path / f'{part}{suffix}', names))
    counts = convert_drive(*archives, tmp_path / 'out')
    assert counts == {
        'images/training': 2, 'annotations/training': 2,
        'images/validation': 2, 'annotations/validation': 3,
    }  # fmt: skip
    check('DRIVEDataset', tmp_path / 'out', 2, 2)
    assert convert_drive(*archives, tmp_path / 'out') == counts, 'once more, over our own files'


@pytest.mark.parametrize('suffix', ['.tar', ''])
def test_stare(tmp_path, suffix):
    stems = [f'im{i:04}' for i in range(1, 21)]
    archives = [
        pack(tmp_path / f'{name}{suffix}', [f'{stem}{kind}.ppm.gz' for stem in stems])
        for name, kind in (('images', ''), ('labels-ah', '.ah'), ('labels-vk', '.vk'))
    ]
    convert_stare(*archives, out=tmp_path / 'out')
    check('STAREDataset', tmp_path / 'out', 10, 10)
    assert (tmp_path / 'out/annotations/training/im0010.vk.png').is_file()


def test_chase_db1(tmp_path):
    stems = [f'Image_{i:02}{eye}' for i in range(1, 15) for eye in 'LR']
    names = [f'{stem}{end}' for stem in stems for end in ('.jpg', '_1stHO.png', '_2ndHO.png')]
    convert_chase_db1(pack(tmp_path / 'CHASEDB1.zip', names), tmp_path / 'out')
    check('ChaseDB1Dataset', tmp_path / 'out', 20, 8)
    assert (tmp_path / 'out/images/validation/Image_11L.png').is_file()


def test_hrf(tmp_path):
    images, labels = [], []
    for group, end, suffix in (('healthy', 'h', '.jpg'), ('glaucoma', 'g', '.jpg'),
                               ('diabetic_retinopathy', 'dr', '.JPG')):  # fmt: skip
        stems = [f'{i:02}_{end}' for i in range(1, 16)]
        images.append(pack(tmp_path / f'{group}.zip', [f'{stem}{suffix}' for stem in stems]))
        path = tmp_path / f'{group}_manualsegm.zip'
        labels.append(pack(path, [f'{stem}.tif' for stem in stems], as_label=True))
    convert_hrf(images, labels, tmp_path / 'out')
    check('HRFDataset', tmp_path / 'out', 15, 30)


def test_what_is_no_download_is_refused(tmp_path):
    out = tmp_path / 'out'
    with pytest.raises(FileNotFoundError, match=r'no\.zip: there is no such file or folder'):
        convert_chase_db1(tmp_path / 'no.zip', out)
    (tmp_path / 'text.zip').write_text('text')
    with pytest.raises(ValueError, match='neither a ZIP nor a tar archive.*download it again'):
        convert_chase_db1(tmp_path / 'text.zip', out)
    few = pack(tmp_path / 'few.zip', ['a.jpg'])
    with pytest.raises(ValueError, match='it holds 1 pictures, expected 84'):
        convert_chase_db1(few, out)
    with pytest.raises(ValueError, match='no folder images or 1st_manual'):
        convert_drive(few, few, out)
    with zipfile.ZipFile(tmp_path / 'damaged.zip', 'w') as archive:
        archive.writestr('images/a.tif', b'no picture')
    with pytest.raises(ValueError, match=r'damaged\.zip: images/a\.tif cannot be read'):
        convert_drive(tmp_path / 'damaged.zip', tmp_path / 'damaged.zip', tmp_path / 'other')
    with zipfile.ZipFile(tmp_path / 'empty.zip', 'w') as archive:
        archive.writestr('readme.txt', 'text')
    with pytest.raises(ValueError, match='it holds no pictures'):
        PictureArchive(tmp_path / 'empty.zip')
    assert not out.exists()


def test_the_users_files_are_kept_and_nothing_lies_outside(tmp_path):
    archive = pack(tmp_path / 'a.zip', ['../images/../../images/x.png', '1st_manual/x_manual1.png'])
    out = tmp_path / 'in' / 'out'
    convert_drive(archive, pack(tmp_path / 'b.zip', ['images/y.png']), out)
    files = sorted(p.relative_to(out).as_posix() for p in out.rglob('*') if p.is_file())
    assert files == [
        'annotations/training/x_manual1.png', 'images/training/x.png', 'images/validation/y.png',
    ]  # fmt: skip
    assert [p.name for p in (tmp_path / 'in').iterdir()] == ['out']
    users = out / 'images/training/x.png'
    Image.new('RGB', (2, 2)).save(users)
    before = users.read_bytes()
    with pytest.raises(FileExistsError, match='not written by msseg'):
        convert_drive(archive, archive, out)
    assert users.read_bytes() == before


def test_a_command_line_ends_with_one_line(tmp_path):
    command = [sys.executable, str(TOOLS / 'stare.py'), 'a.tar', 'b.tar', 'c.tar']
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert finished.returncode == 1
    assert finished.stderr.splitlines()[-1].startswith('error: a.tar: there is no such file')

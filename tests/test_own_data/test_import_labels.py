"""Annotations of labelling tools become label files; what is wrong with them is one line."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

import msseg.own_data.import_labels as import_module
from msseg.own_data.import_labels import READERS, ImportOptions, import_labels
from msseg.own_data.source import Source
from msseg.utils.errors import UserError
from tests import labelling_tools
from tests.labelling_tools import CLASSES, NAMES, NUM_IMAGES, WRITERS, label_of


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    """The twelve images in each format."""
    root = tmp_path_factory.mktemp('twelve')
    for kind, write in WRITERS.items():
        write(root / kind)
    return root


@pytest.fixture
def make(written, tmp_path):
    """Copy a format's folder, so that it may be spoilt; return how to import it."""

    def copy(kind):
        shutil.copytree(written / kind, tmp_path / kind)
        return tmp_path / kind

    return copy


def run(kind, root, out=None, classes=None, images=(), label_map=None, **options):
    source = Source(
        root, images, classes or (CLASSES if kind == 'labelstudio' else None), label_map
    )
    return import_labels(kind, source, out or root.parent / 'out', ImportOptions(**options))


def labels_in(out):
    return {
        path.relative_to(out / 'annotations').as_posix(): path.read_bytes()
        for path in sorted((out / 'annotations').rglob('*.png'))
    }


def test_all_formats_give_the_same_label_files(written, tmp_path):
    results = {}
    for kind in READERS:
        run(kind, written / kind, tmp_path / kind)
        results[kind] = labels_in(tmp_path / kind)
    assert all(result == results['folder'] for result in results.values())
    assert len(results['folder']) == NUM_IMAGES
    for name in results['folder']:
        label = np.array(Image.open(tmp_path / 'coco' / 'annotations' / name))
        assert (label == label_of(NAMES.index(name.split('/', 1)[1]))).all()


def test_images_are_copied_or_linked(make, tmp_path):
    root = make('cvat')
    run('cvat', root, val=0.25)
    run('cvat', root, tmp_path / 'linked', link=True, val=0.25)
    copies, links = (
        sorted(p for p in (tmp_path / out / 'images').rglob('*.png')) for out in ('out', 'linked')
    )
    assert [p.read_bytes() for p in copies] == [p.read_bytes() for p in links]
    assert not any(p.is_symlink() for p in copies)
    assert all(p.resolve().is_relative_to(root.resolve()) for p in links)
    assert len([p for p in copies if p.parts[-3] == 'val']) == 3


def test_the_report_says_what_was_decided(make):
    lines = run('yolo', make('yolo')).lines
    assert lines[0] == '12 images: 10 train, 2 val (0.2 for validation, by class, seed 0)'
    assert 'classes.txt' in lines[1]
    assert lines[2] == '  0 background: in 10 train, 2 val images, also of pixels without an object'
    assert lines[5] == '  3 debris: in 3 train, 1 val images'


# ------------------------------------------------------------------------------- classes
def edit_json(file, change):
    document = json.loads(file.read_text())
    change(document)
    file.write_text(json.dumps(document))


def test_without_a_background_one_is_added(make):
    root = make('coco')

    def rename(document):
        document['categories'][0]['name'] = 'glass'

    edit_json(root / 'annotations' / 'cells.json', rename)
    lines = run('coco', root).lines
    assert lines[2].startswith('  0 background: ')
    assert lines[3].startswith('  1 glass: ')


def test_pixels_without_an_object_may_not_count(make, tmp_path):
    root = make('coco')
    run('coco', root, background='none')
    run('coco', root, tmp_path / 'other', background='cell')
    name = next(iter(labels_in(tmp_path / 'out')))
    plain, other = (
        np.array(Image.open(tmp_path / o / 'annotations' / name)) for o in ('out', 'other')
    )
    assert plain[0, 0] == 255
    assert other[0, 0] == 1


def test_the_users_order_of_classes_holds(make, tmp_path):
    run('labelstudio', make('labelstudio'), classes=CLASSES[::-1])
    name = next(iter(labels_in(tmp_path / 'out')))
    label = np.array(Image.open(tmp_path / 'out' / 'annotations' / name))
    assert (label == 3 - label_of(NAMES.index(name.split('/', 1)[1]))).all()


@pytest.mark.parametrize(
    ('kind', 'options'),
    [('rgb', dict(ignored=['cell'])), ('voc', dict(background='none')),
     ('folder', dict(overlap='area')), ('coco', dict(label_map={1: 1}))],
)  # fmt: skip
def test_options_without_effect_are_refused(make, kind, options):
    with pytest.raises(ValueError, match=f'--.*no effect on {kind}'):
        run(kind, make(kind), **options)


def test_one_class_alone_is_refused(make):
    with pytest.raises(ValueError, match='only class'):
        run('coco', make('coco'), ignored=CLASSES[1:])


def test_an_import_that_was_stopped_can_be_repeated(make, tmp_path, monkeypatch):
    root = make('folder')
    write, count = import_module.write_label_file, []

    def stop(*arguments):
        count.append(1)
        if len(count) > 3:
            raise KeyboardInterrupt
        write(*arguments)

    monkeypatch.setattr(import_module, 'write_label_file', stop)
    with pytest.raises(KeyboardInterrupt):
        run('folder', root)
    monkeypatch.undo()
    run('folder', root, force=True)
    assert len(labels_in(tmp_path / 'out')) == NUM_IMAGES


def test_crowds_and_ignored_labels_do_not_count(make, tmp_path):
    root = make('coco')

    def crowd(document):
        for node in document['annotations']:
            node['iscrowd'] = int(node['category_id'] == 31)

    edit_json(root / 'annotations' / 'cells.json', crowd)
    lines = run('coco', root, ignored=['nucleus']).lines
    assert any('crowd' in line and '(4 times)' in line for line in lines)
    for name in labels_in(tmp_path / 'out'):
        expected = label_of(NAMES.index(name.split('/', 1)[1]))
        label = np.array(Image.open(tmp_path / 'out' / 'annotations' / name))
        assert ((label == 255) == (expected >= 2)).all()


def test_ranges_of_values_number_the_objects_of_a_class(tmp_path):
    for folder in ('img', 'masks'):
        (tmp_path / 'src' / folder).mkdir(parents=True)
    for i in range(2):
        Image.new('RGB', (4, 3)).save(tmp_path / 'src' / 'img' / f'{i}_sat.png')
        mask = np.array([[0, 1, 2, 300]] * 3, np.uint16)
        Image.fromarray(mask).save(tmp_path / 'src' / 'masks' / f'{i}_mask.png')
    label_map = {range(1, 65536): 1}
    run('folder', tmp_path / 'src', classes=['ground', 'cell'], label_map=label_map)
    for content in labels_in(tmp_path / 'out').values():
        assert content == next(iter(labels_in(tmp_path / 'out').values()))
    label = np.array(Image.open(next((tmp_path / 'out' / 'annotations').rglob('*.png'))))
    assert label.tolist() == [[0, 1, 1, 1]] * 3


# ------------------------------------------------------------------------------- images
def test_windows_paths_are_found_by_name_with_a_note(make, tmp_path):
    root = make('labelme')
    for file in root.rglob('*.json'):
        edit_json(file, lambda d: d.update(imagePath='C:\\Users\\me\\a\\' + d['imagePath']))
    lines = run('labelme', root).lines
    assert any(line.startswith('an image is not where') and '12 times' in line for line in lines)
    assert len(labels_in(tmp_path / 'out')) == NUM_IMAGES


def test_a_name_that_fits_several_images_is_refused(make):
    root = make('coco')
    for folder in ('x', 'y'):
        (root / 'images' / folder).mkdir()
        shutil.copy(root / 'images' / NAMES[0], root / 'images' / folder / 'same.png')
    edit_json(
        root / 'annotations' / 'cells.json',
        lambda d: d['images'][0].update(file_name='D:\\z\\same.png'),
    )
    with pytest.raises(UserError, match=r'cells\.json .*may be 2 images'):
        run('coco', root)


def test_folders_of_the_name_decide_between_images_of_equal_names(tmp_path):
    root = tmp_path / 'src'
    images = []
    for i, folder in enumerate('ab'):
        (root / 'pictures' / folder).mkdir(parents=True)
        Image.new('RGB', (4, 3), (i, i, i)).save(root / 'pictures' / folder / 'same.png')
        images.append(dict(id=i, file_name=f'C:/x/{folder}/same.png', height=3, width=4))
    ring = [0, 0, 4, 0, 4, 3, 0, 3]
    nodes = [dict(id=1, image_id=1, category_id=1, segmentation=[ring])]
    categories = [dict(id=1, name='car')]
    text = json.dumps(dict(images=images, annotations=nodes, categories=categories))
    (root / 'coco.json').write_text(text)
    run('coco', root)
    labels = {
        path.parent.name: int(np.array(Image.open(path)).max())
        for path in (tmp_path / 'out' / 'annotations').rglob('same.png')
    }
    assert labels == {'a': 0, 'b': 1}


@pytest.mark.parametrize('orientation', range(1, 9))
def test_labels_follow_the_exif_orientation(tmp_path, orientation):
    root = tmp_path / 'src'
    root.mkdir()
    stored = np.zeros((4, 6, 3), np.uint8)
    stored[0, :2] = 255  # upright it lies elsewhere
    mask = stored[..., 0] > 0
    exif = Image.Exif()
    exif[274] = orientation
    upright = np.array(ImageOps.exif_transpose(_with_exif(stored, exif)))[..., 0] > 0
    Image.fromarray(stored).save(root / 'a.png', exif=exif)
    Image.fromarray(stored).save(root / 'b.png', exif=exif)
    for name, shown in (('a', upright), ('b', mask)):
        if name == 'b' and orientation in (2, 3, 4):
            shown = upright  # of equal size: taken as upright
        y, x = (int(v) for v in np.argwhere(shown).min(axis=0))
        bottom, right = (int(v) + 1 for v in np.argwhere(shown).max(axis=0))
        shape = dict(label='it', shape_type='rectangle', points=[[x, y], [right, bottom]])
        document = dict(
            imagePath=f'{name}.png', shapes=[shape], imageHeight=shown.shape[0],
            imageWidth=shown.shape[1],
        )  # fmt: skip
        (root / f'{name}.json').write_text(json.dumps(document))
    lines = run('labelme', root).lines
    assert any('EXIF' in line for line in lines) == (orientation >= 5)
    for path in (tmp_path / 'out' / 'annotations').rglob('*.png'):
        assert (np.array(Image.open(path)) == upright).all()


def _with_exif(pixels, exif):
    image = Image.fromarray(pixels)
    image.getexif()[274] = exif[274]
    return image


# ------------------------------------------------------------------------------- places
def test_a_folder_with_files_is_refused_and_replaced_by_force(make, tmp_path):
    root = make('rgb')
    run('rgb', root)
    before = labels_in(tmp_path / 'out')
    with pytest.raises(FileExistsError, match='--force'):
        run('rgb', root)
    run('rgb', root, force=True, val=0.5)
    after = labels_in(tmp_path / 'out')
    assert len(after) == len(before) == NUM_IMAGES
    assert set(after) != set(before)
    (tmp_path / 'out' / 'annotations' / 'train' / 'mine.png').write_text('mine')
    with pytest.raises(FileExistsError, match='mine.png'):
        run('rgb', root, force=True)


def test_force_does_not_touch_a_folder_of_others(make, tmp_path):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'notes.txt').write_text('mine')
    with pytest.raises(OSError, match='import.json'):
        run('rgb', make('rgb'), force=True)
    assert os.listdir(tmp_path / 'out') == ['notes.txt']


@pytest.mark.parametrize('place', ['.', 'inside', '..'])
def test_the_result_and_the_source_do_not_lie_in_one_another(make, place):
    root = make('rgb')
    with pytest.raises(UserError, match='--out'):
        run('rgb', root, root / place)


def test_an_error_leaves_nothing_behind(make, tmp_path):
    root = make('folder')
    (root / 'images' / NAMES[-1]).unlink()
    with pytest.raises(UserError):
        run('folder', root)
    assert not (tmp_path / 'out').exists()


# ------------------------------------------------------------------------------- broken input
def _first(root, pattern='*.json'):
    return sorted(root.rglob(pattern))[0]


def change(pattern, deed):
    return lambda root: edit_json(_first(root, pattern), deed)


def replace(pattern, old, new):
    def deed(root):
        file = _first(root, pattern)
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return deed


def rewrite(pattern, text):
    return lambda root: _first(root, pattern).write_text(text)


def set_rle(document, counts):
    node = next(n for n in document['annotations'] if isinstance(n['segmentation'], dict))
    node['segmentation']['counts'] = counts


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>'
    '<annotations>&b;</annotations>'
)
CVAT = (
    '<annotations><image name="a/picture 00é.png" width="64" height="48">{}</image></annotations>'
)
DEEP = '[' * 100_000
BROKEN = {
    'labelme: missing image': ('labelme', lambda r: (r / NAMES[0]).unlink(), '00é.json.*missing'),
    'labelme: two points': (
        'labelme', change('*.json', lambda d: d['shapes'][0].update(points=[[1, 1], [5, 5]])),
        '00é.json, shape 1: .*three'),
    'labelme: unknown class': (
        'labelme', change('*.json', lambda d: d['shapes'][1].update(label='nucleos')),
        "00é.json, shape 2: .*Did you mean 'nucleus'"),
    'labelme: no JSON': ('labelme', rewrite('*.json', '{"shapes": ['), '00é.json, line 1'),
    'labelme: too deep': ('labelme', rewrite('*.json', DEEP), '00é.json'),
    'labelme: no UTF-8': (
        'labelme', lambda r: _first(r).write_bytes(b'{"\xff": 1}'), '00é.json.*UTF-8'),
    'labelme: no number': (
        'labelme', change('*.json', lambda d: d['shapes'][0]['points'].append([1, float('nan')])),
        '00é.json, shape 1'),
    'labelme: other size': (
        'labelme', change('*.json', lambda d: d.update(imageHeight=10**12)), '00é.json.*48x64'),
    'labelme: shape without points': (
        'labelme', change('*.json', lambda d: d['shapes'][0].pop('points')), 'shape 1.*points'),
    'labelme: unknown shape': (
        'labelme', change('*.json', lambda d: d['shapes'][0].update(shape_type='star')),
        'shape 1: shape_type'),
    'labelme: damaged mask': (
        'labelme',
        change('*.json', lambda d: d['shapes'][0].update(
            shape_type='mask', mask='aaaa', points=[[0, 0], [3, 3]])),
        'shape 1: the mask is no PNG'),
    'labelme: damaged image': (
        'labelme', lambda r: (r / NAMES[0]).write_bytes(b'no image'), '00é.png.*no image'),
    'coco: RLE too short': (
        'coco', change('*.json', lambda d: set_rle(d, [7])), 'cells.json.*short'),
    'coco: RLE too long': (
        'coco', change('*.json', lambda d: set_rle(d, [9999])), 'cells.json, annotation .*long'),
    'coco: damaged RLE': ('coco', change('*.json', lambda d: set_rle(d, 'é')), 'cells.json'),
    'coco: gigantic RLE': (
        'coco', change('*.json', lambda d: set_rle(d, [10**15])), 'cells.json.*long'),
    'coco: gigantic image': (
        'coco', change('*.json', lambda d: d['images'][0].update(height=10**9, width=10**9)),
        'cells.json'),
    'coco: odd numbers': (
        'coco',
        change('*.json', lambda d: d['annotations'][0].update(segmentation=[[1, 2, 3, 4, 5]])),
        'cells.json, annotation 1'),
    'coco: unknown category': (
        'coco', change('*.json', lambda d: d['annotations'][0].update(category_id=7)),
        'annotation 1: category_id is 7'),
    'coco: unknown image': (
        'coco', change('*.json', lambda d: d['annotations'][0].update(image_id=7)),
        'annotation 1: image_id is 7'),
    'coco: no name of a file': (
        'coco', change('*.json', lambda d: d['images'][0].update(file_name='a\0\ud800')),
        'cells.json: .*no name of a file'),
    'coco: no name of a class': (
        'coco', change('*.json', lambda d: d['categories'][1].update(name='a\nb')),
        'categories of .*class 1 '),
    'coco: a list': ('coco', rewrite('*.json', '[]'), 'no JSON file of COCO'),
    'coco: missing image': (
        'coco', lambda r: (r / 'images' / NAMES[0]).unlink(), 'cells.json.*missing'),
    'cvat: entities': ('cvat', rewrite('*.xml', BOMB), 'annotations.xml.*DOCTYPE'),
    'cvat: no XML': ('cvat', rewrite('*.xml', '<annotations><image>'), 'annotations.xml.*no XML'),
    'cvat: two points': (
        'cvat', rewrite('*.xml', CVAT.format('<polygon label="cell" points="1,1;2,2"/>')),
        'annotations.xml, .*three'),
    'cvat: RLE too short': (
        'cvat', replace('*.xml', 'rle="', 'rle="0, 1" old="'), 'annotations.xml, .*short'),
    'cvat: gigantic mask': (
        'cvat', rewrite('*.xml', CVAT.format('<mask label="cell" rle="1" left="0" top="0" '
                                             'width="99999999" height="99999999"/>')),
        'annotations.xml'),
    'cvat: unknown class': (
        'cvat', replace('*.xml', 'polygon label="cell"', 'polygon label="sell"'), "mean 'cell'"),
    'labelstudio: open polygon': (
        'labelstudio', replace('*.json', '"closed": true', '"closed": false'), 'task 1.*open'),
    'labelstudio: RLE too short': (
        'labelstudio', replace('*.json', '"rle": [', '"rle": [0, 0, 0, 9], "old": ['), 'short'),
    'labelstudio: unknown class': (
        'labelstudio', replace('*.json', '["cell"]', '["cel"]'), "result 1.*mean 'cell'"),
    'labelstudio: not a list': ('labelstudio', rewrite('*.json', '{}'), 'export.json'),
    'yolo: unknown class': ('yolo', replace('*00é.txt', '1 ', '9 '), '00é.txt, line 1.* 9'),
    'yolo: a box': ('yolo', rewrite('*00é.txt', '1 0.5 0.5 0.1 0.1'), '00é.txt, line 1.*box'),
    'yolo: two points': ('yolo', rewrite('*00é.txt', '1 0.1 0.1 0.2 0.2 0.3'), '00é.txt, line 1'),
    'yolo: no numbers': ('yolo', rewrite('*00é.txt', '1 a b c d e f'), '00é.txt, line 1'),
    'voc: unknown colour': (
        'voc', replace('labelmap.txt', 'cell:200', 'cell:201'), r'00é.png.*\(200, 30, 30\)'),
    'voc: wrong table': (
        'voc', replace('labelmap.txt', 'cell:200', 'cell:2000'), 'labelmap.txt, line 3'),
    'voc: missing image': (
        'voc', lambda r: (r / 'JPEGImages' / NAMES[0]).unlink(), 'SegmentationClass.*missing'),
    'rgb: no table': ('rgb', lambda r: (r / 'class_dict.csv').unlink(), 'class_dict.csv'),
    'folder: unknown class': (
        'folder', lambda r: (r / 'classes.txt').write_text('background\ncell\nnucleus'),
        r'00é.png.*\[3\]'),
    'folder: other size': (
        'folder', lambda r: Image.new('L', (9, 9)).save(r / 'masks' / NAMES[0]), '00é.png.*48x64'),
    'folder: damaged mask': (
        'folder', lambda r: (r / 'masks' / NAMES[0]).write_bytes(b'GIF'), '00é.png'),
}  # fmt: skip


@pytest.mark.parametrize('case', BROKEN)
def test_broken_input_is_one_line_with_the_file(make, case):
    kind, spoil, message = BROKEN[case]
    root = make(kind)
    spoil(root)
    with pytest.raises((ValueError, TypeError, OSError), match=message) as caught:
        run(kind, root)
    assert '\n' not in str(caught.value)
    assert not (root.parent / 'out').exists()


def test_what_reaches_beyond_the_image_is_clipped_with_a_note(make, tmp_path):
    root = make('labelme')
    far = [[-50, -50], [200, -50], [200, 200], [-50, 200]]
    edit_json(_first(root), lambda d: d['shapes'][0].update(points=far))
    lines = run('labelme', root).lines
    assert any('clipped' in line and '00é.json' in line for line in lines)


@pytest.mark.parametrize('kind', READERS)
def test_a_source_that_is_missing_or_empty_is_one_line(tmp_path, kind):
    for name in ('none', 'empty'):
        (tmp_path / 'empty').mkdir(exist_ok=True)
        with pytest.raises((ValueError, OSError), match=name):
            run(kind, tmp_path / name)


def test_the_script_of_the_formats_has_all_of_them():
    assert set(labelling_tools.WRITERS) == set(READERS)
    assert Path(labelling_tools.__file__).is_file()


# ------------------------------------------------------------------------------- splits
def write_roboflow(root):
    text = 'train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnames: [car]\n'
    root.mkdir()
    (root / 'data.yaml').write_text(f'{text}roboflow:\n  workspace: mine\n')
    for split, count in (('train', 4), ('valid', 2), ('test', 3)):
        for folder in ('images', 'labels'):
            (root / split / folder).mkdir(parents=True)
        for i in range(count):
            Image.new('RGB', (10, 10)).save(root / split / 'images' / f'{split}{i}.jpg')
            line = '0 0.1 0.1 0.6 0.1 0.6 0.7\n'
            (root / split / 'labels' / f'{split}{i}.txt').write_text(line)


def splits_in(out):
    return {
        folder.name: len([*folder.rglob('*.png')])
        for folder in sorted((out / 'annotations').iterdir())
    }


def test_the_division_of_the_source_is_kept_and_test_images_stay_so(tmp_path):
    write_roboflow(tmp_path / 'src')
    lines = run('yolo', tmp_path / 'src').lines
    assert lines[0] == '9 images: 4 train, 2 val, 3 test (as the source has them)'
    assert splits_in(tmp_path / 'out') == {'test': 3, 'train': 4, 'val': 2}
    run('yolo', tmp_path / 'src', tmp_path / 'half', val=0.5)
    assert splits_in(tmp_path / 'half') == {'test': 3, 'train': 3, 'val': 3}
    names = {path.name for path in (tmp_path / 'half' / 'images' / 'test').rglob('*.jpg')}
    assert names == {'test0.jpg', 'test1.jpg', 'test2.jpg'}
    shutil.rmtree(tmp_path / 'src' / 'test')
    lines = run('yolo', tmp_path / 'src', tmp_path / 'less').lines
    assert splits_in(tmp_path / 'less') == {'train': 4, 'val': 2}
    assert any('test images' in line for line in lines)


def test_files_named_after_splits_divide_the_images(make, tmp_path):
    root = make('coco')
    document = json.loads((root / 'annotations' / 'cells.json').read_text())
    (root / 'annotations' / 'cells.json').unlink()
    for name, part in (('instances_train2017', slice(0, 9)), ('instances_val2017', slice(9, 12))):
        images = document['images'][part]
        ids = {image['id'] for image in images}
        nodes = [node for node in document['annotations'] if node['image_id'] in ids]
        text = json.dumps({**document, 'images': images, 'annotations': nodes})
        (root / 'annotations' / f'{name}.json').write_text(text)
    run('coco', root)
    assert splits_in(tmp_path / 'out') == {'train': 9, 'val': 3}


def test_lists_of_voc_divide_the_images(make, tmp_path):
    root = make('voc')
    lists = root / 'ImageSets' / 'Segmentation'
    lists.mkdir(parents=True)
    stems = [name.removesuffix('.png') for name in NAMES]
    (lists / 'train.txt').write_text('\n'.join(stems[:7]))
    (lists / 'val.txt').write_text('\n'.join(stems[7:11]))
    lines = run('voc', root).lines
    assert splits_in(tmp_path / 'out') == {'train': 7, 'val': 4}
    assert any('does not list' in line for line in lines)
    (lists / 'val.txt').write_text('nothing')
    with pytest.raises(UserError, match=r'nothing\.png.*val\.txt'):
        run('voc', root, tmp_path / 'other')

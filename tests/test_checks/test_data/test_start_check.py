"""What training says of its data before the first step."""

import logging
import random
import shutil
import time
from itertools import count

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.checks.data.file_scan import PairTask
from msseg.checks.data.sample import check_at_start, choose
from msseg.datasets import ConcatDataset, CustomDataset, RepeatDataset, build_dataset
from tests.small_run import make_run  # noqa: F401
from tests.tiny import write_discs

LOAD = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations')]


def discs(root, **settings):
    settings = {'classes': ('ground', 'disc'), 'pipeline': LOAD, **settings}
    folders = dict(img_dir='images', ann_dir='labels', img_suffix='.png')
    return build_dataset(dict(type='CustomDataset', data_root=str(root), **{**folders, **settings}))


def check(caplog, train, val=None, **settings):
    """Return the warnings, and the last line."""
    caplog.clear()
    caplog.set_level('INFO', logger='msseg')
    check_at_start({'train': train, 'val': val}, logging.getLogger('msseg'), **settings)
    *warnings, last = caplog.records
    assert {record.levelname for record in warnings} <= {'WARNING'} and last.levelname == 'INFO'
    assert not any('\n' in record.message for record in caplog.records), 'one line each'
    return [record.message for record in warnings], last.message


def write_labels(root, change):
    """Write discs whose labels, of 0 and 1, are changed."""
    write_discs(root)
    for path in sorted((root / 'labels').iterdir()):
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        Image.fromarray(change(np.where(label == 1, 1, 0).astype(np.uint8))).save(path)


CASES = {
    'nothing': (lambda x: x, {}, ()),
    'binary mask': (lambda x: x * 255, {}, ('{0, 255}', 'disc_0.png', 'label_map={255: 1}')),
    'mapped binary mask': (lambda x: x * 255, {'label_map': {255: 1}}, ()),
    'binary, 255 no ignore_index': (lambda x: x * 255, {'ignore_index': 254}, ('{255: 1}',)),
    'binary of 128': (lambda x: x * 128, {}, ('128', 'label_map={128: 1}')),
    'binary of 128 and ignored': (
        lambda x: np.concatenate([x[2:] * 128, x[:2] * 0 + 255]), {}, ('label_map={128: 1}',),
    ),
    'spread, without 0': (
        lambda x: x * 10 + 10 + 10 * (np.arange(x.shape[1]) % 2).astype(np.uint8),
        {'classes': list('abc')}, ('label_map={10: 0, 20: 1, 30: 2}',),
    ),
    'from 1': (lambda x: x + 1, {}, ('2 (', 'reduce_zero_label=True')),
    'from 1, reduced': (lambda x: x + 1, {'reduce_zero_label': True}, ()),
    'from 0, reduced': (
        lambda x: x, {'reduce_zero_label': True}, ("class 1 'disc'", 'reduce_zero_label=False'),
    ),
    'only class 0': (lambda x: x * 0, {}, ("class 1 'disc'", 'the labels hold 0 only')),
    'only class 1': (lambda x: x * 0 + 1, {}, ("class 0 'ground'", 'the labels hold 1 only')),
    'a third class': (lambda x: x, {'classes': ('a', 'b', 'c')}, ("class 2 'c'", 'hold 0, 1 only')),
    'more values than classes': (lambda x: x * 5, {'classes': list('abc')}, ('5 (', 'label_map=')),
    'a class stored as the ignore_index': (
        lambda x: np.where(x, x, 255).astype(np.uint8), {}, ("class 0 'ground'", '{255: 0}'),
    ),
    'all of 255': (lambda x: x * 0 + 255, {}, ('all-ignored', 'holds 255 only', 'label_map')),
    'all ignored': (lambda x: x * 0 + 7, {'ignore_index': 7}, ('all-ignored', 'holds 7 only')),
    'colours': (
        lambda x: np.stack([x * 200, x * 0, x * 0], -1), {}, ('RGB label', '(200, 0, 0)'),
    ),
    'black and white in colours': (
        lambda x: np.stack([x * 255] * 3, -1), {},
        ('RGB label', '{(0, 0, 0): 0, (255, 255, 255): 1}', 'and 5 more'),
    ),
    'objects': (
        lambda x: np.where(x, np.arange(x.size).reshape(x.shape) % 40, 0).astype(np.uint16), {},
        ("label_map={'1-': 1}",),
    ),
}  # fmt: skip


@pytest.mark.parametrize('name', CASES)
def test_labels_that_do_not_mean_what_the_config_says_are_named_with_the_cure(
    tmp_path, caplog, name
):
    change, settings, phrases = CASES[name]
    write_labels(tmp_path, change)
    warnings, last = check(caplog, discs(tmp_path, **settings))
    assert len(warnings) == (1 if phrases else 0)
    assert all(phrase in warnings[0] for phrase in phrases)
    assert last.startswith('checked 6 of 6 training samples: ')
    assert ('1 warning' if phrases else 'nothing found') in last


def test_sizes_turned_photographs_and_labels_of_others_are_named(tmp_path, caplog):
    write_discs(tmp_path)
    images, labels = tmp_path / 'images', tmp_path / 'labels'
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(images / 'disc_1.png').save(images / 'disc_1.jpg', exif=exif.tobytes())
    (images / 'disc_1.png').unlink()
    Image.open(labels / 'disc_2.png').crop((0, 0, 9, 9)).save(labels / 'disc_2.png')
    Image.open(images / 'disc_3.png').rotate(9).save(images / 'disc_3.jpg')
    warnings, _ = check(caplog, discs(tmp_path, img_suffix=['.png', '.jpg']))
    assert len(warnings) == 3
    assert 'disc_1.jpg (orientation 6' in warnings[1] and 'color_ignore_orientation' in warnings[1]
    assert 'disc_2.png' in warnings[0] and '48x64' in warnings[0] and '9x9' in warnings[0]
    assert 'labels/disc_3.png' in warnings[2]


def test_what_images_hold_and_is_not_used_is_named_with_the_setting(tmp_path, caplog):
    write_discs(tmp_path)
    images = tmp_path / 'images'
    deep = cv2.imread(str(images / 'disc_0.png')).astype(np.uint16) * 16
    cv2.imwrite(str(images / 'disc_0.png'), deep)
    Image.open(images / 'disc_1.png').convert('RGBA').save(images / 'disc_1.png')
    pages = [Image.open(images / f'disc_{i}.png') for i in (2, 3)]
    pages[0].save(images / 'disc_2.png', 'TIFF', save_all=True, append_images=pages[1:])
    found = '\n'.join(check(caplog, discs(tmp_path))[0])
    for file, holds, cure in (
        ('disc_0.png', '16 bits a channel', 'max_value'),
        ('disc_1.png', '4 channels', "color_type='unchanged'"),
        ('disc_2.png', '2 pages', 'Save each page as a file'),
    ):
        (line,) = [line for line in found.splitlines() if file in line]
        assert holds in line and cure in line and '; )' not in line


def test_labels_given_as_images_are_found(tmp_path, caplog):
    write_discs(tmp_path)
    for path in (tmp_path / 'images').iterdir():
        shutil.copyfile(tmp_path / 'labels' / path.name, path)
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), np.where(label == 255, 0, label))
    (warning,), _ = check(caplog, discs(tmp_path))
    assert 'images of nearly one value: ' in warning and 'img_dir' in warning


def test_pairs_of_a_list_with_the_names_of_other_images_are_found(tmp_path, caplog):
    write_discs(tmp_path)
    lines = [f'images/disc_{i}.png labels/disc_{(i + 1) % 6}.png' for i in range(6)]
    (tmp_path / 'shifted.lst').write_text('\n'.join(lines))
    shifted = discs(tmp_path, split='shifted.lst', img_dir=None, ann_dir=None)
    (warning,), _ = check(caplog, shifted)
    assert 'labels/disc_1.png (is the label of' in warning and 'images/disc_0.png)' in warning


def test_an_image_that_is_its_own_label_is_found(tmp_path, caplog):
    write_discs(tmp_path)
    warnings, _ = check(caplog, discs(tmp_path, ann_dir='images'))
    assert 'its own label' in ' '.join(warnings) and 'ann_dir' in ' '.join(warnings)


@pytest.mark.parametrize('how', ['same', 'overlap', 'link', 'copy'])
def test_images_of_training_among_those_of_validation_are_warned_of(tmp_path, caplog, how):
    write_discs(tmp_path / 'train')
    write_discs(tmp_path / 'other')
    for path in (tmp_path / 'other' / 'images').iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    if how == 'link':
        (tmp_path / 'linked').symlink_to(tmp_path / 'train')
    if how == 'copy':
        for kind in ('images', 'labels'):
            source = tmp_path / 'train' / kind / 'disc_0.png'
            shutil.copyfile(source, tmp_path / 'other' / kind / 'renamed.png')
    val = {
        'same': tmp_path / 'train', 'overlap': tmp_path / 'train', 'link': tmp_path / 'linked',
        'copy': tmp_path / 'other',
    }[how]  # fmt: skip
    train = discs(tmp_path / 'train', num_samples=2 if how == 'overlap' else None)
    (warning,), _ = check(caplog, train, discs(val, test_mode=True))
    assert warning.startswith('data.train, data.val: ') and 'scores are too good' in warning
    number = {'same': 'and 5 more', 'overlap': 'and 1 more', 'link': 'and 5 more', 'copy': ''}
    assert number[how] in warning
    assert not check(caplog, train, discs(tmp_path / 'other', num_samples=6, test_mode=True))[0]


def test_labels_that_validation_reads_otherwise_are_named(tmp_path, caplog):
    write_labels(tmp_path / 'train', lambda x: x + 1)
    write_labels(tmp_path / 'val', lambda x: x * 0 + 1)
    for path in (tmp_path / 'val' / 'images').iterdir():
        cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    train = discs(tmp_path / 'train', reduce_zero_label=True)
    warnings, _ = check(caplog, train, discs(tmp_path / 'val', test_mode=True))
    (warning,) = [text for text in warnings if 'reduce_zero_label of CustomDataset' in text]
    assert 'is False, but True in data.train' in warning
    val = discs(tmp_path / 'val', test_mode=True, reduce_zero_label=True)
    assert 'read otherwise' not in ' '.join(check(caplog, train, val)[0])


def test_a_copy_is_found_among_many(tmp_path, caplog):
    write_discs(tmp_path / 'train', 3)
    write_discs(tmp_path / 'val', 90)
    for kind in ('images', 'labels'):
        for path in (tmp_path / 'val' / kind).iterdir():
            if kind == 'images':
                cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
        copy = tmp_path / 'val' / kind / 'disc_77.png'
        shutil.copyfile(tmp_path / 'train' / kind / 'disc_1.png', copy)
    train, val = discs(tmp_path / 'train'), discs(tmp_path / 'val', test_mode=True)
    (warning,), last = check(caplog, train, val)
    assert 'disc_77.png (has the pixels of' in warning
    assert 'of 90 validation' in last and '90 of 90' not in last


def test_wrappers_are_looked_into_and_sets_of_another_kind_left_out(tmp_path, caplog):
    write_labels(tmp_path / 'a', lambda x: x * 255)
    write_discs(tmp_path / 'b')
    repeated = [RepeatDataset(discs(tmp_path / name), 3) for name in 'ba']
    (warning,), last = check(caplog, ConcatDataset(repeated))
    assert 'a/labels/disc_0.png' in warning and '12 of 12 training' in last

    class Foreign:
        pass

    assert check_at_start({'test': Foreign()}, logging.getLogger('msseg')) == []


def test_files_that_a_transform_of_the_users_own_loads_are_left_to_it(tmp_path, caplog):
    write_labels(tmp_path, lambda x: x * 7)
    (tmp_path / 'images' / 'disc_0.png').write_bytes(b'an array')
    own = [dict(type='Normalize', mean=[0] * 3, std=[1] * 3)]
    assert not check(caplog, discs(tmp_path, pipeline=own))[0]
    (warning,), _ = check(caplog, discs(tmp_path, pipeline=[*own, LOAD[1]]))
    assert 'label_map={7: 1}' in warning
    (warning,), _ = check(caplog, discs(tmp_path, pipeline=[LOAD[0], *own]))
    assert 'unreadable file' in warning

    class Own(CustomDataset):
        def get_gt_seg_map(self, index):
            return super().get_gt_seg_map(index) // 7

    folders = dict(img_dir='images', ann_dir='labels', img_suffix='.png', test_mode=True)
    val = Own(own, data_root=str(tmp_path), classes=['ground', 'disc'], **folders)
    assert not check(caplog, None, val)[0]


def test_it_ends_in_time_and_says_how_much_it_has_seen(tmp_path, caplog):
    write_discs(tmp_path, 6)
    ticks = count()
    _, last = check(caplog, discs(tmp_path), budget_s=4, clock=lambda: next(ticks))
    assert 'checked 4 of 6 training samples' in last
    huge = Image.new('1', (10_000, 10_000))
    huge.save(tmp_path / 'labels' / 'disc_2.png')
    Image.new('RGBA', (6000, 3000)).save(tmp_path / 'images' / 'disc_2.png', 'TIFF')
    start = time.monotonic()
    (channels,), _ = check(caplog, discs(tmp_path))
    assert 'disc_2.png (holds 4 channels' in channels, 'of the header; the label is too large'
    assert time.monotonic() - start < 5


def test_nothing_random_is_drawn(tmp_path, caplog):
    write_discs(tmp_path, 6)
    states = repr(np.random.get_state()), random.getstate()
    check(caplog, discs(tmp_path))
    assert (repr(np.random.get_state()), random.getstate()) == states


@pytest.mark.parametrize('number', [1, 7, 128, 129, 1000])
def test_the_sample_is_spread_over_the_set(number):
    tasks = [PairTask(str(i), None) for i in range(number)]
    chosen = [int(task.image) for task in choose(tasks, 128)]
    assert chosen == [int(task.image) for task in choose(tasks, 128)], 'the same each time'
    assert len(set(chosen)) == len(chosen) == min(number, 128)
    gaps = np.diff(sorted({-1, *chosen, number}))
    assert gaps.max() <= 2 * -(-number // 128)


def test_what_files_hold_and_loading_leaves_out_is_said_once(tmp_path, caplog):
    write_discs(tmp_path)
    for path in (tmp_path / 'images').iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 16)
    dataset = discs(tmp_path)
    (warning,), _ = check(caplog, dataset)
    assert '16 bits a channel' in warning
    caplog.clear()
    assert dataset[0]['img'].dtype == np.uint8 and not caplog.records
    write_discs(tmp_path / 'other')
    shutil.copytree(tmp_path / 'images', tmp_path / 'other/images', dirs_exist_ok=True)
    assert discs(tmp_path / 'other')[0] and '16 bits a channel' in caplog.messages[-1]


def test_rare_classes_of_many_are_not_asked_of_a_sample(tmp_path, caplog):
    write_discs(tmp_path, 130)
    names = [f'class {i}' for i in range(21)]
    assert not check(caplog, discs(tmp_path, classes=names))[0]
    (warning,), _ = check(caplog, discs(tmp_path, classes=names[:20]))
    assert 'in none of the 128 labels scanned' in warning and 'and 17 more' in warning
    (warning,), _ = check(caplog, discs(tmp_path, classes=names, num_samples=100))
    assert 'and 18 more' in warning, 'of the whole set'


def test_training_warns_before_its_first_step_and_in_the_evaluation(make_run):  # noqa: F811
    run = make_run('evaluation = dict(interval=2, by_epoch=False, save_best="mIoU")\n'
                   'runner["max_iters"] = 2\n')  # fmt: skip
    write_labels(run.data, lambda x: x * 255)
    assert run.train() == 0, run.output
    lines = run.output.splitlines()
    found = next(i for i, line in enumerate(lines) if 'label_map={255: 1}' in line)
    first = next(i for i, line in enumerate(lines) if 'Iter [1/2]' in line)
    scores = next(i for i, line in enumerate(lines) if 'disc has no labelled pixel' in line)
    assert found < first < scores
    assert 'WARNING' in lines[found] and 'WARNING' in lines[scores]
    assert 'over 1 of 2 classes: disc has no labelled pixel' in run.output
    assert 'the best so far' not in run.output
    assert 'nan' not in run.output

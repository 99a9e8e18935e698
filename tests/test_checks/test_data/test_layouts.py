"""Every way to say which files a data set has is followed, also where building it would refuse."""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.checks.data import check_dataset, format_report
from msseg.config import Config
from msseg.datasets import DATASETS, CustomDataset, build_dataset
from tests.test_datasets.data_folder import CLASSES, TRAIN, config, write_images


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path, folder='train')
    write_images(tmp_path, folder='val', count=2, first=6)
    return tmp_path


def check(root, **changes):
    return check_dataset(Config(dict(data=dict(train=config(root, **changes)))), workers=0)


def found(report):
    return {finding.kind: finding.files for finding in report.findings}


def names(files, root):
    return sorted(path.removeprefix(f'{root}/') for path in files)


# ------------------------------------------------------------------ lists of names


def test_lines_of_a_lst_file_are_looked_at_one_by_one(root):
    (root / 'ann/train/image2.png').unlink()
    (root / 'ann/train/image5.png').rename(root / 'ann/train/image5.PNG')
    (root / 'train.lst').write_text(
        'img/train/image0.jpg ann/train/image0.png\n'
        'img/train/lost.jpg ann/train/image1.png\n'
        'img/train/image2.jpg ann/train/image2.png\n'
        'img/train/image3.jpg ann/train/image3.png more\n'
        'img/train/IMAGE4.jpg ann/train/image4.png\n'
        'img/train/image5.jpg ann/train/image5.png\n'
        'img/train/image1.jpg\n'
    )
    report = check(root, img_dir=None, ann_dir=None, split='train.lst')

    files = found(report)
    assert names(files['listed_image_missing'], root) == ['img/train/lost.jpg']
    assert 'line 2' in files['listed_image_missing'][str(root / 'img/train/lost.jpg')]
    assert names(files['image_without_label'], root) == [
        'img/train/image1.jpg',
        'img/train/image2.jpg',
    ]
    assert names(files['bad_list'], root) == ['train.lst, line 4']
    assert names(files['upper_case_suffix'], root) == [
        'ann/train/image5.PNG',
        'img/train/image4.jpg',
    ]
    assert set(files) == {
        'listed_image_missing', 'image_without_label', 'bad_list', 'upper_case_suffix',
    }  # fmt: skip
    assert report.splits[0].num_images == 4


def test_lines_of_a_split_file_are_looked_at_one_by_one(root):
    (root / 'img/train/image1.jpg').rename(root / 'img/train/image1.JPG')
    (root / 'names.txt').write_text('image0\nimage1\nlost\n')
    report = check(root, split='names.txt')

    files = found(report)
    assert names(files['upper_case_suffix'], root) == ['img/train/image1.JPG']
    assert names(files['listed_image_missing'], root) == ['img/train/lost.jpg']
    assert len(files) == 2, "labels of images outside the split are nobody's fault"
    assert report.splits[0].num_images == 1


def test_split_files_that_are_missing_or_empty(root):
    (root / 'empty.txt').write_text('\n')
    for split in ('empty.txt', 'none.txt', 'none.lst'):
        report = check(root, split=split)
        assert names(found(report)['bad_list'], root) == [split]


@pytest.mark.parametrize(
    ('changes', 'kind', 'phrase'),
    [
        (dict(img_dir='img/trian'), 'missing_folder', "no 'trian'. Did you mean 'train'"),
        (dict(ann_dir='none'), 'missing_folder', "has no 'none'"),
        (dict(img_dir='img/trian', split='names.txt'), 'missing_folder', "no 'trian'"),
        (dict(img_suffix='_left.png'), 'no_images', "it has 6 of '.jpg'"),
    ],
)
def test_wrong_folder_or_suffix(root, changes, kind, phrase):
    (root / 'names.txt').write_text('image0\n')
    report = check(root, **changes)

    assert kind in found(report)
    assert phrase in format_report(report)


def test_nothing_is_wrong_with_labels_beside_their_images(root):
    for label in (root / 'ann/train').iterdir():
        shutil.copy(label, root / 'img/train' / f'{label.stem}_gt.png')
    report = check(root, ann_dir='img/train', seg_map_suffix='_gt.png')

    assert found(report) == {}
    assert report.splits[0].statistics.label_forms.total() == 6


def test_images_without_labels_have_no_classes(root):
    report = check(root, ann_dir=None, test_mode=True)

    assert found(report) == {}
    assert report.splits[0].balance is None
    assert 'class_weight' not in format_report(report)
    assert 'img_norm_cfg' in format_report(report)


def test_num_samples_takes_the_first(root):
    assert check(root, num_samples=2).splits[0].num_images == 2


# ------------------------------------------------------------------ wrappers and classes


def test_wrapped_and_joined_data_sets_are_looked_at_part_by_part(root):
    (root / 'img/val/image6.jpg').write_bytes(b'')
    part = config(root)
    folders = {**part, 'img_dir': ['img/train', 'img/val'], 'ann_dir': ['ann/train', 'ann/val']}
    for wrapped in (
        dict(type='RepeatDataset', times=3, dataset=folders),
        [part, config(root, img_dir='img/val', ann_dir='ann/val')],
        dict(type='ConcatDataset', datasets=[folders, part]),
    ):
        report = check_dataset(Config(dict(data=dict(train=wrapped))), workers=0)
        assert names(found(report)['empty_file'], root) == ['img/val/image6.jpg']
        assert set(found(report)) == {'empty_file'}
        assert report.splits[0].num_images in (8, 14)


def write_streets(root, kind):
    for folder in ('img', 'ann'):
        (root / folder).mkdir()
    for name in 'ab':
        img = np.random.default_rng(ord(name)).integers(0, 256, (8, 12, 3), np.uint8)
        label = np.tile(np.array([7, 11, 26, 0], np.uint8), (8, 3))
        cv2.imwrite(str(root / f'img/{name}_leftImg8bit.png'), img)
        cv2.imwrite(str(root / f'ann/{name}_gtFine_{kind}.png'), label)


def test_label_ids_of_cityscapes_lists_are_mapped(tmp_path):
    write_streets(tmp_path, 'labelIds')
    lines = [f'img/{n}_leftImg8bit.png ann/{n}_gtFine_labelIds.png\n' for n in 'ab']
    (tmp_path / 'train.lst').write_text(''.join(lines))
    cfg = dict(type='CityscapesDataset', data_root=str(tmp_path), split='train.lst', pipeline=TRAIN)
    report = check_dataset(Config(dict(data=dict(train=cfg))), workers=0)

    assert set(found(report)) == {'class_never_occurs'}
    assert len(found(report)['class_never_occurs']) == 16
    # road, building, car, and what does not count
    assert report.splits[0].statistics.pixels == {0: 48, 2: 48, 13: 48, 255: 48}


def test_what_a_class_of_its_own_refuses_is_told_with_all_else(tmp_path):
    write_streets(tmp_path, 'labelIds')
    (tmp_path / 'ann/b_gtFine_labelIds.png').rename(tmp_path / 'ann/b_gtFine_labelTrainIds.png')
    (tmp_path / 'train.lst').write_text(
        'img/a_leftImg8bit.png ann/a_gtFine_labelIds.png\n'
        'img/b_leftImg8bit.png ann/b_gtFine_labelTrainIds.png\n'
        'img/c_leftImg8bit.png ann/c_gtFine_labelTrainIds.png\n'
    )
    cfg = dict(type='CityscapesDataset', data_root=str(tmp_path), split='train.lst', pipeline=TRAIN)
    with pytest.raises(FileNotFoundError):
        build_dataset(cfg)
    report = check_dataset(Config(dict(data=dict(train=cfg))), workers=0)

    files = found(report)
    assert 'names labelIds files and others' in files['refused'][str(tmp_path / 'train.lst')]
    assert names(files['listed_image_missing'], tmp_path) == ['img/c_leftImg8bit.png']
    assert report.splits[0].num_images == 2


@pytest.fixture
def register():
    before = dict(DATASETS.module_dict)
    yield DATASETS.register_module(force=True)
    DATASETS.module_dict.clear()
    DATASETS.module_dict.update(before)


def test_data_set_that_lists_its_own_files(root, register):
    class Evens(CustomDataset):
        def load_annotations(self, *args):
            return super().load_annotations(*args)[::2]

    register(Evens)
    (root / 'img/train/image0.jpg').write_bytes(b'')
    (root / 'img/train/image1.jpg').write_bytes(b'')
    report = check(root, type='Evens')
    assert names(found(report)['empty_file'], root) == ['img/train/image0.jpg']

    (root / 'names.txt').write_text('image0\nlost\n')
    report = check(root, type='Evens', split='names.txt')
    assert names(found(report)['listed_image_missing'], root) == ['img/train/lost.jpg']
    assert names(found(report)['empty_file'], root) == ['img/train/image0.jpg']


def test_data_set_that_knows_its_folder(root, register):
    class Fixed(CustomDataset):
        def load_annotations(self, *args):
            names = [f'{root}/img/train/image{i}.jpg' for i in (1, 9)]
            return [dict(filename=n, ann=dict(seg_map=n.replace('jpg', 'png'))) for n in names]

    register(Fixed)
    files = found(check(root, type='Fixed', img_dir=None))
    assert names(files['image_without_label'], root) == [
        'img/train/image1.jpg',
        'img/train/image9.jpg',
    ]
    assert names(files['unreadable_file'], root) == ['img/train/image9.jpg']


def test_data_set_whose_files_are_unknown(register):
    class Generated:
        pass

    register(Generated)
    with pytest.raises(TypeError, match='Generated is no CustomDataset'):
        check_dataset(Config(dict(data=dict(train=dict(type='Generated')))), workers=0)


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(type='CustomDatset'), KeyError, "Did you mean 'CustomDataset'"),
        (dict(img_dirs='img'), TypeError, "no argument 'img_dirs'"),
        (dict(img_dir=None), ValueError, 'img_dir is missing'),
        (dict(palette=[[0, 0, 0]]), ValueError, 'palette has 1 colours for 3 classes'),
        (dict(label_map={'x': 1}), ValueError, "label_map has the key 'x'"),
    ],
)
def test_mistakes_in_arguments_are_errors_as_ever(root, changes, error, message):
    with pytest.raises(error, match=message):
        check(root, **changes)


# ------------------------------------------------------------------ what values mean


def test_numbered_objects_are_right_with_a_range(root):
    for index, path in enumerate(sorted((root / 'ann/train').iterdir())):
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16)
        cv2.imwrite(str(path), np.where(label > 0, label + 200 * index, 0).astype(np.uint16))
    classes = ('background', 'cell')
    assert found(check(root, classes=classes, label_map={'1-': 1})) == {}
    assert {'value_out_of_range', 'wide_label'} <= set(found(check(root, classes=classes)))


def test_the_parts_of_one_folder_share_no_file(root):
    write_images(root, count=10)
    parts = [config(root, val_fraction=0.3, part=part) for part in ('train', 'val')]
    cfg = Config({'data': {'train': parts[0], 'val': parts[1], 'test': parts[1]}})
    report = check_dataset(cfg, workers=0)
    assert [split.num_images for split in report.splits] == [7, 3, 3]
    assert not {'shared_by_splits', 'duplicate_across_splits'} & set(found(report))
    # another share in one of them is told
    parts[0]['val_fraction'] = 0.1
    cfg = Config({'data': {'train': parts[0], 'val': parts[1], 'test': parts[1]}})
    assert len(found(check_dataset(cfg, workers=0))['shared_by_splits']) == 2


def test_label_map_class_map_and_reduce_zero_label_are_followed(root, register):
    class Streets(CustomDataset):
        CLASSES = CLASSES

    register(Streets)
    for changes in (
        dict(label_map={2: 0}),
        dict(label_map={'1-': 1}),
        dict(label_map={'0-1': 2, '2-254': 0}),
        dict(reduce_zero_label=True),
        dict(reduce_zero_label=True, ignore_index=7, label_map={1: 0, 2: 3}),
        dict(type='Streets', classes=['sky', 'ground'], ignore_index=77),
    ):
        cfg = config(root, **changes)
        dataset = build_dataset(cfg)
        read = np.concatenate([label.ravel() for label in dataset.get_gt_seg_maps()])
        expected = dict(
            zip(*(a.tolist() for a in np.unique(read, return_counts=True)), strict=True)
        )
        assert check(root, **changes).splits[0].statistics.pixels == expected


def test_colours_are_mapped_and_those_without_a_class_are_named(root):
    colours = np.array([[0, 0, 0], [10, 20, 30], [200, 0, 0]], np.uint8)
    for path in (root / 'ann/train').iterdir():
        label = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), colours[label][..., ::-1])
    label_map = {(0, 0, 0): 0, (10, 20, 30): 1, (200, 0, 0): 2}
    assert found(check(root, label_map=label_map)) == {}

    del label_map[200, 0, 0]
    files = found(check(root, label_map=label_map))['unknown_colour']
    assert len(files) == 6 and all('(200, 0, 0) (' in note for note in files.values())
    assert len(found(check(root))['rgb_label']) == 6


def test_single_channel_labels_with_a_map_from_colours(root):
    report = check(root, label_map={(0, 0, 0): 0})
    assert len(found(report)['no_colours']) == 6


def test_255_marks_what_does_not_count_in_some_labels_only(root):
    for index in (0, 1):
        path = str(root / f'ann/train/image{index}.png')
        label = cv2.imread(path, cv2.IMREAD_UNCHANGED)
        label[label == index + 1] = 255
        label[:5] = 0
        cv2.imwrite(path, label if index else np.where(label == 255, 255, 0).astype(np.uint8))
    assert found(check(root)) == {}, 'image1 has 255 beside other classes'


def test_more_classes_than_fit_in_8_bits_need_16(root):
    path = str(root / 'ann/train/image0.png')
    label = cv2.imread(path, cv2.IMREAD_UNCHANGED).astype(np.uint16)
    label[0] = 299
    cv2.imwrite(path, label)
    files = found(check(root, classes=[f'c{i}' for i in range(300)], ignore_index=999))
    assert set(files) == {'class_never_occurs'}
    few = found(check(root))
    assert '299 (30 px)' in next(iter(few['value_out_of_range'].values()))
    assert len(few['wide_label']) == 1


def test_without_classes_no_value_is_wrong(root):
    report = check(root, classes=None)
    assert set(found(report)) == {'unknown_classes'}
    assert report.splits[0].balance is None
    assert '|     2 |' in format_report(report)


def test_arbitrary_colours_are_no_palette(root):
    path = root / 'ann/train/image0.png'
    img = Image.open(path).convert('P')
    img.putpalette([1, 2, 3, 4, 5, 6, 7, 8, 9])
    img.save(path)
    assert found(check(root)) == {}
    assert set(found(check(root, palette=[[0, 0, 0], [1, 1, 1], [2, 2, 2]]))) == {'palette_colours'}


# ------------------------------------------------------------------ splits


def test_files_that_train_and_val_share(root):
    cfg = config(root)
    report = check_dataset(Config(dict(data=dict(train=cfg, val=cfg))), workers=0)

    assert set(found(report)) == {'shared_by_splits'}
    assert report.num_errors == 0 and len(found(report)['shared_by_splits']) == 6
    assert report.same_files == {'val': 'train'}


def test_splits_are_those_of_the_config_or_those_asked_for(root):
    val = config(root, img_dir='img/val', ann_dir='ann/val')
    cfg = Config(dict(data=dict(train=config(root), val=val)))
    assert [s.name for s in check_dataset(cfg, workers=0).splits] == ['train', 'val']
    assert [s.name for s in check_dataset(cfg, ['val'], workers=0).splits] == ['val']
    with pytest.raises(KeyError, match=r"lacks 'data\.test'"):
        check_dataset(cfg, ['test'], workers=0)

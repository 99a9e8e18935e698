"""CustomDataset: files, classes, labels, and what goes wrong with them."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.datasets import CustomDataset, NucleiDataset, build_dataset, check_labels
from msseg.datasets.builder import DATASETS
from msseg.datasets.file_lists import take_part
from tests.test_datasets.data_folder import CLASSES, TEST, TRAIN, config, write_images


@pytest.fixture
def root(tmp_path):
    write_images(tmp_path)
    return tmp_path


def names(dataset):
    return [info['filename'] for info in dataset.img_infos]


def test_folder(root):
    write_images(root, count=1, folder='train/deeper', first=9)
    (root / 'img/train/.hidden.jpg').write_bytes(b'')
    dataset = build_dataset(config(root))

    assert names(dataset) == ['deeper/image9.jpg', *(f'image{i}.jpg' for i in range(6))]
    assert dataset.get_ann_info(0) == dict(seg_map='deeper/image9.png')
    assert dataset.get_filename(1) == str(root / 'img/train/image0.jpg')
    assert len(dataset) == 7
    sample = dataset[0]
    assert sample['img'].shape == (3, 12, 16) and sample['gt_semantic_seg'].shape == (1, 12, 16)


def test_a_folder_without_a_split_is_divided_by_names(root):
    write_images(root, count=24)
    for seed in (0, 1):
        train, val = (
            build_dataset(config(root, val_fraction=0.2, split_seed=seed, part=part))
            for part in ('train', 'val')
        )
        assert (len(train), len(val)) == (19, 5)
        assert sorted(names(train) + names(val)) == names(build_dataset(config(root)))
    # fixed for ever: who goes on with a run later trains and validates on the same images.
    # The first five of: printf '0/image3.jpg' | sha256sum, for each image, sorted
    val = build_dataset(config(root, val_fraction=0.2, part='val', test_mode=True))
    assert names(val) == [f'image{i}.jpg' for i in (1, 19, 7, 8, 9)]


def test_where_images_are_divided_does_not_depend_on_their_order_and_hardly_on_others():
    infos = [{'filename': f'a/{i}.jpg'} for i in range(200)]
    val = take_part(infos, 'val', 0.25, 7, 'X')
    assert len(val) == 50
    assert take_part(infos[::-1], 'val', 0.25, 7, 'X') == val[::-1]
    fewer = take_part(infos[:190], 'val', 0.25, 7, 'X')
    moved = [info for info in infos[:190] if (info in val) != (info in fewer)]
    assert len(moved) <= 5
    assert take_part(infos, 'val', 0.25, 8, 'X') != val
    # an image that is listed twice is on one side
    twice = take_part([*infos, *infos], 'val', 0.25, 7, 'X')
    assert twice == [*val, *val]
    # spelt as another system lists it
    one, other = ([{'filename': name}, *infos] for name in ('e\u0301.jpg', '\xe9.jpg'))
    assert len(take_part(one, 'val', 0.5, 0, 'X')[1:]) == len(
        take_part(other, 'val', 0.5, 0, 'X')[1:]
    )
    assert [len(take_part(infos[:n], 'val', f, 0, 'X')) for n, f in ((2, 0.01), (3, 0.99))] == [
        1,
        2,
    ]


@pytest.mark.parametrize(
    'arguments, message',
    [
        (dict(val_fraction=0.2), r"val_fraction=0.2, split_seed=0, part=None; .*part='train'"),
        (dict(part='val'), 'val_fraction=None'),
        (dict(split_seed=3), 'val_fraction=None, split_seed=3'),
        (dict(part='test', val_fraction=0.2), 'part'),
        (dict(part='val', val_fraction=0.0), 'val_fraction'),
        (dict(part='val', val_fraction=1), 'val_fraction'),
        (dict(part='val', val_fraction=float('nan')), 'val_fraction'),
        (dict(part='val', val_fraction='0.2'), 'val_fraction'),
        (dict(part='val', val_fraction=0.2, split_seed=0.5), 'split_seed'),
        (dict(part='val', val_fraction=0.2, num_samples=-1), 'num_samples'),
    ],
)
def test_a_division_must_be_said_as_a_whole(root, arguments, message):
    cfg = config(root, **arguments)
    with pytest.raises((ValueError, TypeError), match=message):
        build_dataset(cfg)
    cfg.pop('type')
    with pytest.raises((ValueError, TypeError), match=message):
        CustomDataset(**cfg)


def test_one_image_cannot_be_divided(tmp_path):
    write_images(tmp_path, count=1)
    with pytest.raises(ValueError, match='val_fraction=0.5 of 1 image'):
        build_dataset(config(tmp_path, val_fraction=0.5, part='train'))


def test_suffix_is_replaced_at_the_end_only(tmp_path):
    for kind, suffix in (('a_img.d', '_img.png'), ('ann', '_gt.png')):
        (tmp_path / kind).mkdir()
        cv2.imwrite(str(tmp_path / kind / f'x_img.png_1{suffix}'), np.zeros((4, 4), np.uint8))
    dataset = build_dataset(
        config(
            tmp_path,
            img_dir='a_img.d',
            ann_dir='ann',
            img_suffix='_img.png',
            seg_map_suffix='_gt.png',
        )
    )

    assert dataset.get_ann_info(0) == dict(seg_map='x_img.png_1_gt.png')


def test_several_suffixes(root):
    (root / 'img/train/image0.jpg').rename(root / 'img/train/image0.jpeg')
    dataset = build_dataset(config(root, img_suffix=('.jpg', '.jpeg')))
    assert names(dataset)[:2] == ['image0.jpeg', 'image1.jpg']

    (root / 'split.txt').write_text('image1\n\nimage0\n')
    dataset = build_dataset(config(root, img_suffix=('.jpg', '.jpeg'), split='split.txt'))
    assert names(dataset) == ['image1.jpg', 'image0.jpeg']


def test_num_samples(root):
    assert names(build_dataset(config(root, num_samples=2))) == ['image0.jpg', 'image1.jpg']
    assert len(build_dataset(config(root, num_samples=0))) == 6
    assert len(build_dataset(config(root, num_samples=99))) == 6
    with pytest.raises(ValueError, match='num_samples is -1'):
        build_dataset(config(root, num_samples=-1))


def test_list_of_pairs(root):
    (root / 'all.lst').write_text('img/train/image3.jpg ann/train/image1.png\n' * 2)
    cfg = config(root, split='all.lst')
    del cfg['img_dir'], cfg['ann_dir']
    dataset = build_dataset(cfg)

    assert dataset.get_filename(0) == str(root / 'img/train/image3.jpg')
    expected = cv2.imread(str(root / 'ann/train/image1.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(dataset.get_gt_seg_map(1), expected)
    (root / 'all.lst').write_text('img/train/image3.jpg\n')
    dataset = build_dataset({**cfg, 'test_mode': True, 'pipeline': TEST})
    with pytest.raises(ValueError, match='image3.jpg has no label; give ann_dir'):
        dataset.get_gt_seg_map(0)


def test_classes_and_colours(root, tmp_path):
    (tmp_path / 'names.txt').write_text('ground\nwall\nsky\n')
    from_file = build_dataset(config(root, classes=str(tmp_path / 'names.txt')))
    assert list(from_file.CLASSES) == list(CLASSES)
    default = build_dataset(config(root)).PALETTE
    assert default == [(230, 159, 0), (86, 180, 233), (0, 158, 115)]
    palette = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert palette == build_dataset(config(root, palette=palette)).PALETTE
    nuclei = NucleiDataset(pipeline=TRAIN, img_dir=str(root / 'img'), classes=['nucleus'])
    assert list(nuclei.CLASSES) == ['nucleus'] and list(nuclei.PALETTE) == [(0, 220, 80)]


def test_part_of_the_classes(root):
    class Streets(CustomDataset):
        CLASSES = ('ground', 'wall', 'sky')
        PALETTE = [[1, 1, 1], [2, 2, 2], [3, 3, 3]]

    cfg = {**config(root), 'classes': ['sky', 'ground'], 'ignore_index': 77}
    cfg.pop('type')
    dataset = Streets(**cfg)
    raw = cv2.imread(str(root / 'ann/train/image0.png'), cv2.IMREAD_UNCHANGED)

    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), np.choose(raw, [1, 77, 0]))
    assert dataset.PALETTE == [[3, 3, 3], [1, 1, 1]]
    assert set(np.unique(dataset[0]['gt_semantic_seg'])) <= {0, 1, 77}
    assert Streets(**{**cfg, 'classes': None}).get_gt_seg_map(0).max() == 2
    with pytest.raises(
        ValueError, match="not a subset of CLASSES: no 'walls'. Did you mean 'wall'"
    ):
        Streets(**{**cfg, 'classes': ['walls']})


@pytest.mark.parametrize(
    'changes, error, message',
    [
        (dict(classes=3), TypeError, 'classes is 3, expected a path, or a list, each a text'),
        (dict(classes=['a', 'a']), ValueError, 'expected different names'),
        (dict(classes=['a', '', 'c']), ValueError, "name of class 1 is '', expected a text"),
        (dict(classes=['a', 'b', ' ']), ValueError, "name of class 2 is ' ', expected a text"),
        (dict(classes=['a\nb', 'b', 'c']), ValueError, r"0 is 'a\\nb', .* without line breaks"),
        (dict(classes=['a', 'b', '\x1b[1m']), ValueError, r"2 is '\\x1b\[1m', .* without line b"),
        (dict(classes='escape.txt'), ValueError, r"name of class 1 is 'b\\x07', .* without line b"),
        (dict(classes='none.txt'), FileNotFoundError, "classes='none.txt' is no file"),
        (dict(palette=[[0, 0, 0]]), ValueError, 'palette has 1 colours for 3 classes'),
        (dict(file_client_args=dict(backend='ceph')), ValueError, 'read from the local disk'),
        (dict(img_dir=7), TypeError, 'img_dir is 7, expected a path'),
        (dict(img_dir=None), ValueError, 'img_dir is missing'),
        (dict(img_dir='img/trian'), FileNotFoundError, "no 'trian'. Did you mean 'train'"),
        (dict(img_dir='img/train/image0.jpg'), FileNotFoundError, 'is a file; expected a folder'),
        (dict(ann_dir='coco.json'), FileNotFoundError, r'json.* folder \(msseg import-labels'),
        (dict(ann_dir='none/train'), FileNotFoundError, "ann_dir=.*has no 'none'"),
        (dict(img_suffix='.png'), ValueError, r"ends with '.png'; it has 6 of '.jpg'"),
        (dict(seg_map_suffix='_gt.png'), FileNotFoundError, '6 of 6 images have no label.*_gt.png'),
        (dict(split='none.txt'), FileNotFoundError, 'none.txt.*there is no such file'),
        (dict(split='pipe'), ValueError, "split='.*pipe' is a named pipe; expected a text file"),
        (dict(split='/dev/null'), ValueError, "split='/dev/null' is a device; expected a text f"),
        (dict(split='img'), ValueError, "split='.*img' is a folder; expected a text file"),
        (dict(img_dir='pipe'), FileNotFoundError, "img_dir='.*pipe' is a named pipe; expected a f"),
        (dict(split='gbk.txt'), FileNotFoundError, '. If the name looks wrong here, .*gbk.txt was'),
        (dict(split='gbk.lst'), FileNotFoundError, '. If the name looks wrong here, .*gbk.lst was'),
        (dict(split='empty.txt'), ValueError, 'empty.txt.*is empty'),
        (dict(split='wrong.txt'), FileNotFoundError, "line 2 names 'image0.jpg'.*without img_suf"),
        (dict(split='wrong.lst'), ValueError, "wrong.lst, line 1 is 'a b c'"),
        (dict(split='lost.lst'), FileNotFoundError, 'names .img/lost.jpg., but there is no'),
        (
            dict(label_map={1: 300}),
            ValueError,
            'label_map maps 1 to 300, .* 0 to 2, or ignore_index=',
        ),
        (
            dict(label_map={1: -1}),
            ValueError,
            'label_map maps 1 to -1, .* 0 to 2, or ignore_index=',
        ),
        (dict(label_map={1: 3}), ValueError, 'label_map maps 1 to 3, which is no class of 3'),
        (
            dict(label_map={1: 4}, reduce_zero_label=True),
            ValueError,
            r'1 to 4, .*expected 0 \(no class\) to 3 \(class index \+ 1',
        ),
        (dict(label_map={'x': 1}), ValueError, "label_map has the key 'x'"),
        (dict(pipeline=[dict(type='Resise')]), KeyError, "Did you mean 'Resize'"),
    ],
)
def test_mistake_is_explained(root, changes, error, message):
    (root / 'empty.txt').write_text('\n')
    (root / 'coco.json').write_text('{}')
    os.mkfifo(root / 'pipe')
    for name in ('gbk.txt', 'gbk.lst'):  # of GBK, and UTF-8 by chance
        (root / name).write_bytes('模\n'.encode('gbk'))
    if changes.get('classes') == 'escape.txt':
        (root / 'escape.txt').write_text('a\nb\a\nc\n')
        changes = dict(classes=str(root / 'escape.txt'))
    (root / 'wrong.txt').write_text('image1\nimage0.jpg\n')
    (root / 'wrong.lst').write_text('a b c\n')
    (root / 'lost.lst').write_text('img/lost.jpg ann/lost.png\n')

    with pytest.raises(error, match=message):
        build_dataset(config(root, **changes))


def test_one_label_is_missing(root):
    (root / 'ann/train/image4.png').unlink()

    with pytest.raises(FileNotFoundError, match='1 of 6 images have no label, the first is image4'):
        build_dataset(config(root))
    testing = build_dataset(config(root, test_mode=True))
    with pytest.raises(FileNotFoundError, match='image4'):
        testing.check_labels()


def test_a_label_map_may_lead_to_every_class_of_the_data_set_and_to_none(root):
    cfg = config(root, classes=['a', 'b', 'c'], ignore_index=-1)
    for target in (0, 2, -1):
        assert build_dataset({**cfg, 'label_map': {1: target}}).label_map == {1: target}
    reduced = {**cfg, 'reduce_zero_label': True}
    assert build_dataset({**reduced, 'label_map': {1: 3}}).label_map == {1: 3}


def test_a_data_set_class_with_the_same_name_twice_is_refused(root):
    class Double(CustomDataset):
        CLASSES = ('a', 'b', 'a')

    cfg = {key: value for key, value in config(root).items() if key not in ('type', 'classes')}
    with pytest.raises(ValueError, match="Double: the name of class 2 is 'a', the same as class 0"):
        Double(**cfg)


def test_testing_needs_classes(root):
    with pytest.raises(ValueError, match='the classes are unknown; give classes='):
        build_dataset(config(root, classes=None, test_mode=True))


def test_label_map_and_reduce_zero_label_count_in_training_and_evaluation(root):
    raw = cv2.imread(str(root / 'ann/train/image0.png'), cv2.IMREAD_UNCHANGED)
    dataset = build_dataset(config(root, label_map={2: 0}))
    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), np.choose(raw, [0, 1, 0]))
    assert dataset[0]['gt_semantic_seg'].max() == 1
    dataset = build_dataset(config(root, reduce_zero_label=True))
    np.testing.assert_array_equal(dataset.get_gt_seg_map(0), np.choose(raw, [255, 0, 1]))
    np.testing.assert_array_equal(next(dataset.get_gt_seg_maps()), dataset.get_gt_seg_map_by_idx(0))
    assert set(np.unique(dataset[0]['gt_semantic_seg'])) == {0, 1, 255}


def test_predictions_are_written_as_labels_are_read(root):
    dataset = build_dataset(config(root, reduce_zero_label=True))
    prediction = np.array([[0, 1], [1, 0]])

    files = dataset.format_results([prediction], str(root / 'out'), [2])
    assert files == [str(root / 'out' / 'image2.png')]
    np.testing.assert_array_equal(np.array(Image.open(files[0])), prediction + 1)


def test_data_set_of_ones_own_is_loaded_by_its_own_methods(root):
    @DATASETS.register_module(force=True)
    class Reversed(CustomDataset):
        def load_annotations(self, *args):
            return super().load_annotations(*args)[::-1]

    try:
        assert names(build_dataset(config(root, type='Reversed')))[0] == 'image5.jpg'
    finally:
        DATASETS.module_dict.pop('Reversed')


@pytest.mark.parametrize(
    ('info', 'message'),
    [
        (dict(image='a.jpg'), r"Own: load_annotations gave \{'image': 'a.jpg'\}; .*filename="),
        (dict(filename='a.jpg', ann=dict(mask='a.png')), r"gave ann=\{'mask': 'a.png'\} for a.jpg"),
    ],
)
def test_files_listed_under_other_keys_are_named(root, info, message):
    class Own(CustomDataset):
        def load_annotations(self, *args):
            return [info]

    with pytest.raises(ValueError, match=message):
        Own(pipeline=[], data_root=str(root), img_dir='img', ann_dir='ann', classes=['a'])


def test_a_data_set_without_the_base_class_is_scored_or_told_what_it_lacks():
    class Own:
        CLASSES = ('ground', 'disc')
        ignore_index = 255

        def get_gt_seg_map(self, index):
            return np.zeros((2, 2), np.uint8)

    check_labels(Own())
    with pytest.raises(TypeError, match='Own cannot be evaluated, it has no ignore_index'):
        del Own.ignore_index
        check_labels(Own())

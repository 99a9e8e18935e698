"""Each fault planted in a copy of the nuclei is found, named and explained; the original has none.

A fault is a function that spoils a copy, mostly one pair of it, and returns the kind it is to be
found as, the file that is to be named, and a phrase of what is to be said.
"""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from msseg.apis import load_config
from msseg.checks.data import check_dataset, format_report
from msseg.checks.data.rules import RULES
from tests.test_checks.test_data.nuclei_copy import (
    NUCLEI,
    Pair,
    all_pairs,
    copy_nuclei,
    cut,
    nuclei_config,
)

FAULTS = {}


def fault(function):
    FAULTS[function.__name__] = function
    return function


# ------------------------------------------------------------------ pairs


@fault
def image_without_label(root, pair):
    pair.label.unlink()
    return 'image_without_label', pair.image, str(pair.label)


@fault
def label_without_image(root, pair):
    pair.image.unlink()
    return 'label_without_image', pair.label, str(pair.image)


@fault
def size_mismatch(root, pair):
    pair.values = pair.values[:-6]
    return 'size_mismatch', pair.image, '256x320, its label'


@fault
def upper_case_suffix_of_an_image(root, pair):
    pair.image.rename(pair.image.with_suffix('.JPG'))
    return 'upper_case_suffix', pair.image.with_suffix('.JPG'), "ends with '.JPG', not with '.jpg'"


@fault
def upper_case_suffix_of_a_label(root, pair):
    pair.label.rename(pair.label.with_suffix('.PNG'))
    return 'upper_case_suffix', pair.label.with_suffix('.PNG'), pair.label.name


@fault
def image_of_another_suffix(root, pair):
    pair.image.rename(pair.image.with_suffix('.jpeg'))
    return 'other_suffix', pair.image.with_suffix('.jpeg'), 'img_suffix a list'


@fault
def two_images_of_one_label(root, pair):
    second = pair.image.with_suffix('.png')
    Image.open(pair.image).rotate(90, expand=False).save(second)
    return 'shared_label', pair.label, f'of {pair.image}, {second}'


# ------------------------------------------------------------------ damaged files


@fault
def truncated_image(root, pair):
    cut(pair.image)
    return 'truncated_image', pair.image, 'without the end of the picture'


@fault
def truncated_bmp(root, pair):
    bmp = pair.image.with_suffix('.png')  # by content a BMP, which has no mark at its end
    Image.open(pair.image).save(bmp, 'BMP')
    pair.image.unlink()
    cut(bmp)
    return 'truncated_image', bmp, 'truncated'


@fault
def truncated_label(root, pair):
    cut(pair.label)
    return 'truncated_label', pair.label, 'without the end of the picture'


@fault
def truncated_tiff_label(root, pair):
    Image.open(pair.label).save(pair.label, 'TIFF')
    cut(pair.label)
    return 'truncated_label', pair.label, 'truncated'


@fault
def unreadable_image(root, pair):
    pair.image.write_text('<html>404</html>')
    return 'unreadable_file', pair.image, '<html>40'


@fault
def unreadable_label(root, pair):
    pair.label.write_text('<html>404</html>')
    return 'unreadable_file', pair.label, 'it is no image'


@fault
def folder_in_place_of_a_label(root, pair):
    pair.label.unlink()
    pair.label.mkdir()
    return 'image_without_label', pair.image, str(pair.label)


@fault
def flipped_bit_in_a_label(root, pair):
    data = bytearray(pair.label.read_bytes())
    data[len(data) // 2] ^= 4
    pair.label.write_bytes(data)
    return 'unreadable_file', pair.label, 'checksum'


@fault
def empty_image(root, pair):
    pair.image.write_bytes(b'')
    return 'empty_file', pair.image, '0 bytes'


@fault
def empty_label(root, pair):
    pair.label.write_bytes(b'')
    return 'empty_file', pair.label, 'Copy or download it again'


# ------------------------------------------------------------------ labels


@fault
def rgb_label_with_the_colours_of_the_palette(root, pair):
    pair.values = np.array([[0, 0, 0], [0, 220, 80]], np.uint8)[pair.values]
    return 'rgb_label', pair.label, 'set label_map={(0, 0, 0): 0, (0, 220, 80): 1}'


@fault
def rgb_label_with_other_colours(root, pair):
    pair.values = np.array([[9, 0, 0], [200, 10, 20]], np.uint8)[pair.values]
    return 'rgb_label', pair.label, '(9, 0, 0): …, (200, 10, 20): …'


@fault
def rgb_label_of_indices(root, pair):
    pair.values = np.repeat(pair.values[..., None], 3, axis=2)
    return 'rgb_label', pair.label, 'its class index three times'


@fault
def picture_as_a_label(root, pair):
    Image.open(pair.image).save(pair.label)
    return 'rgb_label', pair.label, 'too many colours: it is a picture'


@fault
def jpeg_label(root, pair):
    Image.open(pair.label).save(pair.label, 'JPEG')
    return 'jpeg_label', pair.label, 'single-channel PNG'


@fault
def label_with_transparency(root, pair):
    Image.open(pair.label).convert('RGBA').save(pair.label)
    return 'label_mode', pair.label, 'PNG RGBA, 8 bits'


def set_palette(pair, *colours):
    img = Image.fromarray(pair.values).convert('P')
    img.putpalette([number for colour in colours for number in colour])
    img.save(pair.label)


@fault
def palette_of_other_colours(root, pair):
    set_palette(pair, (0, 0, 0), (255, 255, 255))
    return 'palette_colours', pair.label, 'index 1 (nucleus) has (255, 255, 255), not (0, 220, 80)'


@fault
def palette_of_exchanged_classes(root, pair):
    set_palette(pair, (0, 220, 80), (0, 0, 0))
    return 'palette_order', pair.label, 'index 0 (background) has (0, 220, 80), not (0, 0, 0)'


@fault
def sixteen_bit_label(root, pair):
    pair.values = pair.values.astype(np.uint16)
    return 'wide_label', pair.label, 'PNG I;16, 16 bits, values 0, 1'


@fault
def labels_0_255(root, _):
    for pair in (*all_pairs(root), *all_pairs(root, 'val')):
        pair.values = pair.values * 255
    return 'labels_0_255', pair.label, 'set label_map={255: 1}'


@fault
def one_label_0_255(root, pair):
    pair.values = pair.values * 255
    return 'labels_0_255', pair.label, 'set label_map={255: 1}'


@fault
def value_out_of_range_in_one_file(root, pair):
    values = pair.values
    values[3:5, 2:7] = 7
    pair.values = values
    return 'value_out_of_range', pair.label, '7 (10 px)'


@fault
def values_that_count_from_1(root, _):
    for pair in all_pairs(root):
        pair.values = pair.values + 1
        values = pair.values
        values[0, 0] = 0
        pair.values = values
    return 'value_out_of_range', pair.label, 'set reduce_zero_label=True'


@fault
def values_spread_over_the_grey_scale(root, _):
    for pair in all_pairs(root):
        pair.values = pair.values * 200
    return 'value_out_of_range', pair.label, 'set label_map={200: 1}'


@fault
def values_that_number_objects(root, _):
    for pair in all_pairs(root):
        number = np.arange(pair.values.size, dtype=np.uint8).reshape(pair.values.shape) % 9
        pair.values = np.where(pair.values == 1, 1 + number, pair.values)
    return 'value_out_of_range', pair.label, "set label_map={'1-': 1}"


@fault
def values_from_1_without_0(root, _):
    for pair in (*all_pairs(root), *all_pairs(root, 'val')):
        pair.values = pair.values + 1
    return 'value_out_of_range', pair.label, 'The values are 1 to 2: if class 0 is stored as 1'


@fault
def masks_with_soft_edges(root, _):
    for pair in all_pairs(root):
        mask = Image.fromarray(pair.values * 255)
        small = mask.resize((mask.width // 2, mask.height // 2), Image.Resampling.BILINEAR)
        pair.values = np.array(small.resize(mask.size, Image.Resampling.BILINEAR))
    return 'value_out_of_range', pair.label, "label_map={'0-127': 0, '128-255': 1}"


@fault
def all_ignored_label(root, pair):
    pair.values = np.full_like(pair.values, 255)
    return 'all_ignored', pair.label, 'holds 255 only'


@fault
def class_that_never_occurs(root, _):
    for pair in all_pairs(root):
        pair.values = pair.values * 0
    return 'class_never_occurs', "class 1 'nucleus'", 'cannot be learnt'


@fault
def label_that_is_all_255_among_0_255(root, _):
    for pair in (*all_pairs(root), *all_pairs(root, 'val')):
        pair.values = np.full_like(pair.values, 255 * (pair.values.mean() > 0.2))
    white = [pair.label for pair in all_pairs(root) if pair.values.any()]
    return 'labels_0_255', white[0], 'set label_map={255: 1}'


# ------------------------------------------------------------------ images


@fault
def duplicate_across_splits(root, pair):
    copy = root / 'images' / 'val' / 'copy.jpg'
    shutil.copyfile(pair.image, copy)
    shutil.copyfile(pair.label, root / 'annotations' / 'val' / 'copy.png')
    return 'duplicate_across_splits', copy, f'has the pixels of {pair.image}'


@fault
def duplicate_stored_anew(root, pair):
    copy = root / 'images' / 'val' / 'copy.png'
    Image.open(pair.image).save(copy)
    shutil.copyfile(pair.label, root / 'annotations' / 'val' / 'copy.png')
    return 'duplicate_across_splits', copy, f'has the pixels of {pair.image}'


@fault
def duplicate_within_a_split(root, pair):
    copy = pair.image.with_name('zz.jpg')
    shutil.copyfile(pair.image, copy)
    shutil.copyfile(pair.label, pair.label.with_name('zz.png'))
    return 'duplicate_in_split', copy, f'has the pixels of {pair.image}'


@fault
def labels_as_images(root, _):
    for pair in all_pairs(root):
        Image.open(pair.label).save(pair.image, 'PNG')
    return 'flat_images', pair.image, 'standard deviation 0.'


@fault
def grey_image_among_colour_ones(root, pair):
    Image.open(pair.image).convert('L').save(pair.image)
    return 'grey_among_colour', pair.image, 'JPEG L, 8 bits; the other 11 have colours'


@fault
def grey_image_stored_in_colours(root, pair):
    Image.open(pair.image).convert('L').convert('RGB').save(pair.image)
    return 'grey_among_colour', pair.image, 'JPEG RGB, 8 bits; the other 11 have colours'


# the config says .jpg and .png; what is in a file counts


@fault
def image_of_16_bits(root, pair):
    deep = np.array(Image.open(pair.image))[..., ::-1].astype(np.uint16) * 16
    pair.image.write_bytes(cv2.imencode('.png', deep)[1].tobytes())
    return (
        'unused_bits',
        pair.image,
        f'16 bits a channel, the upper 8 bits are taken; values to {deep.max()}',
    )


@fault
def image_of_4_channels(root, pair):
    Image.open(pair.image).convert('RGBA').save(pair.image, format='PNG')
    return 'unused_channels', pair.image, 'holds 4 channels (RGBA), 3 are taken'


@fault
def image_of_3_pages(root, pair):
    img = Image.open(pair.image).convert('RGB')
    img.save(pair.image, format='TIFF', save_all=True, append_images=[img] * 2)
    return 'unused_pages', pair.image, 'holds 3 pages, the first is taken'


@fault
def image_of_real_numbers(root, pair):
    values = Image.fromarray(np.array(Image.open(pair.image).convert('L'), np.float32))
    values.save(pair.image, format='TIFF')
    return 'needs_setting', pair.image, 'max_value'


def tag(pair, orientation):
    img = Image.open(pair.image)
    exif = img.getexif()
    exif[274] = orientation
    img.save(pair.image, quality='keep', exif=exif)


@fault
def rotated_by_exif(root, pair):
    tag(pair, 6)
    return 'exif_turns_image', pair.image, 'loaded as 320x256, its label is 256x320'


@fault
def upside_down_by_exif(root, pair):
    tag(pair, 3)
    return 'exif_orientation', pair.image, 'orientation 3 (shown turned by 180 degrees)'


@fault
def rotated_by_exif_with_its_label(root, pair):
    tag(pair, 6)
    pair.values = np.rot90(pair.values, -1).copy()
    return 'exif_orientation', pair.image, 'orientation 6 (shown turned by 90 degrees clockwise)'


# ------------------------------------------------------------------


@pytest.fixture(scope='module')
def clean(tmp_path_factory):
    return copy_nuclei(tmp_path_factory.mktemp('clean') / 'nuclei', train=12, val=3)


@pytest.mark.parametrize('name', FAULTS)
def test_fault_is_found_named_and_explained(clean, tmp_path, name):
    root = shutil.copytree(clean, tmp_path / 'nuclei')
    kind, path, phrase = FAULTS[name](root, Pair(root))

    report = check_dataset(nuclei_config(root), workers=0)

    assert {finding.kind for finding in report.findings} == {kind}
    assert str(path) in {file for finding in report.findings for file in finding.files}
    text = format_report(report)
    assert f'{RULES[kind].severity}: {RULES[kind].title} (' in text
    assert phrase in text
    assert text.splitlines()[-1].startswith('1 error' if report.num_errors else '0 errors, 1 warn')


def test_nothing_is_found_in_the_original():
    report = check_dataset(load_config('configs/demo/ocrnet_nuclei.py'), workers=0)

    assert report.findings == []
    assert report.same_files == {'test': 'val'}
    assert [(s.name, s.num_images) for s in report.splits] == [
        ('train', 180),
        ('val', 50),
        ('test', 50),
    ]
    assert format_report(report).splitlines()[-1] == 'nothing is wrong'


def test_nothing_is_found_in_the_copy(clean):
    assert check_dataset(nuclei_config(clean), workers=0).findings == []


def test_many_faults_at_once_hide_none(clean, tmp_path):
    root = shutil.copytree(clean, tmp_path / 'nuclei')
    names = (
        'image_without_label', 'size_mismatch', 'truncated_image', 'truncated_label',
        'unreadable_image', 'rgb_label_of_indices', 'sixteen_bit_label', 'all_ignored_label',
        'value_out_of_range_in_one_file', 'upside_down_by_exif', 'upper_case_suffix_of_an_image',
    )  # fmt: skip
    pairs = [Pair(root, index=index) for index in range(len(names))]
    kinds = {FAULTS[name](root, pair)[0] for name, pair in zip(names, pairs, strict=True)}

    report = check_dataset(nuclei_config(root), workers=0)
    assert {finding.kind for finding in report.findings} == kinds
    severities = [finding.severity for finding in report.findings]
    assert severities == sorted(severities), 'errors come first'


def test_page_names_every_kind():
    page = (NUCLEI.parents[1] / 'docs' / 'check_dataset.md').read_text(encoding='utf-8')
    assert [rule.title for rule in RULES.values() if rule.title not in page] == []

"""What can be wrong with a data set: name, severity, consequence and cure of each kind."""

from __future__ import annotations

from msseg.checks.findings import Kind

_STOPS = 'Loading stops there.'
_AGAIN = 'Copy or download it again.'

# In the order in which findings are shown.
KINDS = {
    'missing_folder': Kind(
        'error', 'missing folder', 'The data set cannot be built.', 'Correct data_root or the path.'
    ),
    'no_images': Kind(
        'error', 'no images', 'The data set cannot be built.', 'Correct img_dir or img_suffix.'
    ),
    'bad_list': Kind(
        'error', 'unusable split file', 'The data set cannot be built.', 'Correct the file.'
    ),
    'refused': Kind(
        'error', 'refused', 'The data set itself refuses its files.', 'Do what it says.'
    ),
    'unknown_classes': Kind(
        'error',
        'unknown classes',
        'Neither training nor evaluation starts, and label values are not judged.',
        'Give the data set classes=[…].',
    ),
    'listed_image_missing': Kind(
        'error',
        'listed image is missing',
        'The data set cannot be built.',
        'Add the image, or take its line out of the split file.',
    ),
    'image_without_label': Kind(
        'error',
        'image without label',
        'Neither training nor evaluation starts.',
        'Add the label, correct ann_dir and seg_map_suffix, or take the image out.',
    ),
    'label_without_image': Kind(
        'warning',
        'label without image',
        'It is never used.',
        'Add the image, or remove the label.',
    ),
    'image_as_label': Kind(
        'error',
        'image that is its own label',
        'Grey values or colours are read as class indices.',
        'Correct ann_dir and seg_map_suffix, so that they name the label.',
    ),
    'shared_label': Kind(
        'warning',
        'label of several images',
        'All but one of these images are probably learnt with the label of another image.',
        'Give each image a label of its own, or limit img_suffix to one kind of file.',
    ),
    'crossed_names': Kind(
        'warning',
        'label that has the name of another image',
        'Images and labels are probably paired wrongly, so that nothing right is learnt.',
        'Correct the lines of the split file.',
    ),
    'upper_case_suffix': Kind(
        'error',
        'upper-case suffix',
        'The suffixes of the config do not match it, so the file is left out.',
        'Rename the file; img_suffix may also be several.',
    ),
    'other_suffix': Kind(
        'warning',
        'image file that img_suffix leaves out',
        'It is never used.',
        'If it belongs to the data set, give img_suffix a list with its suffix as well.',
    ),
    'empty_file': Kind('error', 'empty file', _STOPS, _AGAIN),
    'truncated_image': Kind(
        'error', 'truncated image', 'Loading stops there, or the rest is grey.', _AGAIN
    ),
    'truncated_label': Kind('error', 'truncated label', _STOPS, _AGAIN),
    'unreadable_file': Kind(
        'error',
        'unreadable file',
        'It is damaged, of another format than images have, or may not be read.',
        'Copy it again, save it as PNG or JPEG, or correct its permissions.',
    ),
    'needs_setting': Kind(
        'error',
        'file that needs a setting',
        _STOPS,
        'Do what it says.',
    ),
    'unused_bits': Kind(
        'warning',
        'image of more bits than are used',
        'Its values are cut to the upper 8 of 16 bits: of 12 bits, 16 grey levels are left.',
        'Set max_value of LoadImageFromFile to the largest value that occurs, or '
        'percentiles=(1, 99); in all pipelines.',
    ),
    'unused_channels': Kind(
        'warning',
        'image of more channels than are used',
        'The others are left out.',
        "Set color_type='unchanged' of LoadImageFromFile, in_channels of the backbone to their "
        'number, and as many numbers in mean and std of Normalize; unless they are transparency.',
    ),
    'unused_pages': Kind(
        'warning',
        'image of several pages',
        'Only the first is used.',
        'Save the pages as files of their own, each with its label.',
    ),
    'size_mismatch': Kind(
        'error',
        'image and label of different size',
        _STOPS,
        'Save both at one size (resize labels by nearest neighbour only), or look whether they '
        'belong together.',
    ),
    'exif_turns_image': Kind(
        'error',
        'image rotated by EXIF, unlike its label',
        'Images are turned as EXIF says when they are loaded, labels are not: the sizes differ.',
        "Load the pixels as they are stored: color_type='color_ignore_orientation' of "
        'LoadImageFromFile; or save the image turned and without the tag, and the label turned.',
    ),
    'exif_orientation': Kind(
        'warning',
        'image rotated by EXIF',
        'Images are turned as EXIF says when they are loaded, labels are not: whether the label '
        'was drawn on the turned picture does not show.',
        'Lay one over the other. If they agree, save the image turned and without the tag, for '
        "other programs; if not, color_type='color_ignore_orientation' of LoadImageFromFile "
        'loads the pixels as they are stored.',
    ),
    'flat_images': Kind(
        'warning',
        'images of nearly one value',
        'There is nothing to see in them: they are labels, or their values fill a small part of '
        'the scale.',
        'Correct img_dir and img_suffix; or set max_value or percentiles of LoadImageFromFile.',
    ),
    'grey_among_colour': Kind(
        'warning',
        'grey image among colour ones',
        'It is loaded with three equal channels, which the network sees in few images only.',
        'Look whether it belongs here; if so, nothing needs to be done.',
    ),
    'duplicate_across_splits': Kind(
        'error',
        'duplicate image across splits',
        'The same picture is trained on and evaluated: scores are too good.',
        'Remove it from one of them.',
    ),
    'shared_by_splits': Kind(
        'warning',
        'files that are in several splits',
        'What is trained on is evaluated: scores are too good.',
        'Give the splits folders or lists of their own, unless that is meant.',
    ),
    'duplicate_in_split': Kind(
        'warning',
        'duplicate image within a split',
        'It counts twice.',
        'Remove one of them, unless that is meant.',
    ),
    'rgb_label': Kind(
        'error',
        'RGB label',
        'A label needs a class index for each pixel; of colours, nobody says which class they are.',
        'Give the data set a label_map from its colours, or save indices in one channel.',
    ),
    'unknown_colour': Kind(
        'error',
        'RGB label with colours that label_map lacks',
        _STOPS,
        'Add them to label_map, with the ignore_index for what is to be left out.',
    ),
    'no_colours': Kind(
        'error',
        'single-channel label, but label_map is from colours',
        _STOPS,
        'Give label_map from values, or none.',
    ),
    'jpeg_label': Kind(
        'error', 'JPEG label', 'JPEG changes label values.', 'Save labels as single-channel PNG.'
    ),
    'label_mode': Kind(
        'error',
        'label with transparency or real numbers',
        _STOPS,
        'Save it as single-channel PNG of class indices.',
    ),
    'palette_order': Kind(
        'error',
        'palette label with a wrong palette: colours of other classes',
        'The indices are read, not the colours; a program that sorted the palette has exchanged '
        'the classes.',
        'Look at the label; if its colours are right, convert it by them: save it as RGB, with a '
        'label_map from PALETTE.',
    ),
    'palette_colours': Kind(
        'warning',
        'palette label with a wrong palette',
        'The indices are read, not the colours; but other colours than PALETTE may mean another '
        'order of classes.',
        'Look whether index and class agree; if so, nothing needs to be done.',
    ),
    'wide_label': Kind(
        'warning',
        '16-bit label',
        'It is read here, but many programs show it black or scale its values.',
        'Save it with 8 bits, unless there are more than 255 classes.',
    ),
    'labels_0_255': Kind(
        'error',
        'labels are {0, 255}',
        '255 is the ignore_index: all but class 0 would be left out.',
        'Set label_map={255: 1}.',
    ),
    'value_out_of_range': Kind('error', 'label value out of range', _STOPS, ''),
    'rules_differ': Kind(
        'warning',
        'labels that are read otherwise than in training',
        'The same label value means another class there.',
        'Give all splits the same label_map and reduce_zero_label, unless their files differ.',
    ),
    'all_ignored': Kind(
        'warning',
        'all-ignored label',
        'No pixel of the image counts.',
        'Take the image out, or label it.',
    ),
    'class_never_occurs': Kind(
        'warning',
        'class that never occurs',
        'It cannot be learnt from this split, nor measured on it.',
        'Look for its label value; add images of it, or remove it from the classes.',
    ),
}

"""Rules for data sets: severity, title, consequence and cure."""

from __future__ import annotations

from msseg.checks.findings import error, warning

_STOPS = 'Loading stops there.'
_AGAIN = 'Copy or download it again.'
_NOT_BUILT = 'The data set cannot be built.'

# In the order in which findings are shown.
RULES = {
    'missing_folder': error('missing folder', _NOT_BUILT, 'Correct data_root or the path.'),
    'no_images': error('no images', _NOT_BUILT, 'Correct img_dir or img_suffix.'),
    'bad_list': error('unusable split file', _NOT_BUILT, 'Correct the file.'),
    'refused': error('refused', 'The data set itself refuses its files.', 'Follow the message.'),
    'unknown_classes': error(
        'unknown classes',
        'Neither training nor evaluation starts, and label values are not judged.',
        'Give the data set classes=[…].',
    ),
    'listed_image_missing': error(
        'listed image is missing',
        _NOT_BUILT,
        'Add the image, or remove its line from the split file.',
    ),
    'image_without_label': error(
        'image without label',
        'Neither training nor evaluation starts.',
        'Add the label, correct ann_dir and seg_map_suffix, or remove the image.',
    ),
    'label_without_image': warning(
        'label without image', 'It is never used.', 'Add the image, or remove the label.'
    ),
    'image_as_label': error(
        'image that is its own label',
        'Grey values or colours are read as class indices.',
        'Correct ann_dir and seg_map_suffix so that they name the label.',
    ),
    'shared_label': warning(
        'label of several images',
        'All but one of these images probably have the label of another image.',
        'Give each image its own label, or limit img_suffix to one kind of file.',
    ),
    'crossed_names': warning(
        'label that has the name of another image',
        'Images and labels are probably paired wrongly, and nothing right can be learnt.',
        'Correct the lines of the split file.',
    ),
    'upper_case_suffix': error(
        'upper-case suffix',
        'The suffixes in the config do not match it, so the file is left out.',
        'Rename the file; img_suffix may also be a list.',
    ),
    'other_suffix': warning(
        'image file that img_suffix leaves out',
        'It is never used.',
        'If it belongs to the data set, give img_suffix a list with its suffix as well.',
    ),
    'empty_file': error('empty file', _STOPS, _AGAIN),
    'truncated_image': error(
        'truncated image', 'Loading stops there, or the rest is grey.', _AGAIN
    ),
    'truncated_label': error('truncated label', _STOPS, _AGAIN),
    'unreadable_file': error(
        'unreadable file',
        'It is damaged, has a format that is not for images, or may not be read.',
        'Copy it again, save it as PNG or JPEG, or correct its permissions.',
    ),
    'needs_setting': error('file that needs a setting', _STOPS, 'Follow the message.'),
    'unused_bits': warning(
        'image of more bits than are used',
        'Its values are cut to the upper 8 of 16 bits: of 12 bits, 16 grey levels are left.',
        'Set max_value of LoadImageFromFile to the largest value that occurs, or '
        'percentiles=(1, 99), in all pipelines.',
    ),
    'unused_channels': warning(
        'image of more channels than are used',
        'The others are left out.',
        "Unless they are transparency, set color_type='unchanged' of LoadImageFromFile, "
        'in_channels of the backbone to their number, and as many numbers in mean and std of '
        'Normalize.',
    ),
    'unused_pages': warning(
        'image of several pages',
        'Only the first page is used.',
        'Save each page as a file, with its label.',
    ),
    'size_mismatch': error(
        'image and label of different size',
        _STOPS,
        'Save both at one size (resize labels by nearest neighbour only), or check whether they '
        'belong together.',
    ),
    'exif_turns_image': error(
        'image rotated by EXIF, unlike its label',
        'Loading turns images by their EXIF tag, but not labels: the sizes differ.',
        "Load the pixels as they are stored, with color_type='color_ignore_orientation' of "
        'LoadImageFromFile; or save the image turned and without the tag, and the label turned.',
    ),
    'exif_orientation': warning(
        'image rotated by EXIF',
        'Loading turns images by their EXIF tag, but not labels. Whether the label was drawn on '
        'the turned image is not known.',
        'Lay one over the other. If they agree, save the image turned and without the tag, for '
        "other programs; if not, color_type='color_ignore_orientation' of LoadImageFromFile "
        'loads the pixels as they are stored.',
    ),
    'mixed_order': error(
        'channels in another order than in other files',
        'Files that call their channels colours are loaded in BGR order, others in their own: a '
        'channel means one thing in some images and another in others.',
        'Set bands of LoadImageFromFile, such as bands=[1, 2, 3, 4], which counts in the order of '
        'the file for all.',
    ),
    'flat_images': warning(
        'images of nearly one value',
        'They show nothing: they are labels, or their values fill a small part of the scale.',
        'Correct img_dir and img_suffix; or set max_value or percentiles of LoadImageFromFile.',
    ),
    'grey_among_colour': warning(
        'grey image among colour ones',
        'It is loaded with three equal channels, which the network sees in few images only.',
        'Check whether it belongs here; if so, do nothing.',
    ),
    'duplicate_across_splits': error(
        'duplicate image across splits',
        'The same picture is trained on and evaluated: scores are too good.',
        'Remove it from one of them.',
    ),
    'shared_by_splits': warning(
        'files that are in several splits',
        'The same files are trained on and evaluated: scores are too good.',
        'Give each split its own folders or lists, unless that is intended.',
    ),
    'duplicate_in_split': warning(
        'duplicate image within a split',
        'It counts twice.',
        'Remove one of them, unless that is intended.',
    ),
    'rgb_label': error(
        'RGB label',
        'A label needs a class index for each pixel; the classes of these colours are not known.',
        'Give the data set a label_map from its colours, or save indices in one channel.',
    ),
    'unknown_colour': error(
        'RGB label with colours that label_map lacks',
        _STOPS,
        'Add them to label_map, with the ignore_index for pixels that do not count.',
    ),
    'no_colours': error(
        'single-channel label, but label_map is from colours',
        _STOPS,
        'Give a label_map from values, or none.',
    ),
    'jpeg_label': error(
        'JPEG label', 'JPEG changes label values.', 'Save labels as single-channel PNG.'
    ),
    'label_mode': error(
        'label with transparency or real numbers',
        _STOPS,
        'Save it as single-channel PNG of class indices.',
    ),
    'palette_order': error(
        'palette label with a wrong palette: colours of other classes',
        'The indices are read, not the colours; a program that sorted the palette has exchanged '
        'the classes.',
        'View the label. If its colours are right, save it as RGB, and give the data set a '
        'label_map from PALETTE.',
    ),
    'palette_colours': warning(
        'palette label with a wrong palette',
        'The indices are read, not the colours; but colours other than PALETTE may mean another '
        'order of classes.',
        'Check whether index and class agree; if so, do nothing.',
    ),
    'wide_label': warning(
        '16-bit label',
        'It is read here, but many programs show it black or scale its values.',
        'Save it with 8 bits, unless it needs more than 255 classes.',
    ),
    'labels_0_255': error(
        'labels are {0, 255}',
        '255 is the ignore_index: all pixels but those of class 0 would be left out.',
        'Set label_map={255: 1}.',
    ),
    'value_out_of_range': error('label value out of range', _STOPS, ''),
    'rules_differ': warning(
        'labels that are read otherwise than in training',
        'The same label value means another class there.',
        'Give all splits the same label_map and reduce_zero_label, unless their files differ.',
    ),
    'all_ignored': warning(
        'all-ignored label', 'No pixel of the image counts.', 'Remove the image, or label it.'
    ),
    'class_never_occurs': warning(
        'class that never occurs',
        'It cannot be learnt from this split, nor measured on it.',
        'Look for its label value, add images of it, or remove it from the classes.',
    ),
}

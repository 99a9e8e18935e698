"""Rules for configs: severity, title, consequence and cure."""

from __future__ import annotations

from msseg.checks.findings import error, warning

_STOPS = 'Training stops there.'
_SAME_NORM = "Put the same dict(type='Normalize', **img_norm_cfg) into all pipelines."

# In the order in which findings are shown.
RULES = {
    'duplicate_base_key': error(
        'duplicate base key',
        'No tool reads the config, as it is not clear which value counts; the other findings are '
        'about the last one.',
        'Remove the key from one of the two bases, or drop one base.',
    ),
    'missing_key': error(
        'missing key', 'Training needs it.', 'Set it, or inherit it from a file of configs/_base_.'
    ),
    'misspelt_key': error(
        'misspelt key',
        'Nothing reads it, and the setting that was meant keeps its value.',
        'Correct it. A variable needs another name, such as one that begins with _.',
    ),
    'unknown_type': error(
        'unknown type', 'No component is registered by that name.', 'Correct the name.'
    ),
    'misspelt_argument': error(
        'misspelt argument',
        'The component takes no such argument.',
        'Correct its name, or remove it.',
    ),
    'no_dict': error('no dict where one belongs', _STOPS, 'Write dict(…), or None.'),
    'wrong_value': error(
        'value of a wrong kind or out of range', 'The component refuses it.', 'Correct it.'
    ),
    'num_classes': error(
        'wrong num_classes',
        'Training does not start: each class of the labels needs an output, and no more.',
        "Set num_classes in every head (decode_head={'*': dict(num_classes=…)} changes a list of "
        'them), or correct the classes of the data set.',
    ),
    'classes_differ': error(
        'data sets of different classes',
        'A model cannot predict other classes than those it is trained on; with the same classes '
        'in another order, all are confused.',
        'Give all data sets the same classes in the same order.',
    ),
    'in_index': error(
        'in_index out of range',
        'The head reads a feature map that does not exist.',
        'Choose among the indices in the message.',
    ),
    'in_channels': error(
        'in_channels that does not fit',
        "The head's first convolution does not fit its input.",
        'Set it to the channels of the feature map that the head reads.',
    ),
    'image_channels': error(
        'images of other channels than the backbone takes',
        _STOPS,
        'Let mean, std, color_type of LoadImageFromFile and in_channels of the backbone agree.',
    ),
    'ignore_index': error(
        'ignore_index that differs',
        'Pixels that one of them leaves out count for the other, as a class that does not exist.',
        'Give data sets, heads and losses the same value; 255 is the default of all.',
    ),
    'seg_pad_val': error(
        'seg_pad_val that differs',
        'The padding of images counts as labelled pixels.',
        'Set seg_pad_val to the ignore_index of the data set.',
    ),
    'crop_size': error(
        'crop larger than the padded size',
        'Small images are padded to one size and large ones keep another: they make no batch.',
        'Set size of Pad to the crop_size.',
    ),
    'norm_scale': error(
        'mean/std on the wrong scale',
        'The input of the network is hundreds of times too large or too small.',
        'Images have values from 0 to 255: multiply mean and std of images from 0 to 1 by 255.',
    ),
    'norm_missing': error(
        'missing img_norm_cfg in test',
        'The network gets other numbers in evaluation than in training: scores are meaningless.',
        _SAME_NORM,
    ),
    'norm_differs': error(
        'img_norm_cfg that differs',
        'The network gets other numbers in evaluation than in training: scores are too low.',
        _SAME_NORM,
    ),
    'batch_norm': warning(
        'samples_per_gpu 1 with BN',
        'Batch normalisation takes mean and variance from each single image; they vary much, and '
        'evaluation uses their average.',
        "Use at least 2 images; or type='SyncBN' on several devices; or freeze the statistics, "
        'norm_eval=True of the backbone.',
    ),
    'warmup': error(
        'warm-up longer than the run',
        'The learning rate never reaches optimizer.lr.',
        'Make warmup_iters a small part of the run, or lengthen the run.',
    ),
    'evaluation_interval': error(
        'evaluation interval longer than the run',
        'Nothing is evaluated, and no best checkpoint is kept.',
        'Make interval and start smaller than the run, or train with --no-validate.',
    ),
    'unused_custom_key': warning(
        'custom key without a parameter',
        'Its multipliers change nothing.',
        'Correct it, or remove it.',
    ),
    'unknown_metric': error('unknown metric', _STOPS, 'Correct the name.'),
    'unknown_score': error(
        'save_best on an unknown key',
        'The evaluation does not report it, so the best checkpoint is not known.',
        'Use one of the keys that it reports; they depend on metric.',
    ),
    'data_path': error(
        'unreachable data path',
        'The data set cannot be built.',
        'Correct it, or put the files there; relative paths start from the current folder.',
    ),
    'weights_path': error(
        'unreachable weights', 'Training stops when it starts.', 'Follow the message.'
    ),
    'unread': warning(
        'setting that nothing reads',
        'It changes nothing.',
        "Remove it; a pixel sampler belongs in a head, as in decode_head=dict(sampler=dict(type='"
        "OHEMPixelSampler')).",
    ),
    'refused': error('refused', 'It cannot be built.', 'Follow the message.'),
    'does_not_load': error(
        'sample that does not load',
        _STOPS,
        'Follow the message; msseg check-data reads all files.',
    ),
    'does_not_run': error(
        'step that does not run', _STOPS, 'MSSEG_DEBUG=1 shows the place in the code.'
    ),
    'not_finite': error(
        'loss that is no number',
        'Nothing can be learnt from the first batch on.',
        'Check the values of images and labels, the weights to start from, and fp16.',
    ),
    'no_gradient': warning(
        'no gradient',
        'The first batch changes nothing.',
        'Check whether all of its labels are ignored; check loss_weight and frozen layers.',
    ),
}
# Building a part of the config with one of these would only find the same again.
BLOCKING = ('missing_key', 'unknown_type', 'misspelt_argument', 'no_dict', 'wrong_value')

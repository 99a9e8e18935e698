"""What can be wrong with a config: name, severity, consequence and cure of each kind."""

from __future__ import annotations

from msseg.checks.findings import Kind

_STOPS = 'Training stops there.'

# In the order in which findings are shown.
KINDS = {
    'duplicate_base_key': Kind(
        'error',
        'duplicate base key',
        'No tool reads the config, as nobody says which counts; all else here is by the last.',
        'Take the key out of one of the two bases, or drop one base.',
    ),
    'missing_key': Kind(
        'error',
        'missing key',
        'Training needs it.',
        'Say it, or inherit it from a file of configs/_base_.',
    ),
    'misspelt_key': Kind(
        'error',
        'misspelt key',
        'Nothing reads it, and what it was meant for stays as it was.',
        'Correct it; a variable of your own needs another name, such as one that begins with _.',
    ),
    'unknown_type': Kind(
        'error',
        'unknown type',
        'Nothing of that name is registered.',
        'Correct the name.',
    ),
    'misspelt_argument': Kind(
        'error',
        'misspelt argument',
        'What is built there takes no such argument.',
        'Correct its name, or take it out.',
    ),
    'no_dict': Kind('error', 'no dict where one belongs', _STOPS, 'Write dict(…), or None.'),
    'wrong_value': Kind(
        'error',
        'value of a wrong kind or out of range',
        'What reads it refuses it.',
        'Correct it.',
    ),
    'num_classes': Kind(
        'error',
        'wrong num_classes',
        'Training does not start: each class of the labels needs an output, and no more.',
        "Set num_classes in every head (decode_head={'*': dict(num_classes=…)} changes a list of "
        'them), or correct the classes of the data set.',
    ),
    'classes_differ': Kind(
        'error',
        'data sets of different classes',
        'A data set of other classes than the one trained on cannot be predicted; with the same '
        'ones in another order, all are confused.',
        'Give all of them the same classes in the same order.',
    ),
    'in_index': Kind(
        'error',
        'in_index out of range',
        'The head reads a feature map that there is not.',
        'Choose among the indices named.',
    ),
    'in_channels': Kind(
        'error',
        'in_channels that does not fit',
        "The head's first convolution does not fit what it reads.",
        'Give it the channels of the feature map it reads.',
    ),
    'image_channels': Kind(
        'error',
        'images of other channels than the backbone takes',
        _STOPS,
        'Let mean, std, color_type of LoadImageFromFile and in_channels of the backbone agree.',
    ),
    'ignore_index': Kind(
        'error',
        'ignore_index that differs',
        'Pixels that one of them leaves out count for the other, as a class that there is not.',
        'Give data sets, heads and losses the same; 255 is the default of all.',
    ),
    'seg_pad_val': Kind(
        'error',
        'seg_pad_val that differs',
        'What is added to images counts, as if it were labelled so.',
        'Set seg_pad_val to the ignore_index of the data set.',
    ),
    'crop_size': Kind(
        'error',
        'crop larger than the padded size',
        'Smaller images are padded to one size and larger ones keep another: they make no batch.',
        'Set size of Pad to the crop_size.',
    ),
    'norm_scale': Kind(
        'error',
        'mean/std on the wrong scale',
        'The network gets numbers hundreds of times too large or too small.',
        'Images have values from 0 to 255: multiply mean and std of images from 0 to 1 by 255.',
    ),
    'norm_missing': Kind(
        'error',
        'missing img_norm_cfg in test',
        'The network gets other numbers in evaluation than in training: scores are meaningless.',
        "Put the same dict(type='Normalize', **img_norm_cfg) into all pipelines.",
    ),
    'norm_differs': Kind(
        'error',
        'img_norm_cfg that differs',
        'The network gets other numbers in evaluation than in training: scores are too low.',
        "Put the same dict(type='Normalize', **img_norm_cfg) into all pipelines.",
    ),
    'batch_norm': Kind(
        'warning',
        'samples_per_gpu 1 with BN',
        'Batch normalisation takes mean and variance of each single image, which scatter, and '
        'evaluation uses their average.',
        "Take at least 2 images; or type='SyncBN' on several devices; or freeze the statistics, "
        'norm_eval=True of the backbone.',
    ),
    'warmup': Kind(
        'error',
        'warm-up longer than the run',
        'The learning rate never becomes what optimizer.lr says.',
        'Make warmup_iters a small part of the run, or lengthen the run.',
    ),
    'evaluation_interval': Kind(
        'error',
        'evaluation interval longer than the run',
        'Nothing is evaluated, and no best checkpoint kept.',
        'Make interval and start smaller than the run, or train with --no-validate.',
    ),
    'unused_custom_key': Kind(
        'warning',
        'custom key without a parameter',
        'The multipliers given there change nothing.',
        'Correct it, or take it out.',
    ),
    'unknown_metric': Kind('error', 'unknown metric', _STOPS, 'Correct the name.'),
    'unknown_score': Kind(
        'error',
        'save_best on an unknown key',
        'The evaluation does not report it, so which checkpoint is the best cannot be known.',
        'Take one of the keys that it reports; metric says which those are.',
    ),
    'data_path': Kind(
        'error',
        'unreachable data path',
        'The data set cannot be built.',
        'Correct it, or put the files there; relative paths start from the current folder.',
    ),
    'weights_path': Kind(
        'error', 'unreachable weights', 'Training stops when it starts.', 'Do what it says.'
    ),
    'unread': Kind(
        'warning',
        'setting that nothing reads',
        'It changes nothing.',
        "Take it out; a pixel sampler belongs in a head, as in decode_head=dict(sampler=dict(type='"
        "OHEMPixelSampler')).",
    ),
    'refused': Kind('error', 'refused', 'It cannot be built.', 'Do what it says.'),
    'does_not_load': Kind(
        'error',
        'sample that does not load',
        _STOPS,
        'Do what it says; tools/check_dataset.py looks at all files.',
    ),
    'does_not_run': Kind(
        'error', 'step that does not run', _STOPS, 'MSSEG_DEBUG=1 shows where it is.'
    ),
    'not_finite': Kind(
        'error',
        'loss that is no number',
        'Nothing can be learnt from the first batch on.',
        'Look at the values of images and labels, the weights it starts from and fp16.',
    ),
    'no_gradient': Kind(
        'warning',
        'no gradient',
        'The first batch changes nothing.',
        'Look whether all of its labels are ignored, and at loss_weight and frozen layers.',
    ),
}
# With one of these at a part of the config, building the part would only say the same again.
HINDERS_BUILDING = ('missing_key', 'unknown_type', 'misspelt_argument', 'no_dict', 'wrong_value')

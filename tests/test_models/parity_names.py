"""PyTorch's parameter names, and the reference HRNet-OCR's, in msseg's terms."""

import gzip
import json
import re
from pathlib import Path

import numpy as np

from msseg.convert import read_foreign

PARITY = Path(__file__).parents[1] / 'data' / 'parity'
_NORM = dict(weight='gamma', bias='beta', running_mean='moving_mean', running_var='moving_variance')
_OFFICIAL = [
    (r'^conv3x3_ocr\.0\.', 'decode_head.1.bottleneck.conv.'),
    (r'^conv3x3_ocr\.1\.(0\.)?', 'decode_head.1.bottleneck.bn.'),
    (r'^aux_head\.0\.', 'decode_head.0.convs.0.conv.'),
    (r'^aux_head\.1\.(0\.)?', 'decode_head.0.convs.0.bn.'),
    (r'^aux_head\.3\.', 'decode_head.0.conv_seg.'),
    (r'^cls_head\.', 'decode_head.1.conv_seg.'),
    (
        r'^ocr_distri_head\.conv_bn_dropout\.0\.',
        'decode_head.1.object_context_block.bottleneck.conv.',
    ),
    (
        r'^ocr_distri_head\.conv_bn_dropout\.1\.(0\.)?',
        'decode_head.1.object_context_block.bottleneck.bn.',
    ),
]
_PROJECT = re.compile(
    r'^ocr_distri_head\.object_context_block\.f_(pixel|object|down|up)\.(\d)\.(?:0\.)?(\w+)$'
)
_KIND = dict(pixel='query', object='key', down='value', up='out')


def from_official(name):
    """A name of the reference implementation as MMSegmentation would write it."""
    project = _PROJECT.match(name)
    if project:
        kind, index, leaf = project.groups()
        place = f'{int(index) // 2}.' if kind in ('pixel', 'object') else ''
        layer = 'bn' if int(index) % 2 else 'conv'
        return f'decode_head.1.object_context_block.{_KIND[kind]}_project.{place}{layer}.{leaf}'
    for pattern, replacement in _OFFICIAL:
        if re.match(pattern, name):
            return re.sub(pattern, replacement, name)
    return f'backbone.{name}'


def to_msseg(named, official=False):
    """The same values under MindSpore's names."""
    if official:
        named = {from_official(name): value for name, value in named.items()}
    norms = {name.rpartition('.')[0] for name in named if name.endswith('.running_mean')}
    renamed = {}
    for name, value in named.items():
        layer, _, leaf = name.rpartition('.')
        if leaf != 'num_batches_tracked':
            renamed[f'{layer}.{_NORM[leaf]}' if layer in norms else name] = value
    return renamed


def load_arrays(name):
    """Arrays of a file of tests/data/parity."""
    with np.load(PARITY / f'{name}.npz') as file:
        return dict(file)


def load_weights(name):
    """Weights of a file of tests/data/parity, under their original names."""
    return read_foreign(PARITY / f'{name}.pth').tensors


def load_names():
    """Model -> name -> shape."""
    with gzip.open(PARITY / 'parameter-names.json.gz', 'rt') as file:
        return json.load(file)

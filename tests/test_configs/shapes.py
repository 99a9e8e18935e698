"""Parameter names and shapes of a config's model, and those that PyTorch's model has."""

from __future__ import annotations

import functools
import gzip
import json
from pathlib import Path

from mindspore.nn.utils import no_init_parameters

from msseg.config import Config
from msseg.models import build_segmentor

Shapes = dict[str, tuple[int, ...]]
_FILE = Path(__file__).parents[1] / 'data' / 'parity' / 'parameter-names.json.gz'
_NORM = {
    'weight': 'gamma',
    'bias': 'beta',
    'running_mean': 'moving_mean',
    'running_var': 'moving_variance',
}


def built_shapes(cfg: Config) -> Shapes:
    """Build a config's model, each distinct one once and without initialising its weights."""
    return _build(Config(dict(model=cfg.model.to_dict())).pretty_text)


@functools.cache
def _build(text: str) -> Shapes:
    with no_init_parameters():
        model = build_segmentor(Config.fromstring(text, '.py').model)
    return {name: tuple(value.shape) for name, value in model.parameters_dict().items()}


@functools.cache
def upstream_shapes(width: str) -> Shapes:
    """MMSegmentation's OCRNet for Cityscapes on ``hr18s``, ``hr18`` or ``hr48``, our norm names."""
    with gzip.open(_FILE, 'rt') as file:
        shapes = json.load(file)[f'mmseg ocrnet_{width} cityscapes']
    norms = {name.rpartition('.')[0] for name in shapes if name.endswith('.running_mean')}
    renamed = {}
    for name, shape in shapes.items():
        layer, _, kind = name.rpartition('.')
        renamed[f'{layer}.{_NORM[kind]}' if layer in norms else name] = tuple(shape)
    return renamed


def expected_shapes(method: str, width: str, num_classes: int) -> Shapes:
    """What upstream's model has for ``ocrnet`` or ``fcn`` with so many classes.

    The FCN model is OCRNet's backbone with its auxiliary head as the only one; the number of
    classes is the first dimension of every ``conv_seg``.
    """
    expected = {}
    for name, shape in upstream_shapes(width).items():
        if '.conv_seg.' in name:
            shape = (num_classes, *shape[1:])
        if method == 'fcn' and name.startswith('decode_head.1.'):
            continue
        if method == 'fcn':
            name = name.replace('decode_head.0.', 'decode_head.')
        expected[name] = shape
    return expected

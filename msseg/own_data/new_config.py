"""Write a config that trains one of msseg's networks on a user's own data."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from msseg.config import Config
from msseg.config.find_base import find_base, find_config
from msseg.config.own_configs import OWN, own_folder, own_names
from msseg.config.writer import to_python
from msseg.datasets.classes import check_class_names
from msseg.datasets.data_yaml import MASK_FOLDERS, read_data_yaml
from msseg.models.builder import HEADS
from msseg.utils.atomic import atomic_write_text
from msseg.utils.errors import UserFileNotFoundError, UserValueError
from msseg.utils.image_header import ArrayChoiceError, read_header
from msseg.utils.suggest import nearest

DEFAULT_MODEL = 'ocrnet_nuclei'
DATA_YAML = 'data.yaml'
_COLOURS = 3
_STEP, _SMALLEST_CROP = 32, 64  # networks have 1/32 of an image at their deepest
_MARK = '# Written by msseg:'
_OF_LABELS = ('reduce_zero_label', 'label_map')  # settings of LoadAnnotations for one data set


class Written(NamedTuple):
    """A config that was written.

    Attributes:
        config: The file.
        report: What the check of the data found.
    """

    config: Path
    report: Any


class Facts(NamedTuple):
    """What a config needs to know of its data.

    Attributes:
        num_classes: Number of classes.
        num_images: For training.
        size: (h, w) that is usual.
        mean: Of each channel, colours in RGB order.
        std: Likewise.
        loading: How images are loaded that are no colours of 8 bits: arguments of
            LoadImageFromFile, else empty.
    """

    num_classes: int
    num_images: int
    size: tuple[int, int]
    mean: list[float]
    std: list[float]
    loading: dict[str, Any]

    @property
    def channels(self) -> int:
        """Number of channels that are loaded."""
        return len(self.mean)


def find_model(name: str) -> str:
    """Return how ``_base_`` names a config: ``msseg::FAMILY/NAME.py``, or the path of a file.

    Raises:
        ValueError: There is no such config.
    """
    path = Path(find_config(name))
    if path.is_relative_to(own_folder()):
        return f'{OWN}{path.relative_to(own_folder()).as_posix()}'
    if path.is_file():
        return os.path.abspath(path)
    near = nearest(name, own_names(), 1)
    expected = '' if near else f'the name of one of the {len(own_names())} configs, or a file'
    raise UserValueError(key='--model', got=name, suggestions=near, expected=expected)


def find_data(data: Path, classes: Sequence[str] | None = None) -> Path:
    """Return the data YAML that a user names, itself or by its folder.

    Args:
        data: The file, or a folder that holds ``data.yaml``.
        classes: Names of classes: of a folder that holds ``images/train``, ``images/val`` and
            ``masks`` or ``annotations``, but no ``data.yaml``, that file is written.

    Raises:
        FileNotFoundError: There is none.
        FileExistsError: There is one already, and `classes` are given.
    """
    path = data / DATA_YAML if data.is_dir() else data
    if classes:
        _write_data_yaml(path, classes)
    if not path.is_file():
        raise UserFileNotFoundError(
            f'{path}: there is no such file',
            expected='a data YAML: the lines train, val, names and masks_dir',
            advice='give --classes for folders images/train, images/val and masks, or use '
            'msseg import-labels folder',
        )
    return path


def _write_data_yaml(path: Path, classes: Sequence[str]) -> None:
    if os.path.lexists(path):
        raise FileExistsError(f'--classes: {path} is there already, and has names')
    masks = next((n for n in MASK_FOLDERS if (path.parent / n).is_dir()), None)
    missing = [name for name in ('images/train', 'images/val') if not (path.parent / name).is_dir()]
    if missing or masks is None:
        raise UserFileNotFoundError(
            f'{path.parent}: there is no {missing[0] if missing else " nor ".join(MASK_FOLDERS)}',
            expected='images/train, images/val, and the labels in masks/train, masks/val',
        )
    check_class_names(classes, '--classes')
    values = {'train': 'images/train', 'val': 'images/val', 'masks_dir': masks}
    text = yaml.safe_dump({**values, 'names': [*classes]}, sort_keys=False, allow_unicode=True)
    atomic_write_text(path, text)


def write_config(
    data: Path,
    model: str,
    out: Path | None,
    check: Callable[[Config], Any],
    is_pretrained: bool = False,
    force: bool = False,
    classes: Sequence[str] | None = None,
    bands: Sequence[int] | None = None,
    array: str | None = None,
) -> Written:
    """Write a config, with the classes, sizes and statistics of a data set.

    The pipelines, the schedule and the batch are those of the model's own config; crops are no
    larger than the images, and Normalize has the data's mean and standard deviation. Images that
    are no colours of 8 bits are loaded with all their channels and their own values; the backbone
    takes as many, and BandDistortion takes the place of PhotoMetricDistortion.

    Args:
        data: A data YAML, or the folder of ``data.yaml``.
        model: The name of a config, see `find_model`.
        out: The file to write; None for ``MODEL.py`` next to the data YAML.
        check: Reads all files of a config's data sets: `msseg.checks.data.check_dataset`.
        is_pretrained: Keep the weights that the model's config starts from, and its Normalize.
        force: Replace a file of the same name.
        classes: See `find_data`.
        bands: The channels to load; see `LoadImageFromFile`.
        array: Of ``.npz`` files, the name of the array that is the image.

    Raises:
        FileExistsError: The file exists.
        ValueError: The images differ in their channels, or cannot be read.
    """
    base, path = find_model(model), find_data(data, classes)
    out = out or path.parent / f'{Path(base).stem}.py'
    if os.path.lexists(out) and not force:
        raise FileExistsError(f'{out} is there already: name another by --out, or give --force')
    if out.is_file() and not out.read_bytes().startswith(_MARK.encode()):
        raise FileExistsError(f'{out} was not written by msseg: name another by --out')
    original = Config.fromfile(base if not base.startswith(OWN) else find_base(base, ''))
    loading = _loading(path, bands, array)
    report = check(_data_config(path, loading))
    facts = _facts(report, path, loading)
    settings = _settings(original, facts, path, out, is_pretrained)
    out.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(out, _text(base, settings, facts))
    return Written(out, report)


def _loading(path: Path, bands: Sequence[int] | None, array: str | None) -> dict[str, Any]:
    """Return how the images are loaded: as colours of 8 bits, or with all their channels."""
    content = read_data_yaml(path)
    images = content.images('train') if 'train' in content.entries else []
    header = None
    if images and images[0].is_file():
        try:
            header = read_header(images[0], array)
        except ArrayChoiceError as error:
            advice = 'give --array NAME'
            raise UserValueError(str(error), file=str(images[0]), advice=advice) from None
    chosen = {} if array is None or header is None or not header.array else {'array': array}
    if bands:
        return {'bands': list(bands), **chosen}
    is_colour = header is None or (header.mode != '' and header.bits <= 8)
    return {} if is_colour else {'color_type': 'unchanged', **chosen}


def _data_config(path: Path, loading: Mapping[str, Any]) -> Config:
    """Return a config of the data alone, for its check."""
    content = read_data_yaml(path)
    pipeline = [dict(type='LoadImageFromFile', **loading), dict(type='LoadAnnotations')]
    node = dict(type='YamlDataset', data=str(path), pipeline=pipeline)
    splits = [split for split in ('train', 'val') if split in content.entries]
    if len(splits) < 2:
        missing = 'val' if splits == ['train'] else 'train'
        raise UserValueError(
            f'{missing!r} is missing', file=str(path), expected='a folder of images'
        )
    return Config({'data': {split: {**node, 'part': split} for split in splits}})


def _facts(report: Any, path: Path, loading: dict[str, Any]) -> Facts:
    train = report.splits[0]
    sizes: Counter[tuple[int, int]] = train.statistics.sizes
    norm = train.normalisation
    if norm is None or not sizes:
        first = next((' '.join(str(each).split()) for each in report.findings), '')
        problem = f'its images cannot be read, or differ in their channels: {first}'
        raise UserValueError(problem, file=str(path))
    every = np.repeat([*sizes], [*sizes.values()], axis=0)
    size = tuple(int(side) for side in np.median(every, axis=0))
    mean, std = ([_rounded(v) for v in values] for values in (norm.mean, norm.std))
    std = [value or 1.0 for value in std]  # images of one colour
    num_classes = len(train.rules.classes)
    if loading:
        loading = {**loading, 'fill': mean}  # of pixels without data
    return Facts(num_classes, train.num_images, size, mean, std, loading)


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) >= 1 else float(f'{value:.5g}')


def _settings(
    cfg: Config, facts: Facts, path: Path, out: Path, is_pretrained: bool
) -> dict[str, Any]:
    """Return what the new config sets, by the names of its variables."""
    pipelines = {
        'train_pipeline': _pipeline(cfg, 'train', facts, is_pretrained),
        'test_pipeline': _pipeline(cfg, 'test', facts, is_pretrained),
    }
    return {'model': _model(cfg.model, facts, is_pretrained), **pipelines,
            'samples_per_gpu': min(cfg.data.get('samples_per_gpu', 2), facts.num_images),
            'data_file': _relative(path, out)}  # fmt: skip


def _relative(path: Path, out: Path) -> str:
    """Return how a config names a file: from its own folder if that is below the file's."""
    here, there = out.parent.resolve(), path.parent.resolve()
    if not here.is_relative_to(there):
        return str(path.resolve())
    return Path('{{ fileDirname }}', os.path.relpath(there, here), path.name).as_posix()


def _model(model: Mapping, facts: Facts, is_pretrained: bool) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    num_classes = facts.num_classes
    for key in ('decode_head', 'auxiliary_head'):
        heads = model.get(key)
        if isinstance(heads, (list, tuple)):
            own = [_head(head, num_classes) for head in heads]
            is_same = all(head == own[0] for head in own)
            changes[key] = {'*': own[0]} if is_same else dict(enumerate(own))
        elif heads:
            changes[key] = _head(heads, num_classes)
    if not is_pretrained:
        changes['pretrained'] = None
        changes |= _without_weights({'backbone': model.get('backbone') or {}})
    if facts.channels != (model.get('backbone') or {}).get('in_channels', _COLOURS):
        changes['backbone'] = {**changes.get('backbone', {}), 'in_channels': facts.channels}
    return {key: value for key, value in changes.items() if value != {}}


def _without_weights(node: Mapping) -> dict[str, Any]:
    """Return what takes the files of weights out of a node."""
    changes: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            if key == 'init_cfg' and value.get('type') == 'Pretrained':
                changes[key] = None
            elif inner := _without_weights(value):
                changes[key] = inner
        elif key == 'pretrained' and value is not None:
            changes[key] = None
    return changes


def _head(head: Mapping, num_classes: int) -> dict[str, Any]:
    if getattr(HEADS.get(head['type']), 'has_own_target', False):
        return {}
    changes: dict[str, Any] = {'num_classes': num_classes}
    losses = head.get('loss_decode')
    if isinstance(losses, Mapping) and losses.get('class_weight') is not None:
        changes['loss_decode'] = {'class_weight': None}
    elif isinstance(losses, (list, tuple)):
        own = {i: {'class_weight': None} for i, loss in enumerate(losses)
               if loss.get('class_weight') is not None}  # fmt: skip
        changes |= {'loss_decode': own} if own else {}
    return changes


def _pipeline(cfg: Config, split: str, facts: Facts, is_pretrained: bool) -> list[dict]:
    node: Any = cfg.data[split]
    while not node.get('pipeline') or isinstance(node, (list, tuple)):
        node = (
            node[0] if isinstance(node, (list, tuple)) else node.get('dataset') or node['datasets']
        )
    steps = Config({'steps': list(node['pipeline'])}).to_dict()['steps']
    return [_step(step, facts, is_pretrained) for step in steps]


def _step(step: Mapping, facts: Facts, is_pretrained: bool) -> dict[str, Any]:
    """Return a transform as it suits the images."""
    step, (h, w) = dict(step), facts.size
    kind = step['type']
    if 'transforms' in step:
        step['transforms'] = [_step(each, facts, is_pretrained) for each in step['transforms']]
    if step.get('img_scale') is not None and kind in ('Resize', 'MultiScaleFlipAug'):
        step['img_scale'] = (w, h)
    for key in ('crop_size', 'size'):
        if kind in ('RandomCrop', 'RareClassCrop', 'Pad') and step.get(key) is not None:
            step[key] = tuple(_fitted(*sides) for sides in zip(step[key], (h, w), strict=True))
    if kind == 'Normalize' and not (is_pretrained and not facts.loading):
        step.update(mean=facts.mean, std=facts.std, to_rgb=not facts.loading)
    if facts.loading and kind == 'LoadImageFromFile':
        step = {'type': kind, **facts.loading}
    if facts.loading and kind == 'PhotoMetricDistortion':
        step = {'type': 'BandDistortion'}
    if kind == 'RandomFlip':
        step.pop('swap_seg_labels', None)
    if kind == 'RareClassCrop':
        step.pop('classes', None)
    for key in _OF_LABELS if kind == 'LoadAnnotations' else ():
        step.pop(key, None)
    return step


def _fitted(crop: int, side: int) -> int:
    """Return the length of a crop that an image holds."""
    return crop if crop <= side else max(side // _STEP * _STEP, _SMALLEST_CROP)


def _text(base: str, settings: Mapping[str, Any], facts: Facts) -> str:
    h, w = facts.size
    names = ('model', 'train_pipeline', 'test_pipeline')
    lines = [
        f'{_MARK} {facts.num_images} training images of about {h}x{w} (height x '
        f'width) pixels, {facts.num_classes} classes; channels: {facts.channels}.',
        f'_base_ = {base!r}',
        to_python({name: settings[name] for name in names}).rstrip(),
        f'data_file = {settings["data_file"]!r}',
        "train = dict(type='YamlDataset', data=data_file, part='train', pipeline=train_pipeline)",
        "val = dict(type='YamlDataset', data=data_file, part='val', pipeline=test_pipeline)",
        "test = dict(type='YamlDataset', data=data_file, part='test', pipeline=test_pipeline)",
        'data = dict(',
        f'    _delete_=True, samples_per_gpu={settings["samples_per_gpu"]}, workers_per_gpu=2, '
        'train=train, val=val, test=test',
        ')',
        'del train, val, test',
    ]
    return '\n'.join(lines) + '\n'

"""Check sizes, normalisation and batches of images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msseg.apis.settings import (
    DEFAULT,
    SPLITS,
    Setting,
    dataset_nodes,
    entry_of,
    head_nodes,
    is_a,
    part,
    setting,
    transform_nodes,
    transforms_of,
)
from msseg.checks.config.rules import ConfigFindings
from msseg.config import Config
from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines import LoadImageFromFile, Normalize, Pad, RandomCrop, Rerange
from msseg.models.builder import BACKBONES, HEADS
from msseg.registry import config_path
from msseg.utils.arguments import Size, fits

_OWN = 'msseg.datasets.pipelines'
_BYTE = 255.0
# One image of this many pixels gives SyncBN on one device useful statistics: some hundred values
# of each channel at 1/32 of its size, which is HRNet's lowest resolution.
_LARGE = 512 * 512
_BATCH_NORMS = ('BN', 'BN2d', 'SyncBN')


def check_sizes(cfg: Config, findings: ConfigFindings) -> None:
    """Compare the crops of training with the size they are padded to."""
    for dataset in dataset_nodes(cfg, 'train'):
        crop, pad = last_size(dataset, RandomCrop, 'crop_size'), last_size(dataset, Pad, 'size')
        if crop and pad and any(c > p for c, p in zip(crop.value, pad.value, strict=True)):
            note = f'{tuple(crop.value)!r}, but {pad}; both are (height, width)'
            findings.add_setting('crop_size', crop, note)


def last_size(dataset: Mapping[str, Any], kind: type, name: str) -> Setting | None:
    """Return the size (h, w) that the last transform of a class has, None without one."""
    sizes = [setting(node, name) for node in transforms_of(dataset, kind)]
    return next((s for s in reversed(sizes) if s is not None and fits(s.value, Size)), None)


def check_normalisation(cfg: Config, findings: ConfigFindings) -> None:
    """Check scale, channels and equality of Normalize in all pipelines."""
    taken = setting(part(cfg, 'model').get('backbone'), 'in_channels', BACKBONES)
    trained = next(iter(dataset_nodes(cfg, 'train')), None)
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            _check_scale(dataset, findings)
            for node in transforms_of(dataset, Normalize):
                mean = _numbers(node, 'mean')
                if taken is not None and mean and len(mean) != taken.value:
                    note = f'of {len(mean)} channels, but {taken}'
                    findings.add_setting('image_channels', setting(node, 'mean'), note)
            if split != 'train' and trained is not None:
                _compare(trained, dataset, findings)


def _check_scale(dataset: Mapping[str, Any], findings: ConfigFindings) -> None:
    """Compare mean and std with the values that images have before they are normalised."""
    width: float | None = None  # between the smallest and the largest value; None if not known
    for node in transform_nodes(dataset):
        if is_a(node, LoadImageFromFile):
            is_scaled = any(node.get(key) is not None for key in ('max_value', 'percentiles'))
            width = None if node.get('color_type') == 'unchanged' and not is_scaled else _BYTE
        elif is_a(node, Rerange):
            ends = [setting(node, name, PIPELINES).value for name in ('min_value', 'max_value')]
            width = ends[1] - ends[0] if fits(ends, Sequence[float]) else None
        elif is_a(node, Normalize):
            for said in _off_scale(node, width) if width is not None else ():
                note = f'{list(said.value)!r}, but images have values from 0 to {width:g} there'
                findings.add_setting('norm_scale', said, note)
            return
        elif not _is_own(node):
            width = None


def _off_scale(node: Mapping[str, Any], width: float) -> Iterator[Setting]:
    step = width / _BYTE  # mean and deviation of an image are at least some steps
    mean, std = _numbers(node, 'mean'), _numbers(node, 'std')
    if mean and (0 < max(map(abs, mean)) <= step or max(mean) > width):
        yield setting(node, 'mean')
    if std and (min(std) < step or max(std) > width):
        yield setting(node, 'std')


def _compare(
    trained: Mapping[str, Any], tested: Mapping[str, Any], findings: ConfigFindings
) -> None:
    """Compare the normalisation of a data set's images with that of training."""
    nodes = [next(iter(transforms_of(dataset, Normalize)), None) for dataset in (trained, tested)]
    for dataset, node, other in zip((trained, tested), nodes, reversed(nodes), strict=True):
        steps = transform_nodes(dataset)
        if node is None and other is not None and steps and all(map(_is_own, steps)):
            note = f'it has no Normalize, but {config_path(other)} is one'
            findings.add_setting('norm_missing', setting(dataset, 'pipeline'), note)
        elif node is not None and not ('mean' in node and 'std' in node):
            findings.add('norm_missing', config_path(node), 'Normalize without mean and std')
    if None in nodes or findings.hinders(config_path(nodes[1]), ['norm_missing']):
        return
    for name in ('mean', 'std', 'to_rgb'):
        here, there = (setting(node, name, PIPELINES) for node in reversed(nodes))
        if here and there and _plain(here.value) != _plain(there.value):
            findings.add_setting('norm_differs', here, f'{here.value!r}, but {there}')


def _is_own(node: Mapping[str, Any]) -> bool:
    """Return whether a transform is one of msseg's; the effect of a user's is not known."""
    entry = entry_of(node, PIPELINES)
    return entry is not None and entry.__module__.startswith(_OWN)


def _numbers(node: Mapping[str, Any], name: str) -> Sequence[float] | None:
    value = node.get(name)
    return value if fits(value, Sequence[float]) else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def check_batch_norm(cfg: Config, findings: ConfigFindings) -> None:
    """Find batches of one image from which batch normalisation takes its statistics.

    SyncBN takes them from the images of all devices, whose number is not known. On one device it
    is BN: that counts for crops smaller than `_LARGE`.
    """
    samples = setting(part(cfg, 'data.train_dataloader'), 'samples_per_gpu')
    samples = samples or setting(part(cfg, 'data'), 'samples_per_gpu')
    samples = samples or Setting('data.samples_per_gpu', 1, DEFAULT)
    norm = _first_norm(cfg)
    if samples.value != 1 or norm is None:
        return
    kind, alone = norm.value['type'], ''
    if kind == 'SyncBN':
        sizes = [
            last_size(dataset, *of)
            for dataset in dataset_nodes(cfg, 'train')
            for of in ((Pad, 'size'), (RandomCrop, 'crop_size'))
        ]
        size = next((size.value for size in sizes if size is not None), None)
        if size is None or size[0] * size[1] >= _LARGE:
            return
        alone = ', which is BN on one device'
    findings.add_setting('batch_norm', samples, f'1, but {norm.key} is {kind}{alone}')


def _first_norm(cfg: Config) -> Setting | None:
    """Return the first norm_cfg whose batch normalisation takes statistics from the batch."""
    backbone = part(cfg, 'model.backbone')
    frozen = setting(backbone, 'norm_eval', BACKBONES)
    found = [] if frozen is not None and frozen.value is True else [(backbone, BACKBONES)]
    found += [(head, HEADS) for head in head_nodes(cfg)]
    for node, registry in found:
        norm = setting(node, 'norm_cfg', registry)
        value = norm.value if norm is not None else None
        if isinstance(value, Mapping) and value.get('type') in _BATCH_NORMS:
            return norm
    return None

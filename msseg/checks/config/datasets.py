"""Check the settings of data sets against each other and the model: classes, sizes, values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msseg.checks.config.settings import (
    DEFAULT,
    SPLITS,
    Setting,
    class_names,
    dataset_nodes,
    each,
    entry_of,
    head_nodes,
    is_a,
    part,
    setting,
    transform_nodes,
    transforms_of,
)
from msseg.checks.findings import Findings
from msseg.config import Config
from msseg.datasets.builder import DATASETS, PIPELINES
from msseg.datasets.pipelines import LoadImageFromFile, Normalize, Pad, RandomCrop, Rerange
from msseg.models.builder import BACKBONES, HEADS, LOSSES
from msseg.registry import Registry, config_path
from msseg.utils.arguments import Size, accepted_arguments, fits

_MOST_NAMES = 4
_OWN = 'msseg.datasets.pipelines'
_BYTE = 255.0
# One image of this many pixels gives SyncBN on one device useful statistics: some hundred values
# of each channel at 1/32 of its size, which is HRNet's lowest resolution.
_LARGE = 512 * 512
_BATCH_NORMS = ('BN', 'BN2d', 'SyncBN')


def named_classes(cfg: Config) -> dict[str, list[str]]:
    """Return the classes of each split, as far as they are known without building it."""
    first = {split: next(iter(dataset_nodes(cfg, split)), {}) for split in SPLITS}
    found = {split: class_names(node) for split, node in first.items()}
    return {split: names for split, names in found.items() if names is not None}


def check_classes(cfg: Config, classes: Mapping[str, Sequence[str]], findings: Findings) -> None:
    """Compare the classes of heads and data sets; `classes` holds the known names by split."""
    trained = next((split for split in SPLITS if split in classes), None)
    if trained is None:
        return
    expected = list(classes[trained])
    for head in head_nodes(cfg):
        if getattr(entry_of(head, HEADS), 'has_own_target', False):
            continue
        given = setting(head, 'num_classes', HEADS)
        if given is not None and fits(given.value, int) and given.value != len(expected):
            note = f'{given.value}, but {_describe(cfg, trained, expected)}'
            findings.add_setting('num_classes', given, note)
    for split, names in classes.items():
        # other names may mean the same; the same names in another order do not
        is_mixed = list(names) != expected and set(names) == set(expected)
        if len(names) != len(expected) or is_mixed:
            note = f'{_describe(cfg, split, names)}; {_describe(cfg, trained, expected)}'
            findings.add('classes_differ', f'data.{split}', note)


def _describe(cfg: Config, split: str, names: Sequence[str]) -> str:
    node: Any = next(iter(dataset_nodes(cfg, split)), {})
    entry = entry_of(node, DATASETS)
    who = entry.__name__ if entry is not None else 'data set'
    given = setting(node, 'classes')
    origin = f', {given.origin}' if given is not None and given.value is not None else ''
    shown = ', '.join(names[:_MOST_NAMES]) + (', …' if len(names) > _MOST_NAMES else '')
    return f'data.{split} ({who}{origin}) has {len(names)} classes: {shown}'


def check_datasets(cfg: Config, findings: Findings) -> None:
    """Check ignored values, sizes, normalisation and batches."""
    _check_ignored(cfg, findings)
    _check_sizes(cfg, findings)
    _check_normalisation(cfg, findings)
    _check_batch_norm(cfg, findings)


def _check_ignored(cfg: Config, findings: Findings) -> None:
    """Compare the label values that data sets, heads, losses and transforms ignore or pad with."""
    of_heads = _of_heads(cfg)
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            ignored = setting(dataset, 'ignore_index', DATASETS)
            others = [('ignore_index', other) for other in of_heads]
            # elsewhere labels do not pass the pipeline
            for node in transform_nodes(dataset) if split == 'train' else ():
                for name in ('ignore_index', 'seg_pad_val'):
                    others.append((name, _argument(node, name, PIPELINES)))
            for rule, other in others:
                if ignored is not None and other is not None and other.value != ignored.value:
                    findings.add_setting(rule, other, f'{other.value!r}, but {ignored}')


def _of_heads(cfg: Config) -> list[Setting | None]:
    """Return ignore_index of all heads and losses."""
    found = []
    for head in head_nodes(cfg):
        found.append(setting(head, 'ignore_index', HEADS))
        num_classes = head.get('num_classes')
        for loss in each(head.get('loss_decode')):
            own = _argument(loss, 'ignore_index', LOSSES)
            # a loss may ignore a class
            is_class = own and fits(num_classes, int) and own.value in range(num_classes)
            found.append(None if is_class else own)
    return found


def _argument(node: Mapping[str, Any], name: str, registry: Registry) -> Setting | None:
    """Return a setting or its default, if the component takes such an argument."""
    entry = entry_of(node, registry)
    accepted = accepted_arguments(entry) if entry is not None else None
    return setting(node, name, registry) if accepted is None or name in accepted else None


def _check_sizes(cfg: Config, findings: Findings) -> None:
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


def _check_normalisation(cfg: Config, findings: Findings) -> None:
    """Check scale, channels and equality of Normalize in all pipelines."""
    taken = setting(part(cfg, 'model').get('backbone'), 'in_channels', BACKBONES)
    trained = next(iter(dataset_nodes(cfg, 'train')), None)
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            _check_scale(dataset, findings)
            loads = (setting(n, 'bands') for n in transforms_of(dataset, LoadImageFromFile))
            bands = next(loads, None)
            for node in transforms_of(dataset, Normalize):
                mean = _numbers(node, 'mean')
                if mean and bands and fits(bands.value, Sequence) and len(bands.value) != len(mean):
                    note = f'{bands.value!r}, but mean of Normalize has {len(mean)} numbers'
                    findings.add_setting('image_channels', bands, note)
                if taken is not None and mean and len(mean) != taken.value:
                    note = f'of {len(mean)} channels, but {taken}'
                    findings.add_setting('image_channels', setting(node, 'mean'), note)
            if split != 'train' and trained is not None:
                _compare(trained, dataset, findings)


def _check_scale(dataset: Mapping[str, Any], findings: Findings) -> None:
    """Compare mean and std with the values that images have before they are normalised."""
    width: float | None = None  # between the smallest and the largest value; None if not known
    for node in transform_nodes(dataset):
        if is_a(node, LoadImageFromFile):
            is_scaled = any(node.get(key) is not None for key in ('max_value', 'percentiles'))
            is_unchanged = node.get('color_type') == 'unchanged' or bool(node.get('bands'))
            width = None if is_unchanged and not is_scaled else _BYTE
        elif is_a(node, Rerange):
            ends = [setting(node, name, PIPELINES).value for name in ('min_value', 'max_value')]
            width = ends[1] - ends[0] if fits(ends, Sequence[float]) else None
        elif is_a(node, Normalize):
            for wrong in _off_scale(node, width) if width is not None else ():
                note = f'{list(wrong.value)!r}, but images have values from 0 to {width:g} there'
                findings.add_setting('norm_scale', wrong, note)
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


def _compare(trained: Mapping[str, Any], tested: Mapping[str, Any], findings: Findings) -> None:
    """Compare the normalisation of a data set's images with that of training."""
    nodes = [next(iter(transforms_of(dataset, Normalize)), None) for dataset in (trained, tested)]
    for dataset, node, other in zip((trained, tested), nodes, reversed(nodes), strict=True):
        steps = transform_nodes(dataset)
        if node is None and other is not None and steps and all(map(_is_own, steps)):
            note = f'it has no Normalize, but {config_path(other)} is one'
            findings.add_setting('norm_missing', setting(dataset, 'pipeline'), note)
        elif node is not None and not ('mean' in node and 'std' in node):
            findings.add('norm_missing', config_path(node), 'Normalize without mean and std')
    if None in nodes or findings.block(config_path(nodes[1]), ['norm_missing']):
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


def _check_batch_norm(cfg: Config, findings: Findings) -> None:
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

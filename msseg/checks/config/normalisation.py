"""How the pipelines normalise images: on which scale, with how many channels, all alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msseg.apis.settings import (
    SPLITS,
    dataset_nodes,
    entry_of,
    is_a,
    part,
    setting,
    transform_nodes,
    transforms_of,
)
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.datasets.builder import PIPELINES
from msseg.datasets.pipelines import LoadImageFromFile, Normalize, Rerange
from msseg.models.builder import BACKBONES
from msseg.registry import config_path
from msseg.utils.arguments import fits

_OWN = 'msseg.datasets.pipelines'
_BYTE = 255.0


def check_normalisation(cfg: Config, findings: Findings) -> None:
    """Look at Normalize in all pipelines."""
    taken = setting(part(cfg, 'model').get('backbone'), 'in_channels', BACKBONES)
    for split in SPLITS:
        for dataset in dataset_nodes(cfg, split):
            _check_scale(dataset, findings)
            for node in transforms_of(dataset, Normalize):
                mean = _numbers(node.get('mean'))
                if taken is not None and mean and len(mean) != taken.value:
                    note = f'of {len(mean)} channels, but {taken}'
                    findings.add('image_channels', setting(node, 'mean'), note)
    trained = next(iter(dataset_nodes(cfg, 'train')), None)
    for split in SPLITS[1:]:
        for dataset in dataset_nodes(cfg, split):
            if trained is not None:
                _compare(trained, dataset, findings)


def _check_scale(dataset: Mapping[str, Any], findings: Findings) -> None:
    """Compare mean and std with the values that images have before they are normalised."""
    width: float | None = None  # between the smallest and the largest; None: who knows
    for node in transform_nodes(dataset):
        if is_a(node, LoadImageFromFile):
            is_scaled = any(node.get(key) is not None for key in ('max_value', 'percentiles'))
            width = None if node.get('color_type') == 'unchanged' and not is_scaled else _BYTE
        elif is_a(node, Rerange):
            ends = [setting(node, name, PIPELINES).value for name in ('min_value', 'max_value')]
            width = ends[1] - ends[0] if fits(ends, Sequence[float]) else None
        elif is_a(node, Normalize):
            if width is not None:
                _check_numbers(node, width, findings)
            return
        elif not _is_own(node):
            width = None


def _check_numbers(node: Mapping[str, Any], width: float, findings: Findings) -> None:
    step = width / _BYTE  # a picture's mean and deviation are at least some steps
    for name in ('mean', 'std'):
        values = _numbers(node.get(name))
        if not values:
            continue
        if name == 'std':
            is_too_small = min(values) < step
        else:
            is_too_small = 0 < max(map(abs, values)) <= step
        if is_too_small or max(values) > width:
            note = f'{values!r}, but images have values from 0 to {width:g} there'
            findings.add('norm_scale', setting(node, name), note)


def _compare(trained: Mapping[str, Any], tested: Mapping[str, Any], findings: Findings) -> None:
    """Compare the normalisation of a data set's images with the one of training."""
    nodes = [next(iter(transforms_of(dataset, Normalize)), None) for dataset in (trained, tested)]
    for dataset, node, other in zip((trained, tested), nodes, reversed(nodes), strict=True):
        steps = transform_nodes(dataset)
        if node is None and other is not None and steps and all(map(_is_own, steps)):
            note = f'it has no Normalize, but {config_path(other)} is one'
            findings.add('norm_missing', setting(dataset, 'pipeline'), note)
        elif node is not None and not ('mean' in node and 'std' in node):
            findings.add('norm_missing', config_path(node), 'Normalize without mean and std')
    if None in nodes or findings.hinders(config_path(nodes[1]), ['norm_missing']):
        return
    for name in ('mean', 'std', 'to_rgb'):
        here, there = (setting(node, name, PIPELINES) for node in reversed(nodes))
        if here and there and _plain(here.value) != _plain(there.value):
            findings.add('norm_differs', here, f'{here.value!r}, but {there}')


def _is_own(node: Mapping[str, Any]) -> bool:
    """Whether a transform is one of msseg's: what a user's does is not known."""
    entry = entry_of(node, PIPELINES)
    return entry is not None and entry.__module__.startswith(_OWN)


def _numbers(value: Any) -> list[float] | None:
    is_list = fits(value, Sequence[float])
    return list(value) if is_list else None


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

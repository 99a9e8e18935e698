"""Sizes in pipelines: what is cropped and what it is padded to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msseg.apis.settings import Setting, dataset_nodes, setting, transforms_of
from msseg.checks.config.finding import Findings
from msseg.config import Config
from msseg.datasets.pipelines import Pad, RandomCrop
from msseg.utils.arguments import Size, fits


def check_sizes(cfg: Config, findings: Findings) -> None:
    """Compare the crops of training with what they are padded to."""
    for dataset in dataset_nodes(cfg, 'train'):
        crop, pad = last_size(dataset, RandomCrop, 'crop_size'), last_size(dataset, Pad, 'size')
        if crop is None or pad is None:
            continue
        if any(c > p for c, p in zip(crop.value, pad.value, strict=True)):
            note = f'{tuple(crop.value)!r}, but {pad}; both are (height, width)'
            findings.add('crop_size', crop, note)


def sample_size(cfg: Config) -> tuple[int, int] | None:
    """Return the size (h, w) of training's samples, None when the config does not fix it."""
    for dataset in dataset_nodes(cfg, 'train'):
        for kind, name in ((Pad, 'size'), (RandomCrop, 'crop_size')):
            said = last_size(dataset, kind, name)
            if said is not None:
                return int(said.value[0]), int(said.value[1])
    return None


def last_size(dataset: Mapping[str, Any], kind: type, name: str) -> Setting | None:
    """Return the size (h, w) that the last transform of a class is given; None without one."""
    sizes = [setting(node, name) for node in transforms_of(dataset, kind)]
    sizes = [said for said in sizes if said is not None and fits(said.value, Size)]
    return sizes[-1] if sizes else None

"""Batch normalisation of too few samples."""

from __future__ import annotations

from collections.abc import Mapping

from msseg.apis.settings import DEFAULT, Setting, head_nodes, part, setting
from msseg.checks.config.finding import Findings
from msseg.checks.config.sizes import sample_size
from msseg.config import Config
from msseg.models.builder import BACKBONES, HEADS

# One image of this many pixels gives SyncBN on one device statistics that serve: some hundred
# values of each channel at 1/32 of its size, which is HRNet's lowest resolution.
_LARGE = 512 * 512
_BATCH_NORMS = ('BN', 'BN2d', 'SyncBN')


def check_batch_norm(cfg: Config, findings: Findings) -> None:
    """Find batches of one image that batch normalisation takes its statistics from.

    SyncBN takes those of all devices' images, and how many devices there will be is not known. On
    one device it is BN: that counts for crops smaller than `_LARGE`.
    """
    samples = samples_per_device(cfg)
    norm = _first_norm(cfg)
    if samples.value != 1 or norm is None:
        return
    size = sample_size(cfg)
    if norm.value['type'] == 'SyncBN' and (size is None or size[0] * size[1] >= _LARGE):
        return
    alone = ', which is BN on one device' if norm.value['type'] == 'SyncBN' else ''
    findings.add('batch_norm', samples, f'1, but {norm.key} is {norm.value["type"]}{alone}')


def samples_per_device(cfg: Config) -> Setting:
    """Return how many images a device's batch has."""
    for key in ('data.train_dataloader', 'data'):
        said = setting(part(cfg, key), 'samples_per_gpu')
        if said is not None:
            return said
    return Setting('data.samples_per_gpu', 1, DEFAULT)


def _first_norm(cfg: Config) -> Setting | None:
    """Return the first norm_cfg whose batch normalisation takes statistics from the batch."""
    backbone = part(cfg, 'model.backbone')
    frozen = setting(backbone, 'norm_eval', BACKBONES)
    found = [] if frozen is not None and frozen.value is True else [(backbone, BACKBONES)]
    found += [(head, HEADS) for head in head_nodes(cfg)]
    for node, registry in found:
        said = setting(node, 'norm_cfg', registry)
        value = said.value if said is not None else None
        if isinstance(value, Mapping) and value.get('type') in _BATCH_NORMS:
            return said
    return None

"""Normalisation layers from ``norm_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import mindspore as ms
from mindspore import nn

from msseg.models.layers.sync_batch_norm import SyncBatchNorm2d
from msseg.utils.dist import get_world_size
from msseg.utils.suggest import did_you_mean

BN: Mapping = MappingProxyType({'type': 'BN'})

_BATCH_NORM_ARGUMENTS = ('eps', 'momentum', 'affine')
NORM_TYPES = ('BN', 'BN2d', 'SyncBN')


def build_norm_layer(
    norm_cfg: Mapping, num_features: int, postfix: int | str = ''
) -> tuple[str, nn.Cell]:
    """Build the normalisation that a ``norm_cfg`` names.

    Args:
        norm_cfg: ``type`` is ``'BN'`` or ``'SyncBN'`` (statistics over the batches of all devices;
            plain ``BN`` when there is one). ``requires_grad`` (True) says whether scale and shift
            are trained, ``eps`` is 1e-5, ``momentum`` (0.1) is the share of the new batch in the
            running statistics, as PyTorch counts it, ``affine`` is True.
        num_features: Number of channels.
        postfix: Appended to the layer's name.

    Returns:
        The name under which models keep the layer (``bn1`` for postfix 1), and the layer.

    Raises:
        KeyError: ``type`` is missing or unknown.
        TypeError: An argument that the layer does not take.
    """
    if 'type' not in norm_cfg:
        raise KeyError(f'norm_cfg: the key "type" is missing, got {dict(norm_cfg)!r}')
    kind = norm_cfg['type']
    options = {
        key: value for key, value in norm_cfg.items() if key not in ('type', 'requires_grad')
    }
    if kind not in NORM_TYPES:
        raise KeyError(
            f'norm_cfg: unknown type {kind!r}, expected one of {list(NORM_TYPES)}.'
            f'{did_you_mean(str(kind), NORM_TYPES)}'
        )
    for key in options:
        if key not in _BATCH_NORM_ARGUMENTS:
            raise TypeError(
                f'norm_cfg: {kind} takes no argument {key!r}, expected some of '
                f'{["requires_grad", *_BATCH_NORM_ARGUMENTS]}.'
                f'{did_you_mean(key, ["requires_grad", *_BATCH_NORM_ARGUMENTS])}'
            )
    # MindSpore counts the share of the old statistics.
    momentum = 1.0 - options.pop('momentum', 0.1)
    layer = _batch_norm_class(kind)(num_features, momentum=momentum, **options)
    if not norm_cfg.get('requires_grad', True):
        for parameter in layer.get_parameters():
            parameter.requires_grad = False
    return f'bn{postfix}', layer


def freeze_statistics(cell: nn.Cell) -> None:
    """Let every batch norm in a cell use its running statistics, in training too."""
    for _, layer in cell.cells_and_names():
        if isinstance(layer, (nn.BatchNorm2d, nn.SyncBatchNorm)):
            layer.use_batch_statistics = False


def freeze_parameters(cell: nn.Cell) -> None:
    """Exclude every parameter of a cell from training."""
    for parameter in cell.get_parameters():
        parameter.requires_grad = False


def _batch_norm_class(kind: str) -> type[nn.Cell]:
    if kind != 'SyncBN' or get_world_size() == 1:
        return nn.BatchNorm2d
    # nn.SyncBatchNorm exists on Ascend only (MindSpore 2.7 to 2.10).
    return nn.SyncBatchNorm if ms.get_context('device_target') == 'Ascend' else SyncBatchNorm2d

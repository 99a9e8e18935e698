"""Registries of model parts and the functions that build them."""

from __future__ import annotations

from typing import Any

from mindspore import nn

from msseg.models.contract import check_head, named_by
from msseg.models.layers.init_cfg import apply_init_cfg
from msseg.registry import Registry
from msseg.utils.shown import shown
from msseg.utils.upstream import check_cell, check_sampler

BACKBONES = Registry('backbone', check_cell)
NECKS = Registry('neck', check_cell)
HEADS = Registry('head', check_cell)
LOSSES = Registry('loss', check_cell)
SEGMENTORS = Registry('segmentor', check_cell)
PIXEL_SAMPLERS = Registry('pixel sampler', check_sampler)


def build_backbone(cfg: dict) -> nn.Cell:
    """Build a backbone, and initialise it by its ``init_cfg``, then by its ``init_weights``.

    A rule of type ``Pretrained`` sets its ``pretrained``, which training loads.

    Raises:
        ValueError: ``pretrained`` is given as well.
    """
    backbone = BACKBONES.build(cfg)
    with named_by(cfg):
        checkpoint = _initialise(backbone)
        if checkpoint is not None:
            if getattr(backbone, 'pretrained', None) is not None:
                raise ValueError(
                    f'{type(backbone).__name__}: give pretrained or init_cfg of type Pretrained, '
                    'not both'
                )
            backbone.pretrained = checkpoint
    return backbone


def build_neck(cfg: dict) -> nn.Cell:
    """Build a neck, initialised as by `build_backbone`."""
    return _build(NECKS, cfg)


def build_head(cfg: dict) -> nn.Cell:
    """Build a decode or auxiliary head, initialised as by `build_backbone`.

    Raises:
        ValueError: Its losses expect another kind of scores than it gives.

    Examples:
        >>> config = dict(type='FCNHead', in_channels=4, channels=8, num_classes=3)
        >>> build_head(config).loss_names
        ['loss_ce', 'acc_seg']
    """
    head = _build(HEADS, cfg)
    with named_by(cfg):
        check_head(head)
    return head


def build_loss(cfg: dict) -> nn.Cell:
    """Build a loss, such as ``dict(type='DiceLoss', loss_weight=0.5)``."""
    return LOSSES.build(cfg)


def build_pixel_sampler(cfg: dict, **default_args: Any) -> nn.Cell:
    """Build a pixel sampler."""
    return PIXEL_SAMPLERS.build(cfg, **default_args)


def build_segmentor(
    cfg: dict, train_cfg: dict | None = None, test_cfg: dict | None = None
) -> nn.Cell:
    """Build a segmentor from the ``model`` dict of a config.

    Args:
        cfg: The dict.
        train_cfg: Used when `cfg` has none.
        test_cfg: Used when `cfg` has none.

    Raises:
        KeyError: A ``type`` that is not registered.
        TypeError: An argument that a part does not take, or a part that lacks what others read.
        ValueError: ``train_cfg`` or ``test_cfg`` is given both ways, or parts do not fit.

    Examples:
        >>> class Stem(nn.Conv2d):
        ...     def construct(self, image):
        ...         return (super().construct(image),)
        >>> model = build_segmentor(dict(
        ...     type='EncoderDecoder',
        ...     backbone=dict(type=Stem, in_channels=3, out_channels=4, kernel_size=3, stride=4),
        ...     decode_head=dict(type='FCNHead', in_channels=4, channels=8, num_classes=3),
        ... ))
        >>> model.output_spec.num_classes, model.loss_names
        (3, ['decode.loss_ce', 'decode.acc_seg'])
    """
    for name, value in (('train_cfg', train_cfg), ('test_cfg', test_cfg)):
        if value is not None and cfg.get(name) is not None:
            raise ValueError(
                f'{name} is given to build_segmentor and in the model config; keep the one in the '
                'model config'
            )
    outer = {'train_cfg': train_cfg, 'test_cfg': test_cfg}
    return _build(SEGMENTORS, cfg, **{name: value for name, value in outer.items() if value})


def _build(registry: Registry, cfg: dict, **default_args: Any) -> nn.Cell:
    part = registry.build(cfg, **default_args)
    with named_by(cfg):
        if _initialise(part) is not None:
            raise ValueError(
                f'{type(part).__name__}: init_cfg of type Pretrained loads a backbone; for weights '
                "of the whole model give the config's load_from"
            )
    return part


def _initialise(part: nn.Cell) -> str | None:
    """Apply ``init_cfg``, then call ``init_weights``; return the file of a ``Pretrained`` rule."""
    if not isinstance(part, nn.Cell):
        raise TypeError(f"a 'type' made {shown(part)}, expected a mindspore.nn.Cell")
    checkpoint = apply_init_cfg(part, getattr(part, 'init_cfg', None))
    if hasattr(part, 'init_weights'):
        part.init_weights()
    return checkpoint

"""Registries of model parts and the functions that build them."""

from __future__ import annotations

from typing import Any

from mindspore import nn

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
    """Build a backbone, and initialise it as its ``init_cfg`` says, then by its ``init_weights``.

    A rule of type ``Pretrained`` sets its ``pretrained``, which training loads.

    Raises:
        ValueError: ``pretrained`` is given as well.
    """
    backbone = BACKBONES.build(cfg)
    checkpoint = apply_init_cfg(backbone, getattr(backbone, 'init_cfg', None))
    given = getattr(backbone, 'pretrained', None)
    if checkpoint is not None:
        if given is not None:
            raise ValueError(
                f'{type(backbone).__name__}: give pretrained or init_cfg of type Pretrained, '
                'not both'
            )
        backbone.pretrained = checkpoint
    return _with_own_weights(backbone)


def build_neck(cfg: dict) -> nn.Cell:
    """Build a neck, initialised as by `build_backbone`."""
    return _initialised(NECKS.build(cfg))


def build_head(cfg: dict) -> nn.Cell:
    """Build a decode or auxiliary head, initialised as by `build_backbone`."""
    return _initialised(HEADS.build(cfg))


def _initialised(part: nn.Cell) -> nn.Cell:
    if apply_init_cfg(part, getattr(part, 'init_cfg', None)) is not None:
        raise ValueError(
            f'{type(part).__name__}: init_cfg of type Pretrained loads a backbone; for weights of '
            "the whole model give the config's load_from"
        )
    return _with_own_weights(part)


def _with_own_weights(part: nn.Cell) -> nn.Cell:
    if not isinstance(part, nn.Cell):
        raise TypeError(f"model: a 'type' made {shown(part)}, expected a mindspore.nn.Cell")
    # what a part of a user's own does after init_cfg, as in MMSegmentation
    if hasattr(part, 'init_weights'):
        part.init_weights()
    return part


def build_loss(cfg: dict) -> nn.Cell:
    """Build a loss."""
    return LOSSES.build(cfg)


def build_pixel_sampler(cfg: dict, **default_args: Any) -> nn.Cell:
    """Build a pixel sampler."""
    return PIXEL_SAMPLERS.build(cfg, **default_args)


def build_segmentor(
    cfg: dict, train_cfg: dict | None = None, test_cfg: dict | None = None
) -> nn.Cell:
    """Build a segmentor.

    Args:
        cfg: The ``model`` dict of a config.
        train_cfg: Used when `cfg` has none.
        test_cfg: Used when `cfg` has none.

    Raises:
        ValueError: ``train_cfg`` or ``test_cfg`` is given both ways.
    """
    for name, value in (('train_cfg', train_cfg), ('test_cfg', test_cfg)):
        if value is not None and cfg.get(name) is not None:
            raise ValueError(
                f'{name} is given to build_segmentor and in the model config; keep the one in the '
                'model config'
            )
    outer = {'train_cfg': train_cfg, 'test_cfg': test_cfg}
    given = {name: value for name, value in outer.items() if value}
    return _with_own_weights(SEGMENTORS.build(cfg, **given))

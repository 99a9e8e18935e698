"""Mixed precision as configs ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.models.layers import use_low_precision
from msseg.utils.suggest import did_you_mean

# MMCV's optimizer hooks by what they ask for: 16-bit floats with a loss scale, or not.
OPTIMIZER_HOOKS = {
    'OptimizerHook': False,
    'GradientCumulativeOptimizerHook': False,
    'Fp16OptimizerHook': True,
    'GradientCumulativeFp16OptimizerHook': True,
}
# What MMCV's Fp16OptimizerHook takes when nothing is said.
DEFAULT_LOSS_SCALE = 512.0


def set_precision(model: nn.Cell, cfg: Mapping[str, Any]) -> None:
    """Let a model compute in the precision that a config's ``fp16`` or ``bf16`` asks for.

    Raises:
        ValueError: Both are set, or the device cannot.
    """
    scale = loss_scale_of(cfg)
    if cfg.get('bf16') is not None:
        if scale is not None:
            raise ValueError('fp16 and bf16 are both set: keep one')
        use_low_precision(model, ms.bfloat16)
    elif scale is not None:
        use_low_precision(model, ms.float16)


def loss_scale_of(cfg: Mapping[str, Any]) -> Any:
    """Return the loss scale of a config that trains in float16, None for others.

    ``fp16=dict(loss_scale=…)`` asks for it, or MMCV's ``optimizer_config.type``.

    Raises:
        KeyError: ``optimizer_config.type`` is none of `OPTIMIZER_HOOKS`.
    """
    options = cfg.get('optimizer_config') or {}
    kind = options.get('type', 'OptimizerHook')
    if kind not in OPTIMIZER_HOOKS:
        raise KeyError(
            f'optimizer_config.type is {kind!r}, expected one of {list(OPTIMIZER_HOOKS)}.'
            f'{did_you_mean(str(kind), OPTIMIZER_HOOKS)}'
        )
    fp16 = cfg.get('fp16')
    if fp16 is None and not OPTIMIZER_HOOKS[kind]:
        return None
    default = options.get('loss_scale', DEFAULT_LOSS_SCALE)
    return (fp16 or {}).get('loss_scale', default)

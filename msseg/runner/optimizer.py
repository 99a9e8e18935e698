"""Optimizers with PyTorch's formulas, and per-parameter settings."""

from __future__ import annotations

from collections.abc import Iterable

from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from msseg.registry import build_from_cfg
from msseg.runner.builder import OPTIMIZERS
from msseg.utils.layer_traits import traits_of
from msseg.utils.suggest import did_you_mean

_PARAMWISE_KEYS = ('custom_keys', 'bias_lr_mult', 'bias_decay_mult', 'norm_decay_mult')


def build_optimizer(model: nn.Cell, cfg: dict) -> nn.Cell:
    """Build the optimizer of a config for a model's trainable parameters.

    Args:
        model: The network.
        cfg: ``type``, ``lr`` and the optimizer's other arguments; ``paramwise_cfg`` may hold
            ``custom_keys`` (part of a parameter's name to ``lr_mult``/``decay_mult``; the longest
            part that matches counts), ``bias_lr_mult``, ``bias_decay_mult``, ``norm_decay_mult``.

    Returns:
        The optimizer. Parameters with the same settings are one of its groups.

    Raises:
        KeyError: An unknown optimizer or key of ``paramwise_cfg``.
        ValueError: ``lr`` is missing, a number is none or negative, or nothing is trainable.

    Source: MMCV 1.7 ``DefaultOptimizerConstructor``.
    """
    cfg = cfg.copy()
    paramwise = dict(cfg.pop('paramwise_cfg', None) or {})
    if 'lr' not in cfg:
        raise ValueError("optimizer: 'lr' is missing, expected a number such as lr=0.01")
    for key in ('betas',):
        if key in cfg:
            cfg[key] = tuple(cfg[key])
    lr, decay = _number('lr', cfg['lr']), _number('weight_decay', cfg.get('weight_decay', 0.0))
    cfg['lr'], cfg['weight_decay'] = lr, decay
    groups: dict[tuple[float, float], list[Parameter]] = {}
    for parameter, lr_mult, decay_mult in parameter_multipliers(model, paramwise):
        groups.setdefault((lr * lr_mult, decay * decay_mult), []).append(parameter)
    if not groups:
        raise ValueError('optimizer: no parameter of the model is trainable')
    params = [
        {'params': members, 'lr': group_lr, 'weight_decay': group_decay}
        for (group_lr, group_decay), members in groups.items()
    ]
    optimizer = build_from_cfg(cfg, OPTIMIZERS, {'params': params})
    optimizer.base_lrs = [group_lr for group_lr, _ in groups]
    # MindSpore keeps them in a plain list (2.8): graphs from the compile cache would then compute
    # with rates that belong to nothing, and give NaN.
    for parameter in optimizer.lrs:
        optimizer.insert_param_to_cell(parameter.name, parameter)
    return optimizer


def _number(key: str, value: float | str) -> float:
    try:
        number = float(value)  # YAML takes 1e-3 for a word
    except (TypeError, ValueError):
        number = -1.0
    if not number >= 0:
        raise ValueError(f'optimizer.{key} is {value!r}, expected a number of at least 0')
    return number


def parameter_multipliers(
    model: nn.Cell, paramwise: dict
) -> Iterable[tuple[Parameter, float, float]]:
    """Yield each trainable parameter with its factors on learning rate and weight decay."""
    for key in paramwise:
        if key not in _PARAMWISE_KEYS:
            raise KeyError(
                f'optimizer.paramwise_cfg has no key {key!r}, expected some of '
                f'{list(_PARAMWISE_KEYS)}.{did_you_mean(key, _PARAMWISE_KEYS)}'
            )
    custom = paramwise.get('custom_keys') or {}
    by_length = sorted(sorted(custom), key=len, reverse=True)
    for prefix, cell in model.cells_and_names():
        for local_name, parameter in cell._params.items():
            if parameter is None or not parameter.requires_grad:
                continue
            name = f'{prefix}.{local_name}' if prefix else local_name
            key = next((key for key in by_length if key in name), None)
            if key is not None:
                settings = custom[key]
                yield parameter, settings.get('lr_mult', 1.0), settings.get('decay_mult', 1.0)
            elif traits_of(cell).is_norm:
                yield parameter, 1.0, paramwise.get('norm_decay_mult', 1.0)
            elif local_name == 'bias':
                lr_mult = paramwise.get('bias_lr_mult', 1.0)
                yield parameter, lr_mult, paramwise.get('bias_decay_mult', 1.0)
            else:
                yield parameter, 1.0, 1.0


def set_lr(optimizer: nn.Cell, lrs: Iterable[float]) -> None:
    """Set the learning rate of every parameter group."""
    for group, lr in zip(optimizer.param_groups, lrs, strict=True):
        ops.assign(group['lr'], Tensor(lr, mstype.float32))


def get_lr(optimizer: nn.Cell) -> list[float]:
    """Return the learning rate of every parameter group."""
    return [float(group['lr'].asnumpy()) for group in optimizer.param_groups]

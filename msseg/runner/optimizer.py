"""Optimizers with PyTorch's formulas, and per-parameter settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from msseg.registry import build_from_cfg, call_with_cfg
from msseg.runner.builder import OPTIMIZERS
from msseg.utils.arguments import NonNegative, check_value, checked
from msseg.utils.layer_traits import traits_of
from msseg.utils.suggest import did_you_mean


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
    lr, decay = cfg['lr'], cfg.setdefault('weight_decay', 0.0)
    for name, value in (('lr', lr), ('weight_decay', decay)):
        check_value(value, NonNegative, name, 'optimizer')
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


def parameter_multipliers(
    model: nn.Cell, paramwise: dict
) -> Iterable[tuple[Parameter, float, float]]:
    """Yield each trainable parameter with its factors on learning rate and weight decay."""
    custom, others = call_with_cfg(paramwise_settings, paramwise)
    by_length = sorted(sorted(custom), key=len, reverse=True)
    for prefix, cell in model.cells_and_names():
        for local_name, parameter in cell._params.items():
            if parameter is None or not parameter.requires_grad:
                continue
            name = f'{prefix}.{local_name}' if prefix else local_name
            key = next((key for key in by_length if key in name), None)
            if key is not None:
                yield parameter, *custom[key]
            elif traits_of(cell).is_norm:
                yield parameter, 1.0, others['norm_decay_mult']
            elif local_name == 'bias':
                yield parameter, others['bias_lr_mult'], others['bias_decay_mult']
            else:
                yield parameter, 1.0, 1.0


Multipliers = tuple[float, float]


@checked
def paramwise_settings(
    custom_keys: Mapping[str, Mapping] | None = None,
    bias_lr_mult: NonNegative = 1.0,
    bias_decay_mult: NonNegative = 1.0,
    norm_decay_mult: NonNegative = 1.0,
) -> tuple[dict[str, Multipliers], dict[str, float]]:
    """Read a ``paramwise_cfg``.

    Args:
        custom_keys: Part of a parameter's name to its ``lr_mult`` and ``decay_mult``.
        bias_lr_mult: Factor on the learning rate of biases.
        bias_decay_mult: Factor on the weight decay of biases.
        norm_decay_mult: Factor on the weight decay of normalisations.

    Returns:
        (lr_mult, decay_mult) by part of a name; the other factors by their name.
    """
    custom = {
        key: call_with_cfg(_multipliers, settings) for key, settings in (custom_keys or {}).items()
    }
    return custom, {
        'bias_lr_mult': bias_lr_mult,
        'bias_decay_mult': bias_decay_mult,
        'norm_decay_mult': norm_decay_mult,
    }


@checked
def _multipliers(lr_mult: NonNegative = 1.0, decay_mult: NonNegative = 1.0) -> Multipliers:
    return lr_mult, decay_mult


def unused_custom_keys(model: nn.Cell, paramwise: Mapping | None) -> dict[str, str]:
    """Return those of ``custom_keys`` that are in no trainable parameter's name, with a hint."""
    names = [p.name for p in model.trainable_params()]
    parts = {part for name in names for part in name.split('.')}
    custom = (paramwise or {}).get('custom_keys') or {}
    return {
        key: did_you_mean(key, parts) for key in custom if not any(key in name for name in names)
    }


def set_lr(optimizer: nn.Cell, lrs: Iterable[float]) -> None:
    """Set the learning rate of every parameter group."""
    for group, lr in zip(optimizer.param_groups, lrs, strict=True):
        ops.assign(group['lr'], Tensor(lr, mstype.float32))


def get_lr(optimizer: nn.Cell) -> list[float]:
    """Return the learning rate of every parameter group."""
    return [float(group['lr'].asnumpy()) for group in optimizer.param_groups]

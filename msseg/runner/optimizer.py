"""Optimizers with PyTorch's formulas, and per-parameter settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from mindspore import Parameter, Tensor, nn, ops
from mindspore import dtype as mstype

from msseg.registry import build_from_cfg, call_with_cfg
from msseg.runner.builder import OPTIMIZER_CONSTRUCTORS, OPTIMIZERS
from msseg.utils.arguments import NonNegative, check_value, checked
from msseg.utils.layer_traits import traits_of
from msseg.utils.suggest import did_you_mean


def build_optimizer(model: nn.Cell, cfg: dict) -> nn.Cell:
    """Build the optimizer of a config for a model's trainable parameters.

    Args:
        model: The network.
        cfg: ``type``, ``lr`` and the optimizer's other arguments; ``constructor`` names the rule
            of per-parameter settings, `DefaultOptimizerConstructor` by default, whose arguments
            are ``paramwise_cfg``.

    Returns:
        The optimizer. Parameters with the same settings are one of its groups.

    Raises:
        KeyError: An unknown optimizer or key of ``paramwise_cfg``.
        ValueError: ``lr`` is missing, a number is none or negative, or nothing is trainable.

    Source: MMCV 1.7 ``DefaultOptimizerConstructor``.
    """
    cfg = cfg.copy()
    paramwise = (cfg.pop('paramwise_cfg', None) or {}).copy()
    paramwise['type'] = cfg.pop('constructor', None) or 'DefaultOptimizerConstructor'
    constructor = OPTIMIZER_CONSTRUCTORS.build(paramwise)
    if 'lr' not in cfg:
        raise ValueError("optimizer: 'lr' is missing, expected a number such as lr=0.01")
    for key in ('betas',):
        if key in cfg:
            cfg[key] = tuple(cfg[key])
    lr, decay = cfg['lr'], cfg.setdefault('weight_decay', 0.0)
    for name, value in (('lr', lr), ('weight_decay', decay)):
        check_value(value, NonNegative, name, 'optimizer')
    groups: dict[tuple[float, float], list[Parameter]] = {}
    for parameter, lr_mult, decay_mult in constructor.multipliers(model):
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


@OPTIMIZER_CONSTRUCTORS.register_module()
class DefaultOptimizerConstructor:
    """Gives parameters factors on learning rate and weight decay by their names and layers.

    A constructor of one's own has ``multipliers`` and takes ``paramwise_cfg`` as arguments; its
    `multipliers` must yield every trainable parameter once.

    Args:
        custom_keys: Part of a parameter's name to its ``lr_mult`` and ``decay_mult``; the longest
            part that matches counts, before the other arguments.
        bias_lr_mult: Factor on the learning rate of biases.
        bias_decay_mult: Factor on the weight decay of biases.
        norm_decay_mult: Factor on the weight decay of normalisations.

    Raises:
        ValueError: A factor that is no number of at least 0.
    """

    @checked
    def __init__(
        self,
        custom_keys: Mapping[str, Mapping] | None = None,
        bias_lr_mult: NonNegative = 1.0,
        bias_decay_mult: NonNegative = 1.0,
        norm_decay_mult: NonNegative = 1.0,
    ) -> None:
        custom = custom_keys or {}
        where = 'optimizer.paramwise_cfg.custom_keys'
        self.custom = {
            key: call_with_cfg(_multipliers, custom[key], f'{where}.{key}') for key in custom
        }
        self.keys_by_length = sorted(sorted(custom), key=len, reverse=True)
        self.bias = (bias_lr_mult, bias_decay_mult)
        self.norm = (1.0, norm_decay_mult)

    def multipliers(self, model: nn.Cell) -> Iterator[tuple[Parameter, float, float]]:
        """Yield each trainable parameter with its factors on learning rate and weight decay."""
        for name, cell, parameter in named_parameters(model):
            key = next((key for key in self.keys_by_length if key in name), None)
            if key is not None:
                yield parameter, *self.custom[key]
            elif traits_of(cell).is_norm:
                yield parameter, *self.norm
            elif name.rpartition('.')[2] == 'bias':
                yield parameter, *self.bias
            else:
                yield parameter, 1.0, 1.0


def named_parameters(model: nn.Cell) -> Iterator[tuple[str, nn.Cell, Parameter]]:
    """Yield each trainable parameter once, with its name in the model and the layer it is of."""
    for prefix, cell in model.cells_and_names():
        for name, parameter in cell.parameters_and_names(expand=False):
            if parameter.requires_grad:
                yield f'{prefix}.{name}' if prefix else name, cell, parameter


@checked
def _multipliers(lr_mult: NonNegative = 1.0, decay_mult: NonNegative = 1.0) -> tuple[float, float]:
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

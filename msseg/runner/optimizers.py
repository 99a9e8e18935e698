"""SGD, Adam and AdamW with PyTorch's formulas and argument names.

They are those of ``mindspore.experimental.optim``, whose ``construct`` builds a list of all
gradients in a loop. In graph mode each turn of such a loop makes a tuple of all so far, so the
graph grows with the square of their number: 300 parameters took 2 GB and 45 s more to compile than
with a map, which visits each gradient once, with the same operators in the same order (MindSpore
2.8). ``mindspore.nn`` has other formulas: its AdamWeightDecay has no bias correction, and its SGD
takes dampening where PyTorch takes weight decay.
"""

from typing import Annotated

import mindspore as ms
from mindspore import Parameter, Tensor, ops
from mindspore.experimental import optim

from msseg.runner.builder import OPTIMIZERS
from msseg.utils.arguments import NonNegative, Probability, Range, checked

Momentum = Annotated[float, Range(0, 1, below=True)]

_update_sgd = ops.MultitypeFuncGraph('update_sgd')
_update_adam = ops.MultitypeFuncGraph('update_adam')
_decay = ops.MultitypeFuncGraph('decay')
_negate = ops.MultitypeFuncGraph('negate')


@_update_sgd.register('Function', 'Tensor', 'Tensor', 'Tensor', 'Tensor', 'Tensor', 'Tensor')
def _update_by_sgd(
    update: ops.SGD,
    momentum: Tensor,
    lr: Tensor,
    grad: Tensor,
    weight: Parameter,
    accum: Parameter,
    stat: Parameter,
) -> bool:
    update(weight, grad, lr, accum, momentum, stat)
    return True


@_update_adam.register(
    'Function',
    'Tensor',
    'Tensor',
    'Float',
    'Float',
    'Float',
    'Tensor',
    'Tensor',
    'Tensor',
    'Tensor',
    'Tensor',
)
def _update_by_adam(
    update: ops.Adam,
    beta1_power: Tensor,
    beta2_power: Tensor,
    beta1: float,
    beta2: float,
    eps: float,
    lr: Tensor,
    grad: Tensor,
    weight: Parameter,
    first: Parameter,
    second: Parameter,
) -> bool:
    update(weight, first, second, beta1_power, beta2_power, lr, beta1, beta2, eps, grad)
    return True


@_decay.register('Float', 'Tensor', 'Tensor')
def _add_decay(decay: float, weight: Parameter, grad: Tensor) -> Tensor:
    return ops.addn((ops.mul(weight, Tensor(decay, ms.float32)), grad))


@_negate.register('Tensor')
def _negative(grad: Tensor) -> Tensor:
    return ops.neg(grad)


@OPTIMIZERS.register_module()
class SGD(optim.SGD):
    """Stochastic gradient descent with momentum, as PyTorch's.

    Args:
        params: Groups of parameters with their ``lr`` and ``weight_decay``.
        lr: Default learning rate.
        momentum: Factor on the running sum of gradients.
        dampening: One minus the factor on the gradient that is added to it.
        weight_decay: Default factor on the weights that is added to the gradients.
        nesterov: Look one step ahead.
        maximize: Climb instead of descending.
    """

    @checked
    def __init__(
        self,
        params: list[dict],
        lr: NonNegative,
        momentum: Momentum = 0,
        dampening: Probability = 0,
        weight_decay: NonNegative = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, momentum, dampening, weight_decay, nesterov, maximize=maximize)
        self.maximize = maximize
        self.ends = list(self.group_start_id)
        self.momenta = [float(group['momentum']) for group in self.param_groups]
        self.updates = [
            ops.SGD(group['dampening'], group['weight_decay'], group['nesterov'])
            for group in self.param_groups
        ]

    def construct(self, gradients: tuple) -> bool:
        """Update all parameters."""
        if self.maximize:
            gradients = self.hyper_map(_negate, gradients)
        for i in range(len(self.momenta)):
            start, end = self.ends[i], self.ends[i + 1]
            momentum = Tensor(self.momenta[i], ms.float32)
            self.hyper_map(
                ops.partial(_update_sgd, self.updates[i], momentum, self.lrs[i]),
                gradients[start:end],
                self.parameters[start:end],
                self.accum[start:end],
                self.stat[start:end],
            )
        return True


class _SettingsByGroup:
    """What Adam's optimizers read of each group, as lists that a graph can index."""

    def _read_groups(self, maximize: bool) -> None:
        self.maximize = maximize
        self.ends = list(self.group_start_id)
        self.betas = [tuple(map(float, group['betas'])) for group in self.param_groups]
        self.decays = [float(group['weight_decay']) for group in self.param_groups]
        self.epsilons = [float(group['eps']) for group in self.param_groups]


@OPTIMIZERS.register_module()
class Adam(optim.Adam, _SettingsByGroup):
    """Adam, as PyTorch's: weight decay is added to the gradients.

    Args:
        params: Groups of parameters with their ``lr`` and ``weight_decay``.
        lr: Default learning rate.
        betas: Factors of the running means of gradients and of their squares.
        eps: Added to the denominator.
        weight_decay: Default factor on the weights that is added to the gradients.
        maximize: Climb instead of descending.
    """

    @checked
    def __init__(
        self,
        params: list[dict],
        lr: NonNegative = 1e-3,
        betas: tuple[Momentum, Momentum] = (0.9, 0.999),
        eps: NonNegative = 1e-8,
        weight_decay: NonNegative = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, maximize=maximize)
        self._read_groups(maximize)

    def construct(self, gradients: tuple) -> bool:
        """Update all parameters."""
        self.assignadd(self.state_step, self.increase_tensor)
        if self.maximize:
            gradients = self.hyper_map(_negate, gradients)
        for i in range(len(self.decays)):
            start, end = self.ends[i], self.ends[i + 1]
            beta1, beta2 = self.betas[i]
            weights = self.parameters[start:end]
            grads = gradients[start:end]
            if self.decays[i] != 0.0:
                grads = self.hyper_map(ops.partial(_decay, self.decays[i]), weights, grads)
            power1 = self.op_pow(beta1, self.state_step)
            power2 = self.op_pow(beta2, self.state_step)
            eps, lr = self.epsilons[i], self.lrs[i]
            self.hyper_map(
                ops.partial(_update_adam, self.adam_opt, power1, power2, beta1, beta2, eps, lr),
                grads,
                weights,
                self.exp_avg[start:end],
                self.exp_avg_sq[start:end],
            )
        return True


@OPTIMIZERS.register_module()
class AdamW(optim.AdamW, _SettingsByGroup):
    """AdamW, as PyTorch's: weights decay by themselves.

    Args:
        params: Groups of parameters with their ``lr`` and ``weight_decay``.
        lr: Default learning rate.
        betas: Factors of the running means of gradients and of their squares.
        eps: Added to the denominator.
        weight_decay: Default share of the weights, times the learning rate, taken off in a step.
        amsgrad: Divide by the largest running mean of squares so far.
        maximize: Climb instead of descending.
    """

    @checked
    def __init__(
        self,
        params: list[dict],
        lr: NonNegative = 1e-3,
        betas: tuple[Momentum, Momentum] = (0.9, 0.999),
        eps: NonNegative = 1e-8,
        weight_decay: NonNegative = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
        self._read_groups(maximize)
        self.amsgrad = amsgrad

    def construct(self, gradients: tuple) -> bool:
        """Update all parameters."""
        self.assignadd(self.state_step, self.increase_tensor)
        if self.maximize:
            gradients = self.hyper_map(_negate, gradients)
        for i in range(len(self.decays)):
            start, end = self.ends[i], self.ends[i + 1]
            beta1, beta2 = self.betas[i]
            self.implementation(
                self.lrs[i],
                self.decays[i],
                beta1,
                beta2,
                self.amsgrad,
                self.epsilons[i],
                gradients[start:end],
                start,
                end,
            )
        return True

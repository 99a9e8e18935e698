"""Learning rates that fall from the heads to the first layers of a backbone."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Literal

from mindspore import Parameter, nn

from msseg.runner.builder import OPTIMIZER_CONSTRUCTORS
from msseg.runner.optimizer import named_parameters
from msseg.utils.arguments import PositiveInt, Range, checked
from msseg.utils.errors import UserValueError

DecayRate = Annotated[float, Range(0, 1, above=True)]
_PREFIX = 'backbone.'


@OPTIMIZER_CONSTRUCTORS.register_module()
class LearningRateDecayOptimizerConstructor:
    """Multiply the learning rate by ``decay_rate`` from layer to layer, towards the image.

    Heads, neck and what follows the backbone's last layer have the optimizer's rate. Vectors, such
    as biases and the parameters of norms, have no weight decay.

    Args:
        num_layers: Number of the depths between the patches or the stem and the heads: layers of a
            transformer; for ConvNeXt 6 in the tiny network and 12 in larger ones.
        decay_rate: The factor on the learning rate.
        decay_type: ``'layer_wise'``, for which the backbone has a method ``layer_depth``, or
            ``'stage_wise'``, for which it has ``stage_depth``. ``'layer_wise_vit'`` is another name
            of the first.

    Source: MMSegmentation 0.30 ``LearningRateDecayOptimizerConstructor``.
    """

    @checked
    def __init__(
        self,
        num_layers: PositiveInt,
        decay_rate: DecayRate,
        decay_type: Literal['layer_wise', 'stage_wise', 'layer_wise_vit'] = 'layer_wise',
    ) -> None:
        self.num_layers = num_layers
        self.decay_rate = decay_rate
        self.is_by_stage = decay_type == 'stage_wise'

    def multipliers(self, model: nn.Cell) -> Iterator[tuple[Parameter, float, float]]:
        """Yield each trainable parameter with its factors on learning rate and weight decay.

        Raises:
            ValueError: The backbone has no depths, or they are more than `num_layers`.
        """
        backbone = getattr(model, 'backbone', None)
        method = 'stage_depth' if self.is_by_stage else 'layer_depth'
        depth_of = getattr(backbone, method, None)
        if depth_of is None:
            raise UserValueError(
                f'the learning rate cannot fall with the depth: {type(backbone).__name__} has no '
                f'method {method}',
                advice='choose another decay_type or constructor, or write the method: see '
                'docs/training.md',
                who=type(self).__name__,
            )
        if not self.is_by_stage:
            depth_of = partial(depth_of, num_layers=self.num_layers)
        for name, _, parameter in named_parameters(model):
            inside = name.startswith(_PREFIX)
            depth = depth_of(name.removeprefix(_PREFIX)) if inside else None
            if depth is None:
                depth = self.num_layers + 1
            elif depth > self.num_layers:
                raise UserValueError(
                    key='optimizer.paramwise_cfg.num_layers',
                    got=self.num_layers,
                    expected=f'at least {depth}, which is the depth of {name}',
                    who=type(self).__name__,
                )
            is_vector = parameter.ndim == 1 or name.endswith('.bias')
            factor = self.decay_rate ** (self.num_layers + 1 - depth)
            yield parameter, factor, 0.0 if is_vector else 1.0


@OPTIMIZER_CONSTRUCTORS.register_module()
class LayerDecayOptimizerConstructor(LearningRateDecayOptimizerConstructor):
    """The older form of `LearningRateDecayOptimizerConstructor`, layer by layer.

    Args:
        num_layers: Number of the backbone's layers.
        layer_decay_rate: The factor on the learning rate.

    Source: MMSegmentation 0.30 ``LayerDecayOptimizerConstructor``.
    """

    @checked
    def __init__(self, num_layers: PositiveInt, layer_decay_rate: DecayRate) -> None:
        super().__init__(num_layers, layer_decay_rate)

"""PointRend's head: classify points where the head before is uncertain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, NamedTuple

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseCascadeDecodeHead
from msseg.models.layers import Conv1d, ConvModule, CountedRandom, Dropout, apply_init_cfg, resize
from msseg.models.layers.activation import RELU
from msseg.models.layers.points import (
    centres,
    label_at,
    most_uncertain,
    put_points,
    sample_points,
    take_rows,
    uncertainty,
)
from msseg.registry import call_with_cfg
from msseg.utils.arguments import Probability, Range, checked
from msseg.utils.errors import ArgumentError

Layers = Annotated[int, Range(1, 255)]
Points = Annotated[int, Range(1, 2**20)]
_CONV1D: Mapping = MappingProxyType({'type': 'Conv1d'})
_INIT: Mapping = MappingProxyType({'type': 'Normal', 'std': 0.01, 'override': {'name': 'fc_seg'}})


@HEADS.register_module()
class PointHead(BaseCascadeDecodeHead):
    """Classifies points by the features and the logits before it there; the last head of a cascade.

    In training, points are drawn, most of them where the logits before have two close classes, and
    the loss is that of the points. In inference, the logits before are enlarged step by step, and
    after each step the most uncertain pixels are classified again. The losses of such whole maps,
    as validation computes them, are those of all pixels.

    The model's ``train_cfg`` and ``test_cfg`` hold the settings of both; see `training_settings`
    and `inference_settings`.

    Args:
        num_fcs: Number of layers before the classification ``fc_seg``.
        coarse_pred_each_layer: Whether every layer, not only the first, gets the logits before.
        conv_cfg: See `build_conv_layer`; points are maps of width 1.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.
        init_cfg: See `apply_init_cfg`; by default ``fc_seg`` is normal of deviation 0.01.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists. There is no
            ``conv_seg``.

    Raises:
        ValueError: One output channel, of which none can be close to another.

    Source: Kirillov et al., PointRend (2020), arXiv:1912.08193; MMSegmentation 0.30 ``PointHead``,
    whose parameter names it keeps. There validation has no losses.
    """

    trains_on_points = True
    train_cfg_keys = ('num_points', 'oversample_ratio', 'importance_sample_ratio')
    test_cfg_keys = ('subdivision_steps', 'subdivision_num_points', 'scale_factor')

    own_transform = 'multiple_select'

    @checked
    def __init__(
        self,
        num_fcs: Layers = 3,
        coarse_pred_each_layer: bool = True,
        conv_cfg: Mapping | None = _CONV1D,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = RELU,
        init_cfg: Mapping | Sequence[Mapping] | None = _INIT,
        **kwargs: Any,
    ) -> None:
        conv_cfg = None if conv_cfg is None else conv_cfg.copy()
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg}
        super().__init__(init_cfg=init_cfg, **options, **kwargs)
        if self.out_channels == 1:
            expected = (
                f'num_classes ({self.num_classes}): uncertain is a point of two close classes'
            )
            raise ArgumentError(key='out_channels', got=1, expected=expected, who='PointHead')
        del self.conv_seg
        self.coarse_pred_each_layer = coarse_pred_each_layer
        self.prev_channels = self.out_channels
        width = sum(self.in_channels) + self.out_channels
        layers = []
        for _ in range(num_fcs):
            layers.append(ConvModule(width, self.channels, 1, **self.conv_options))
            width = self.channels + (self.out_channels if coarse_pred_each_layer else 0)
        self.fcs = nn.CellList(layers)
        self.fc_seg = Conv1d(width, self.out_channels, 1)
        self.dropout = Dropout(self.dropout_ratio) if self.dropout_ratio > 0 else None
        apply_init_cfg(self, _INIT)
        self.names_of_losses = [f'point{name}' for name in self.names_of_losses]
        self.distinct_names = [*dict.fromkeys(self.names_of_losses)]
        self.loss_names = [*self.distinct_names, 'acc_point']
        self.points = TrainingPoints()
        self.configure({}, {})

    def configure(self, train_cfg: Mapping, test_cfg: Mapping) -> None:
        """Take the settings from those of the model's ``train_cfg`` and ``test_cfg``."""
        own = {key: train_cfg[key] for key in self.train_cfg_keys if key in train_cfg}
        self.points.configure(call_with_cfg(training_settings, own, 'model.train_cfg'))
        own = {key: test_cfg[key] for key in self.test_cfg_keys if key in test_cfg}
        settings = call_with_cfg(inference_settings, own, 'model.test_cfg')
        self.num_steps, self.num_refined, self.scale_factor = settings

    def construct(
        self, inputs: tuple[ms.Tensor, ...], prev_output: ms.Tensor
    ) -> ms.Tensor | tuple[ms.Tensor, ms.Tensor]:
        """Give refined logits (n, out_channels, h, w), in training those of points and the points.

        Args:
            inputs: Feature maps.
            prev_output: The logits before, (n, out_channels, h', w').
        """
        maps = self.transform_inputs(inputs)
        prev_output = prev_output.astype(ms.float32)
        if self.training:
            points = self.points(prev_output)
            return self.classify(maps, prev_output, points), points
        refined = prev_output
        for _ in range(self.num_steps):
            h, w = refined.shape[2:]
            size = (h * self.scale_factor, w * self.scale_factor)
            refined = resize(refined, size, self.align_corners)
            index = most_uncertain(uncertainty(refined), self._count(size[0] * size[1]))
            logits = self.classify(maps, prev_output, centres(index, size))
            refined = put_points(refined, index, logits.astype(ms.float32))
        return refined

    def classify(
        self, maps: tuple[ms.Tensor, ...], prev_output: ms.Tensor, points: ms.Tensor
    ) -> ms.Tensor:
        """Give logits (n, out_channels, p, 1) of points (n, p, 2)."""
        coarse = sample_points(prev_output, points, self.align_corners)
        x = ()
        for each in maps:
            x = x + (sample_points(each, points, self.align_corners),)
        x = ops.concat(x + (coarse,), axis=1)
        for layer in self.fcs:
            x = layer(x)
            if self.coarse_pred_each_layer:
                x = ops.concat((x.astype(ms.float32), coarse), axis=1)
        return self.cls_seg(x)

    def cls_seg(self, features: ms.Tensor) -> ms.Tensor:
        """Classify each point of (n, channels, p, 1)."""
        if self.dropout is not None:
            features = self.dropout(features)
        return self.fc_seg(features)

    def losses(
        self, logits: ms.Tensor | tuple[ms.Tensor, ms.Tensor], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        """Compute the losses of what `construct` gives; see `BaseDecodeHead.losses`."""
        if isinstance(logits, tuple):
            of_points = label_at(labels, logits[1], self.align_corners)
            return self.losses_of_pixels(logits[0].astype(ms.float32), of_points)
        return super().losses(logits, labels)

    def _count(self, num_pixels: int) -> int:
        if ops.isconstant(num_pixels):
            return min(self.num_refined, num_pixels)
        return self.num_refined


class TrainingPoints(CountedRandom):
    """Draws the points of a training step: the most uncertain of many, and some at random.

    Source: as `PointHead`, section 3.1.
    """

    def configure(self, settings: TrainingSettings) -> None:
        """Set how many points are drawn."""
        self.num_drawn = int(settings.num_points * settings.oversample_ratio)
        self.num_uncertain = int(settings.num_points * settings.importance_sample_ratio)
        self.num_random = settings.num_points - self.num_uncertain

    def construct(self, logits: ms.Tensor) -> ms.Tensor:
        """Give points (n, num_points, 2) for logits (n, c, h, w)."""
        n, state = logits.shape[0], self.take_state()
        chosen = ()
        if self.num_uncertain > 0:
            drawn = self.uniform((n, self.num_drawn, 2), state, 1)
            values = uncertainty(sample_points(ops.stop_gradient(logits), drawn))
            chosen = (take_rows(drawn, most_uncertain(values, self.num_uncertain)),)
        if self.num_random > 0:
            chosen = chosen + (self.uniform((n, self.num_random, 2), state, 2),)
        return ops.stop_gradient(ops.concat(chosen, axis=1))


class TrainingSettings(NamedTuple):
    """See `training_settings`."""

    num_points: int
    oversample_ratio: float
    importance_sample_ratio: float


@checked
def training_settings(
    num_points: Points = 2048,
    oversample_ratio: Annotated[float, Range(1, 255)] = 3,
    importance_sample_ratio: Probability = 0.75,
) -> TrainingSettings:
    """Read what a `PointHead` takes of ``train_cfg``.

    Args:
        num_points: Number of points of an image.
        oversample_ratio: How many times more are drawn, for the most uncertain to be chosen.
        importance_sample_ratio: Share of points that are chosen for their uncertainty; the rest is
            drawn at random.
    """
    return TrainingSettings(num_points, oversample_ratio, importance_sample_ratio)


class InferenceSettings(NamedTuple):
    """See `inference_settings`."""

    subdivision_steps: int
    subdivision_num_points: int
    scale_factor: int


@checked
def inference_settings(
    subdivision_steps: Annotated[int, Range(0, 255)] = 2,
    subdivision_num_points: Points = 8196,
    scale_factor: Layers = 2,
) -> InferenceSettings:
    """Read what a `PointHead` takes of ``test_cfg``.

    Args:
        subdivision_steps: How often the logits are enlarged and refined.
        subdivision_num_points: Number of pixels that are classified again, at most all.
        scale_factor: By how much the logits are enlarged in each step.
    """
    return InferenceSettings(subdivision_steps, subdivision_num_points, scale_factor)

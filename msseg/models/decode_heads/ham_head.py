"""SegNeXt's head: global context by matrix decomposition."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import ConvModule, CountedRandom, resize
from msseg.utils.arguments import Channels, Positive, Range, check_value, checked
from msseg.utils.errors import UserValueError, unknown_name
from msseg.utils.layer_traits import register_traits
from msseg.utils.logging import warn_once

_EPS = 1e-6
_SHORTEST = 1e-12
Steps = Annotated[int, Range(0, 100)]
_NO_KWARGS: Mapping = MappingProxyType({})
_KWARGS = {
    'MD_S': Channels,
    'MD_R': Channels,
    'train_steps': Steps,
    'eval_steps': Steps,
    'inv_t': Positive,
    'rand_init': bool,
}


@HEADS.register_module()
class LightHamHead(BaseDecodeHead):
    """Concatenates maps and adds their approximation by a product of two small matrices.

    The approximation begins with random bases. In training they are drawn anew for each image and
    iteration, from a saved state: a resumed run draws those that the uninterrupted one would have.
    In evaluation and in exported files they are always the same, so that an image has one result.
    (MMSegmentation draws them in evaluation, too: there logits change from run to run.)

    Args:
        ham_channels: Channels of the approximation.
        ham_kwargs: Its settings, each optional: ``MD_S``, number of groups of channels (1);
            ``MD_R``, number of bases (64); ``train_steps`` and ``eval_steps``, number of steps in
            training (6) and evaluation (7); ``rand_init`` (True), False for bases that are drawn
            once, when the head is built, and saved with the weights; ``inv_t``, which has no effect
            in MMSegmentation, either.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists.
            ``input_transform`` is ``'multiple_select'``.

    Raises:
        ValueError: Settings that do not fit.
        KeyError: An unknown setting.

    Source: Guo et al., SegNeXt (2022); Geng et al., Is Attention Better Than Matrix Decomposition?
        (2021); MMSegmentation 1.2 ``LightHamHead``, whose parameter names it keeps.
    """

    own_transform = 'multiple_select'

    @checked
    def __init__(
        self, ham_channels: Channels = 512, ham_kwargs: Mapping = _NO_KWARGS, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.ham_channels = ham_channels
        options = self.conv_options
        self.squeeze = ConvModule(sum(self.in_channels), ham_channels, 1, **options)
        out_options = {'bias': self.conv_bias, 'norm_cfg': self.norm_cfg}
        self.hamburger = Hamburger(NMF2D(ham_channels, **_settings(ham_kwargs)), **out_options)
        self.align = ConvModule(ham_channels, self.channels, 1, **options)

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w) at the first chosen feature map's size."""
        maps = self.transform_inputs(inputs)
        size, enlarged = maps[0].shape[2:], (maps[0],)
        for x in maps[1:]:
            enlarged = enlarged + (resize(x, size, self.align_corners),)
        return self.align(self.hamburger(self.squeeze(ops.concat(enlarged, axis=1))))


class Hamburger(nn.Cell):
    """`NMF2D` between two 1x1 convolutions, with a shortcut.

    Args:
        ham: The decomposition.
        **options: ``bias`` and ``norm_cfg`` of the last convolution; see `ConvModule`.
    """

    def __init__(self, ham: NMF2D, **options: Any) -> None:
        super().__init__()
        width = ham.channels
        self.ham_in = ConvModule(width, width, 1, act_cfg=None)
        self.ham = ham
        self.ham_out = ConvModule(width, width, 1, act_cfg=None, **options)
        self.relu = nn.ReLU()

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        return self.relu(x + self.ham_out(self.ham(self.relu(self.ham_in(x)))))


class NMF2D(CountedRandom):
    """Replaces a map by its non-negative matrix factorization: pixels as mixtures of a few bases.

    Args:
        channels: Channels of the map.
        num_groups: Number of groups of channels, each with a factorization of its own.
        num_bases: Number of bases.
        train_steps: Number of multiplicative updates in training.
        eval_steps: The same in evaluation.
        rand_init: Whether training draws the first bases of each image; see `LightHamHead`.

    Source: as `LightHamHead`; the updates of Lee and Seung (2001).

    Examples:
        >>> NMF2D(8, num_bases=2).set_train(False)(ms.ops.ones((1, 8, 4, 6))).shape
        (1, 8, 4, 6)
    """

    def __init__(
        self,
        channels: int,
        num_groups: int = 1,
        num_bases: int = 64,
        train_steps: int = 6,
        eval_steps: int = 7,
        rand_init: bool = True,
    ) -> None:
        super().__init__()
        if channels % num_groups:
            raise UserValueError(
                key='ham_kwargs.MD_S',
                got=num_groups,
                expected=f'a divisor of ham_channels={channels}',
                who='LightHamHead',
            )
        self.channels, self.num_groups, self.num_bases = channels, num_groups, num_bases
        self.train_steps, self.eval_steps = train_steps, eval_steps
        self.rand_init = rand_init
        shape = (num_groups, channels // num_groups, num_bases)
        if rand_init:
            self.eval_bases = ms.Tensor(_unit_vectors(np.random.default_rng(0).random(shape)))
        else:
            bases = ms.Tensor(_unit_vectors(np.random.random_sample(shape)))
            self.bases = Parameter(bases, 'bases', requires_grad=False)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Approximate (n, channels, h, w), whose values are at least 0."""
        n, c, h, w = x.shape
        pixels = x.reshape(n, self.num_groups, c // self.num_groups, h * w)
        turned = pixels.transpose(0, 1, 3, 2)
        bases = self.first_bases(n)
        coefficients = ops.softmax(ops.matmul(turned, bases), -1)
        for _ in range(self.train_steps if self.training else self.eval_steps):
            coefficients = _update(coefficients, turned, bases)
            bases = _update(bases, pixels, coefficients)
        coefficients = _update(coefficients, turned, bases)
        return ops.matmul(bases, coefficients.transpose(0, 1, 3, 2)).reshape(n, c, h, w)

    def first_bases(self, n: int) -> ms.Tensor:
        """Return unit vectors (n or 1, groups, channels of a group, bases) for n images."""
        if not self.rand_init:
            return self.bases.expand_dims(0)
        if not self.training:
            return self.eval_bases.expand_dims(0)
        shape = (n, self.num_groups, self.channels // self.num_groups, self.num_bases)
        bases = self.uniform(shape, self.take_state())
        return bases / ops.maximum(ops.sqrt((bases * bases).sum(2, keepdims=True)), _SHORTEST)


# products of small numbers, which are lost in float16
register_traits(NMF2D, precision='full')


def _update(factor: ms.Tensor, matrix: ms.Tensor, other: ms.Tensor) -> ms.Tensor:
    """Let ``factor @ other.T`` come closer to a matrix."""
    square = ops.matmul(other.swapaxes(-1, -2), other)
    return factor * ops.matmul(matrix, other) / (ops.matmul(factor, square) + _EPS)


def _unit_vectors(x: np.ndarray) -> np.ndarray:
    """Divide vectors, along the last axis but one, by their length."""
    length = np.linalg.norm(x, axis=-2, keepdims=True)
    return (x / np.maximum(length, _SHORTEST)).astype(np.float32)


def _settings(ham_kwargs: Mapping) -> dict[str, Any]:
    """Return the arguments of `NMF2D` but the first."""
    for key, value in ham_kwargs.items():
        if key not in _KWARGS:
            raise unknown_name(f'ham_kwargs takes no {key!r}', key, _KWARGS, who='LightHamHead')
        check_value(value, _KWARGS[key], f'ham_kwargs.{key}', 'LightHamHead')
    settings = dict(ham_kwargs)
    inv_t = settings.pop('inv_t', 1)
    if inv_t != 1:
        warn_once(f'LightHamHead: ham_kwargs.inv_t={inv_t!r} has no effect, as in MMSegmentation')
    names = {'MD_S': 'num_groups', 'MD_R': 'num_bases'}
    return {names.get(key, key): value for key, value in settings.items()}

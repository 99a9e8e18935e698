"""Bases of the decode heads: choice of inputs, classification, losses."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import build_loss, build_pixel_sampler
from msseg.models.layers import Conv2d, Dropout2d, apply_init_cfg, resize
from msseg.models.layers.activation import RELU
from msseg.models.output_spec import ScoreKind, to_labels
from msseg.utils.arguments import Channels, Int32, Length, NonEmpty, Probability, Range, checked
from msseg.utils.errors import UserValueError
from msseg.utils.logging import warn_once

_ACCURACY = 'acc_seg'
Index = Annotated[int, Range(-255, 255)]
_LOSS = {'type': 'CrossEntropyLoss', 'use_sigmoid': False, 'loss_weight': 1.0}
_INIT = {'type': 'Normal', 'std': 0.01, 'override': {'name': 'conv_seg'}}
_ONE_CHANNEL = (
    'two classes by one channel are num_classes=2, out_channels=1, threshold=0.5 and '
    "dict(type='CrossEntropyLoss', use_sigmoid=True), FocalLoss or LovaszLoss with "
    "loss_type='binary'"
)


class BaseDecodeHead(nn.Cell):
    """Base of decode heads. A subclass writes `forward_features`, which `construct` classifies.

    One that gives more than the classification of its features, or another one, writes
    ``construct``. In training it may give a tuple, the logits first, for `losses` to read; losses
    that need the rest are named in ``train_only_losses``, and are 0 where `losses` gets logits
    alone. One whose scores are probabilities sets ``score_kind = 'probabilities'``, as do its
    losses.
    One whose graph depends on the size of its inputs sets ``fixed_size_reason``.
    One whose target is not the labels' classes, such as edges, sets ``has_own_target``.
    Heads of a cascade after the first derive from `BaseCascadeDecodeHead`.

    Args:
        in_channels: Channels of the chosen feature map, or of each when `input_transform` is
            given.
        channels: Channels before the classifying convolution ``conv_seg``.
        num_classes: Number of classes.
        out_channels: Channels of the logits: `num_classes` (default), or 1 for two classes by
            sigmoid.
        threshold: Probability from which a pixel is class 1, when `out_channels` is 1 (0.3).
        dropout_ratio: Share of channels dropped before ``conv_seg`` in training; 0 or less: none.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`; None for none.
        act_cfg: See `build_activation_layer`; None for none.
        in_index: Index of the feature map, or a list with `input_transform`.
        input_transform: ``'resize_concat'``: resize to the first one's size and concatenate;
            ``'multiple_select'``: a tuple of maps; None: one map.
        loss_decode: One loss or a list. Losses of the same ``loss_name`` are added.
        ignore_index: Label of pixels that do not count.
        sampler: A pixel sampler's config.
        align_corners: How logits and feature maps are resized.
        init_cfg: See `apply_init_cfg`; by default ``conv_seg`` is normal of deviation 0.01.
        conv_bias: Whether the head's own convolutions before a normalisation have a bias;
            ``'auto'``: they have none.

    Raises:
        ValueError: Arguments that contradict each other.
        TypeError: An argument of a wrong kind.

    Source: MMSegmentation 0.30 ``BaseDecodeHead``.
    """

    is_cascade = False
    has_own_target = False
    score_kind: ScoreKind = 'logits'
    train_only_losses: tuple[str, ...] = ()
    own_transform: str | None = None  # the only input_transform of a subclass

    @checked
    def __init__(
        self,
        in_channels: Channels | NonEmpty[Channels],
        channels: Channels,
        *,
        num_classes: Channels,
        out_channels: Channels | None = None,
        threshold: Probability | None = None,
        dropout_ratio: Annotated[float, Range(high=1, below=True)] = 0.1,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping | None = None,
        act_cfg: Mapping | None = RELU,
        in_index: Index | NonEmpty[Index] = -1,
        input_transform: Literal['resize_concat', 'multiple_select'] | None = None,
        loss_decode: Mapping | Annotated[Sequence[Mapping], Length()] | None = None,
        ignore_index: Int32 | None = 255,
        sampler: Mapping | None = None,
        align_corners: bool = False,
        init_cfg: Mapping | Sequence[Mapping] | None = _INIT,
        conv_bias: bool | Literal['auto'] = 'auto',
    ) -> None:
        super().__init__()
        self._set_inputs(in_channels, in_index, input_transform)
        self._set_outputs(num_classes, out_channels, threshold)
        self.channels = channels
        self.dropout_ratio = dropout_ratio
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.act_cfg = act_cfg.copy() if act_cfg is not None else None
        self.conv_bias = conv_bias
        if ignore_index is not None and 0 <= ignore_index < num_classes:
            raise ValueError(
                f'{type(self).__name__}: ignore_index is {ignore_index}, one of the {num_classes} '
                'classes, which would never be learnt; give another value, such as -1, to heads, '
                'data sets and seg_pad_val'
            )
        self.ignore_index = ignore_index
        self.align_corners = align_corners
        self._set_losses(_LOSS if loss_decode is None else loss_decode)
        self._set_sampler(sampler)
        for loss in self.loss_decode:
            check_loss_call(loss, type(self).__name__)
        self.conv_seg = Conv2d(channels, self.out_channels, 1)
        self.dropout = Dropout2d(dropout_ratio) if dropout_ratio > 0 else None
        self.init_cfg = init_cfg
        apply_init_cfg(self, _INIT)

    @property
    def conv_options(self) -> dict[str, Any]:
        """The layers of the head's own convolutions, as arguments of `ConvModule`."""
        names = ('conv_cfg', 'norm_cfg', 'act_cfg')
        return {'bias': self.conv_bias, **{name: getattr(self, name) for name in names}}

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ...]:
        """Give logits (n, out_channels, h, w) at the size of `forward_features`."""
        return self.cls_seg(self.forward_features(inputs))

    def forward_features(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        """Give features (n, channels, h, w), before the classification, of all feature maps."""
        raise NotImplementedError

    def cls_seg(self, features: ms.Tensor) -> ms.Tensor:
        """Classify each pixel of (n, channels, h, w)."""
        if self.dropout is not None:
            features = self.dropout(features)
        return self.conv_seg(features)

    def transform_inputs(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ...]:
        """Choose the backbone's feature maps; resize and concatenate them where asked."""
        if self.input_transform is None:
            return _in_float32(inputs[self.in_index])
        chosen = ()
        for i in self.in_index:
            chosen = chosen + (_in_float32(inputs[i]),)
        if self.input_transform == 'multiple_select':
            return chosen
        size = chosen[0].shape[2:]
        resized = (chosen[0],)
        for x in chosen[1:]:
            resized = resized + (resize(x, size, self.align_corners),)
        return ops.concat(resized, axis=1)

    _transform_inputs = transform_inputs  # its name in MMSegmentation

    def init_weights(self) -> None:
        """Called once when the head is built, after its init_cfg: override it to do more."""

    def losses(self, logits: ms.Tensor, labels: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Compute the head's losses and its accuracy.

        Args:
            logits: (n, out_channels, h', w'), resized here to the labels' size.
            labels: (n, h, w), int32.

        Returns:
            One number per name in `loss_names`.
        """
        logits = resize(logits.astype(ms.float32), labels.shape[1:], self.align_corners)
        return self.losses_of_pixels(logits, labels)

    def losses_of_pixels(self, logits: ms.Tensor, labels: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Compute what `losses` does from float32 logits of the labels' size."""
        weight = None
        if self.sampler is not None:
            weight = self._sample(logits, labels)
        values = ()
        for name in self.distinct_names:
            total = 0.0
            for i in range(len(self.loss_decode)):
                if self.names_of_losses[i] == name:
                    value = self.loss_decode[i](
                        logits, labels, weight=weight, ignore_index=self.ignore_index
                    )
                    if not isinstance(value, ms.Tensor):
                        raise TypeError(self.complaints_of_losses[i])
                    total = total + value.mean()
            values = values + (total,)
        return values + (self._accuracy(logits, labels),)

    def _sample(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        losses = ops.zeros(labels.shape, ms.float32)
        if self.sampler_needs_losses:
            for i in range(len(self.loss_decode)):
                losses = losses + self.loss_decode[i].pixel_losses(
                    logits, labels, self.ignore_index
                )
        return ops.stop_gradient(self.sampler(logits, labels, losses))

    def _accuracy(self, logits: ms.Tensor, labels: ms.Tensor) -> ms.Tensor:
        """Return the share of the valid pixels that are right, in per cent."""
        logits = ops.stop_gradient(logits)
        guess = to_labels(logits, self.out_channels, self.threshold, self.score_kind)
        right = ops.equal(guess, labels).astype(ms.float32)
        if self.ignore_index is None:
            return 100.0 * right.mean()
        valid = ops.not_equal(labels, self.ignore_index).astype(ms.float32)
        return 100.0 * (right * valid).sum() / ops.maximum(valid.sum(), 1.0)

    def _set_inputs(
        self,
        in_channels: int | Sequence[int],
        in_index: int | Sequence[int],
        input_transform: str | None,
    ) -> None:
        name, values = type(self).__name__, (in_channels, in_index)
        if self.own_transform is not None and input_transform is None:
            input_transform = self.own_transform
        if self.own_transform not in (None, input_transform):
            expected = f'{self.own_transform!r}, or None for the same'
            raise UserValueError(
                key='input_transform', got=input_transform, expected=expected, who=name
            )
        self.input_transform = input_transform
        self.input_channels = self.in_channels = in_channels
        self.in_index = in_index
        if input_transform is None:
            if not all(isinstance(value, int) for value in values):
                raise TypeError(
                    f'{name}: in_channels {in_channels!r} and in_index {in_index!r} must each be '
                    'one number when input_transform is None; for several feature maps give '
                    "'resize_concat' or 'multiple_select'"
                )
            return
        are_lists = all(isinstance(value, (list, tuple)) for value in values)
        if not are_lists or len(in_channels) != len(in_index):
            raise ValueError(
                f'{name}: with input_transform={input_transform!r}, in_channels {in_channels!r} '
                f'and in_index {in_index!r} must be lists of the same length'
            )
        self.in_index = tuple(in_index)
        is_concat = input_transform == 'resize_concat'
        self.in_channels = sum(in_channels) if is_concat else tuple(in_channels)

    def _set_outputs(
        self, num_classes: int, out_channels: int | None, threshold: float | None
    ) -> None:
        name = type(self).__name__
        if num_classes == 1:
            raise ValueError(
                f'{name}: num_classes is 1, which leaves nothing to tell apart: the rest is a '
                f'class, too; {_ONE_CHANNEL}; labels are 0 for the rest, 1 for the class'
            )
        if out_channels is None:
            out_channels = num_classes
        if out_channels != num_classes and not (out_channels == 1 and num_classes == 2):
            expected = f'num_classes ({num_classes!r}), or 1 when num_classes is 2'
            raise UserValueError(key='out_channels', got=out_channels, expected=expected, who=name)
        if out_channels == 1 and threshold is None:
            threshold = 0.3
            warn_once(f'{name}: threshold is not given for one channel, 0.3 is used')
        self.num_classes = num_classes
        self.out_channels = out_channels
        self.threshold = threshold

    def _set_sampler(self, sampler: Mapping | None) -> None:
        self.sampler = None
        if sampler is None:
            return
        self.sampler = build_pixel_sampler(sampler, ignore_index=self.ignore_index)
        self.sampler_needs_losses = getattr(self.sampler, 'needs_losses', False)
        for loss in self.loss_decode:
            if self.sampler_needs_losses and not hasattr(loss, 'pixel_losses'):
                raise ValueError(
                    f'{type(self).__name__}: {type(self.sampler).__name__} ranks pixels by their '
                    f'loss, but {type(loss).__name__} has no method pixel_losses; give the sampler '
                    'a thresh'
                )

    def _set_losses(self, loss_decode: Mapping | Sequence[Mapping]) -> None:
        configs = [loss_decode] if isinstance(loss_decode, Mapping) else loss_decode
        losses = [build_loss(config) for config in configs]
        for loss in losses:
            _check_loss(loss, type(self).__name__, self.out_channels)
        self.loss_decode = nn.CellList(losses)
        self.names_of_losses = [loss.loss_name for loss in losses]
        # made here: in a graph a message must be a constant
        self.complaints_of_losses = [
            f'{type(loss).__name__} does not return a tensor: a loss returns one number, or one '
            'for each pixel, as a tensor; no tuple, list, dict, None or number of Python'
            for loss in losses
        ]
        if len(set(self.names_of_losses)) < len(losses):
            warn_once(
                f'{type(self).__name__}: losses of one loss_name are logged as their sum: '
                f'{self.names_of_losses}; give each another loss_name to see them'
            )
        self.distinct_names = [*dict.fromkeys(self.names_of_losses)]
        self.loss_names = [*self.distinct_names, _ACCURACY]


class BaseCascadeDecodeHead(BaseDecodeHead):
    """Base of heads that take ``construct(inputs, prev_output)``, the head before's logits last.

    A head that needs them to have a number of channels sets ``prev_channels``; one that gives no
    map in training sets ``trains_on_points``, and is the last one.

    Source: MMSegmentation 0.30 ``BaseCascadeDecodeHead``.
    """

    is_cascade = True


def _in_float32(x: ms.Tensor | tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ...]:
    """Return a map in float32, whatever its last layer computes in; tuples as they are.

    Heads concatenate it with results of norms, which are float32.
    """
    if isinstance(x, tuple) or x.dtype == ms.float32:
        return x
    return x.astype(ms.float32)


def _check_loss(loss: nn.Cell, owner: str, count: int) -> None:
    """Raise for a loss without a name, or one that does not fit the number of channels."""
    name = type(loss).__name__
    if not isinstance(getattr(loss, 'loss_name', None), str):
        raise ValueError(
            f'{owner}: {name} has no loss_name, under which it is logged: set '
            "self.loss_name = 'loss_…' in its __init__ (only names with 'loss' are trained on)"
        )
    if loss.loss_name == _ACCURACY:
        raise ValueError(
            f'{owner}: loss_name is {_ACCURACY!r}, the name of the accuracy in the log; choose '
            "another, such as 'loss_ce'"
        )
    if not isinstance(loss, nn.Cell):
        raise TypeError(f'{owner}: {name} is no mindspore.nn.Cell: derive it')
    low, high = getattr(loss, 'min_channels', 1), getattr(loss, 'max_channels', None)
    if not low <= count <= (high or count):
        raise ValueError(
            f'{owner}: out_channels is {count}, but {name} as it is set needs '
            f'{f"at least {low}" if count < low else f"at most {high}"}; {_ONE_CHANNEL}'
        )
    for key in ('class_weight', 'alpha'):
        values = getattr(loss, key, None)
        if isinstance(values, (list, tuple)) and len(values) != count:
            expected = f'expected one for each of {count} classes'
            raise ValueError(f'{owner}: {key} has {len(values)} numbers, {expected}')


def check_loss_call(loss: nn.Cell, owner: str) -> None:
    """Raise TypeError for a loss that cannot be called as `BaseDecodeHead.losses` calls it."""
    name = f'{owner}: {type(loss).__name__}'
    if type(loss).construct is nn.Cell.construct:
        raise TypeError(f'{name} has no method construct, which is what MindSpore calls')
    try:
        inspect.signature(loss.construct).bind(0, 0, weight=None, ignore_index=None)
    except TypeError as error:
        raise TypeError(
            f'{name}.construct is called with (logits, labels, weight=…, ignore_index=…), '
            f'but it does not take them: {error}'
        ) from error

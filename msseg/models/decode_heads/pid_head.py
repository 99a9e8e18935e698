"""PIDNet's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.decode_heads.ddr_head import enlarge, loss_of, named_losses, refuse_sampler
from msseg.models.layers import (
    Conv2d,
    ConvModule,
    apply_init_cfg,
    build_activation_layer,
    build_norm_layer,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Range, checked

_NAMES = ('loss_sem_p', 'loss_sem_i', 'loss_bd', 'loss_sem_bd')
_LOSSES = (
    {'type': 'CrossEntropyLoss', 'loss_weight': 0.4},
    {'type': 'OhemCrossEntropy', 'thres': 0.9, 'min_kept': 131072},
    {'type': 'BoundaryLoss', 'loss_weight': 20.0},
    {'type': 'OhemCrossEntropy', 'thres': 0.9, 'min_kept': 131072},
)
_SURE = 0.8


@HEADS.register_module()
class PIDHead(BaseDecodeHead):
    """Classifies PIDNet's last map; in training also details, boundaries, and pixels at these.

    Args:
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
        loss_decode: Four losses: of the map of details, of the last map, of the boundaries, and of
            the last map where a boundary is found. Without a ``loss_name`` they are logged as
            ``loss_sem_p``, ``loss_sem_i``, ``loss_bd`` and ``loss_sem_bd``.
        edge_width: Width of the boundaries in pixels, which are drawn here from the labels.
        **kwargs: See `BaseDecodeHead`. ``in_channels`` are those of the last map; the others have
            half as many.

    Source: Xu et al., PIDNet (2022); MMSegmentation 1.2 ``PIDHead``, whose parameter names it
    keeps. Upstream draws the boundaries in the data pipeline, by ``GenerateEdge``, and does not
    count padded pixels, which here are pixels without a boundary.
    """

    @checked
    def __init__(
        self,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        loss_decode: Sequence[Mapping] = _LOSSES,
        edge_width: Annotated[int, Range(1, 255)] = 4,
        **kwargs: Any,
    ) -> None:
        losses = named_losses(loss_decode, _NAMES, type(self).__name__)
        super().__init__(norm_cfg=norm_cfg, act_cfg=act_cfg, loss_decode=losses, **kwargs)
        refuse_sampler(self)
        self.edge_width = edge_width
        # for a head without ignore_index a label that no class has
        self.ignored_label = -1 if self.ignore_index is None else self.ignore_index
        self.details_channels = self.boundary_channels = self.in_channels // 2
        self.further_inputs = {'details_channels': 0, 'boundary_channels': 1}
        inside = self.in_channels // 4
        self.i_head = PlainHead(self.in_channels, self.channels, norm_cfg, act_cfg)
        self.p_head = PlainHead(self.details_channels, self.channels, norm_cfg, act_cfg)
        self.d_head = PlainHead(self.boundary_channels, inside, norm_cfg, act_cfg)
        self.p_cls_seg = Conv2d(self.channels, self.out_channels, 1)
        self.d_cls_seg = Conv2d(inside, 1, 1)
        self.train_only_losses = tuple(
            name for name in self.loss_names[:-1] if name != self.names_of_losses[1]
        )
        apply_init_cfg(self, dict(type='Kaiming', layer='Conv2d'))

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ...]:
        """Give the logits of the last map; in training also those of details and boundaries."""
        logits = self.cls_seg(self.i_head(self.transform_inputs(inputs)))
        if not self.training:
            return logits
        details = self.p_cls_seg(self.p_head(inputs[0]))
        return logits, details, self.d_cls_seg(self.d_head(inputs[1]))

    def losses(
        self, logits: ms.Tensor | tuple[ms.Tensor, ...], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        """Compute the four losses and the accuracy; see `BaseDecodeHead.losses`.

        Args:
            logits: The result of `construct`; losses of what is missing are 0.
            labels: (n, h, w), int32.
        """
        zero = ops.zeros((), ms.float32)
        if not isinstance(logits, tuple):
            logits = enlarge(self, logits, labels)
            values = (zero, loss_of(self, 1, logits, labels), zero, zero)
            return values + (self._accuracy(logits, labels),)
        result, details, boundary = logits
        result, details = enlarge(self, result, labels), enlarge(self, details, labels)
        boundary = enlarge(self, boundary, labels)
        edges = edge_map(labels, self.ignore_index, self.edge_width)
        is_sure = ops.greater(ops.sigmoid(ops.stop_gradient(boundary[:, 0])), _SURE)
        ignored = ops.full_like(labels, self.ignored_label)
        return (
            loss_of(self, 0, details, labels),
            loss_of(self, 1, result, labels),
            loss_of(self, 2, boundary, edges),
            loss_of(self, 3, result, ops.select(is_sure, labels, ignored), self.ignored_label),
            self._accuracy(result, labels),
        )


class PlainHead(nn.Cell):
    """A 3x3 convolution after norm and activation, and another norm and activation.

    Args:
        in_channels: Channels of the input.
        channels: Channels of the result.
        norm_cfg: See `build_norm_layer`.
        act_cfg: See `build_activation_layer`.
    """

    def __init__(
        self, in_channels: int, channels: int, norm_cfg: Mapping = BN, act_cfg: Mapping = RELU
    ) -> None:
        super().__init__()
        layers = {'norm_cfg': norm_cfg, 'act_cfg': act_cfg, 'order': ('norm', 'act', 'conv')}
        self.conv = ConvModule(in_channels, channels, 3, padding=1, **layers)
        self.norm = build_norm_layer(norm_cfg, channels)[1]
        self.act = build_activation_layer(act_cfg)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, in_channels, h, w)."""
        return self.act(self.norm(self.conv(x)))


def edge_map(labels: ms.Tensor, ignore_index: int | None, width: int) -> ms.Tensor:
    """Draw the boundaries between labels: int32 (n, h, w), 1 on a boundary, else 0.

    Args:
        labels: (n, h, w), int32. Pixels of `ignore_index` have no boundary.
        ignore_index: None: all count.
        width: Height and width of the square with which each boundary pixel is widened.

    Source: MMSegmentation 1.2 ``GenerateEdge``.

    Examples:
        >>> edge_map(ms.Tensor([[[0, 0, 0, 1, 1]]], ms.int32), 255, 3).asnumpy()
        array([[[0, 1, 1, 1, 0]]], dtype=int32)
    """
    n, h, w = labels.shape
    edges = ops.zeros((n, 1, h, w), ms.float32)
    # The pixel of a pair that is marked, the other one, and where the marked one lies.
    pairs = ()
    if h > 1:
        top, bottom = _parts(labels, 1)
        pairs = pairs + ((bottom, top, ((1, 0), (0, 0))),)
    if w > 1:
        left, right = _parts(labels, 2)
        pairs = pairs + ((left, right, ((0, 0), (0, 1))),)
    if h > 1 and w > 1:
        top, bottom = _parts(labels, 1)
        top_left, top_right = _parts(top, 2)
        bottom_left, bottom_right = _parts(bottom, 2)
        pairs = pairs + ((top_left, bottom_right, ((0, 1), (0, 1))),)
        pairs = pairs + ((top_right, bottom_left, ((0, 1), (1, 0))),)
    for marked, other, place in pairs:
        differs = ops.not_equal(marked, other)
        if ignore_index is not None:
            differs = ops.logical_and(differs, ops.not_equal(marked, ignore_index))
            differs = ops.logical_and(differs, ops.not_equal(other, ignore_index))
        edges = ops.maximum(edges, _zeros_around(differs.astype(ms.float32).expand_dims(1), *place))
    around = (width // 2, width - 1 - width // 2)
    edges = ops.MaxPool(width, 1, 'valid')(_zeros_around(edges, around, around))
    return edges[:, 0].astype(ms.int32)


# Splits and concatenations here: with StridedSlice and Pad, drawing the boundaries of two images of
# 256x512 took five times as long on the CPU (MindSpore 2.8).
def _parts(x: ms.Tensor, axis: int) -> tuple[ms.Tensor, ms.Tensor]:
    """Return all but the last along an axis, and all but the first."""
    length = x.shape[axis]
    return ops.split(x, [length - 1, 1], axis)[0], ops.split(x, [1, length - 1], axis)[1]


def _zeros_around(x: ms.Tensor, rows: tuple[int, int], columns: tuple[int, int]) -> ms.Tensor:
    """Add zeros before and after the rows and columns of (n, c, h, w)."""
    n, c, h, w = x.shape
    for before, after, axis in ((*rows, 2), (*columns, 3)):
        shape = (n, c, 1, w) if axis == 2 else (n, c, h + rows[0] + rows[1], 1)
        line = (ops.zeros(shape, x.dtype),)
        if before + after > 0:
            x = ops.concat(line * before + (x,) + line * after, axis)
    return x

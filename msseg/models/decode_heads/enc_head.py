"""EncNet's head: what is in the image decides which channels count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mindspore as ms
from mindspore import Parameter, nn, ops
from mindspore.common.initializer import Uniform, initializer

from msseg.models.builder import HEADS, build_loss
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead, check_loss_call
from msseg.models.layers import ConvModule, build_norm_layer, resize
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, checked
from msseg.utils.layer_traits import register_traits

_SE_LOSS = {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'loss_weight': 0.2}
_SE_NAME = 'loss_se'


@HEADS.register_module()
class EncHead(BaseDecodeHead):
    """Weighs channels by an encoding of the whole map, which also learns what is in the image.

    Args:
        num_codes: Number of code words.
        use_se_loss: Whether the head learns which classes are in the image (``loss_se``), from the
            encoding alone. Only training computes this loss.
        add_lateral: Whether the other chosen feature maps are added to the last one.
        loss_se_decode: The loss of the classes in the image: one that takes a single channel, such
            as `CrossEntropyLoss` with ``use_sigmoid``, which is the default, with a weight of 0.2.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists.
            ``input_transform`` is ``'multiple_select'``.

    Raises:
        ValueError: A `loss_se_decode` that does not take a single channel.

    Source: Zhang et al., Context Encoding for Semantic Segmentation (2018); MMSegmentation 0.30
    ``EncHead``, whose parameter names it keeps.
    """

    own_transform = 'multiple_select'

    @checked
    def __init__(
        self,
        num_codes: Channels = 32,
        use_se_loss: bool = True,
        add_lateral: bool = False,
        loss_se_decode: Mapping | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.use_se_loss, self.add_lateral, self.num_codes = use_se_loss, add_lateral, num_codes
        width, options = self.channels, self.conv_options
        *lower, last = self.in_channels
        self.bottleneck = ConvModule(last, width, 3, padding=1, **options)
        if add_lateral:
            self.lateral_convs = nn.CellList([ConvModule(c, width, 1, **options) for c in lower])
            total = len(self.in_channels) * width
            self.fusion = ConvModule(total, width, 3, padding=1, **options)
        self.enc_module = EncModule(width, num_codes, **options)
        if use_se_loss:
            self.loss_se_decode = build_loss(_SE_LOSS if loss_se_decode is None else loss_se_decode)
            self._check_se_loss()
            self.se_layer = nn.Dense(width, self.num_classes)
            self.loss_names = [*self.loss_names, _SE_NAME]
            self.train_only_losses = (_SE_NAME,)

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ms.Tensor]:
        """Give logits (n, out_channels, h, w) at the last chosen feature map's size.

        In training with `use_se_loss`, give the logits and for each class the logit of its being in
        the image, (n, num_classes).
        """
        maps = self.transform_inputs(inputs)
        x = self.bottleneck(maps[-1])
        if self.add_lateral:
            fused = (x,)
            for i in range(len(maps) - 1):
                lateral = self.lateral_convs[i](maps[i])
                fused = fused + (resize(lateral, x.shape[2:], self.align_corners),)
            x = self.fusion(ops.concat(fused, axis=1))
        encoding, x = self.enc_module(x)
        logits = self.cls_seg(x)
        if self.training and self.use_se_loss:
            return logits, self.se_layer(encoding)
        return logits

    def losses(
        self, logits: ms.Tensor | tuple[ms.Tensor, ms.Tensor], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        """Compute the losses; see `BaseDecodeHead.losses`.

        Args:
            logits: The result of `construct`; without the logits of the classes in the image,
                ``loss_se`` is 0.
            labels: (n, h, w), int32.
        """
        if not isinstance(logits, tuple):
            values = super().losses(logits, labels)
            return values + (ops.zeros((), ms.float32),) if self.use_se_loss else values
        shape = (labels.shape[0], 1, self.num_classes, 1)
        present = classes_in_image(labels, self.num_classes)
        se_loss = self.loss_se_decode(
            logits[1].reshape(shape), present.expand_dims(2), weight=None, ignore_index=None
        )
        return super().losses(logits[0], labels) + (se_loss.mean(),)

    def _check_se_loss(self) -> None:
        name, loss = type(self).__name__, self.loss_se_decode
        kind = type(loss).__name__
        check_loss_call(loss, f'{name}: loss_se_decode')
        if getattr(loss, 'min_channels', 1) > 1:
            raise ValueError(
                f'{name}: loss_se_decode: {kind} as it is set needs at least {loss.min_channels} '
                'channels, but whether a class is in the image is a decision of its own: give a '
                "loss of one channel, such as dict(type='CrossEntropyLoss', use_sigmoid=True)"
            )
        if getattr(loss, 'class_weight', None) is not None:
            raise ValueError(
                f'{name}: loss_se_decode: class_weight is {loss.class_weight}, expected None: each '
                'class in the image counts the same; give class_weight in loss_decode'
            )
        if _SE_NAME in self.loss_names:
            raise ValueError(
                f'{name}: loss_name is {_SE_NAME!r}, the name of the loss of the classes in the '
                "image: choose another in loss_decode, such as 'loss_ce'"
            )


class EncModule(nn.Cell):
    """Encodes the map, and weighs each channel by the encoding.

    Args:
        channels: Channels of input and output.
        num_codes: Number of code words.
        **options: Layers of `ConvModule`. Where its norm is None, the encoding has a batch norm.
    """

    def __init__(self, channels: int, num_codes: int, **options: Any) -> None:
        super().__init__()
        norm_cfg = options['norm_cfg']
        self.encoding_project = ConvModule(channels, channels, 1, **options)
        self.encoding = nn.SequentialCell(
            Encoding(channels, num_codes),
            build_norm_layer(BN if norm_cfg is None else norm_cfg, num_codes)[1],
            nn.ReLU(),
        )
        self.fc = nn.SequentialCell(nn.Dense(channels, channels), nn.Sigmoid())
        self.relu = nn.ReLU()

    def construct(self, x: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor]:
        """Give the encoding (n, channels), and the weighed (n, channels, h, w)."""
        n, c = x.shape[:2]
        encoding = self.encoding(self.encoding_project(x)).mean(1).reshape(n, c)
        weights = self.fc(encoding).reshape(n, c, 1, 1)
        return encoding, self.relu(x + x * weights)


class Encoding(nn.Cell):
    """Sums the distances of all pixels to each code word, weighted by how near it is to them.

    Args:
        channels: Channels of the input.
        num_codes: Number of code words.

    Source: as `EncHead`, section 3.1. The distances are not made one by one, which would take
    memory for `num_codes` times the input.
    """

    def __init__(self, channels: int, num_codes: int) -> None:
        super().__init__()
        self.shape = (1, num_codes, 1)
        bound = (num_codes * channels) ** -0.5
        codewords = initializer(Uniform(bound), (num_codes, channels), ms.float32)
        self.codewords = Parameter(codewords, 'codewords')
        scale = initializer(Uniform(0.5), (num_codes,), ms.float32).init_data() - 0.5
        self.scale = Parameter(scale, 'scale')

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, num_codes, channels, 1) for (n, channels, h, w)."""
        n, c, h, w = x.shape
        x = x.reshape(n, c, h * w)
        squares = (x * x).sum(1, keepdims=True)
        lengths = (self.codewords * self.codewords).sum(1).reshape(self.shape)
        distances = squares + lengths - 2.0 * ops.matmul(self.codewords, x)
        weights = ops.softmax(self.scale.reshape(self.shape) * distances, axis=1)
        sums = ops.matmul(weights, x.transpose(0, 2, 1))
        encoding = sums - weights.sum(2, keepdims=True) * self.codewords
        return encoding.expand_dims(3)


# sums over all pixels leave the range of float16
register_traits(Encoding, precision='full')


def classes_in_image(labels: ms.Tensor, num_classes: int) -> ms.Tensor:
    """Return which classes occur in each image: int32 (n, num_classes) of 0 and 1.

    Args:
        labels: (n, h, w), int32; labels outside of [0, num_classes) count for no class.
        num_classes: Number of classes.

    Examples:
        >>> classes_in_image(ms.Tensor([[[0, 2, 255]], [[1, 1, -1]]], ms.int32), 3).asnumpy()
        array([[1, 0, 1],
               [0, 1, 0]], dtype=int32)
    """
    n = labels.shape[0]
    is_class = ops.logical_and(ops.greater_equal(labels, 0), ops.less(labels, num_classes))
    places = ops.select(is_class, labels, ops.full_like(labels, num_classes))
    first = ops.arange(n).astype(ms.int32).reshape(n, 1, 1) * (num_classes + 1)
    ones = ops.ones(labels.size, ms.float32)
    count = ops.unsorted_segment_sum(ones, (places + first).reshape(-1), n * (num_classes + 1))
    return ops.greater(count.reshape(n, num_classes + 1)[:, :num_classes], 0.5).astype(ms.int32)

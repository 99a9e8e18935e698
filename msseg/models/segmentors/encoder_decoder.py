"""Backbone, neck, one decode head, auxiliary heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import nn

from msseg.models.builder import SEGMENTORS, build_backbone, build_head, build_neck
from msseg.models.contract import (
    OF_OUTPUT,
    check_class_tokens,
    check_gives_maps,
    check_head_inputs,
    check_image_size,
    check_members,
    check_neck_inputs,
    check_own_size,
    check_smallest_image,
    configure_heads,
    image_channels,
    named_by,
    smallest_image,
)
from msseg.models.output_spec import OutputSpec
from msseg.models.segmentors import inference_options as options
from msseg.registry import call_with_cfg
from msseg.utils.arguments import File, checked


@SEGMENTORS.register_module()
class EncoderDecoder(nn.Cell):
    """A backbone, a neck if any, a decode head, and auxiliary heads that only train.

    Args:
        backbone: The backbone's config.
        decode_head: The decode head's config.
        neck: The neck's config, or None.
        auxiliary_head: One head's config, a list of them, or None.
        train_cfg: Settings of heads, such as `PointHead`'s; kept as ``train_cfg``.
        test_cfg: See `Inferencer`; and settings of heads. Kept as ``test_cfg``.
        pretrained: Weights of the backbone that training loads first; kept as ``pretrained``,
            never loaded here.
        init_cfg: See `apply_init_cfg`.

    Raises:
        TypeError: A head that lacks what segmentors read.
        ValueError: Parts that do not fit each other.

    Source: MMSegmentation 0.30 ``EncoderDecoder``.
    """

    @checked
    def __init__(
        self,
        backbone: Mapping,
        decode_head: Mapping | Sequence[Mapping],
        neck: Mapping | None = None,
        auxiliary_head: Mapping | Sequence[Mapping] | None = None,
        train_cfg: Mapping | None = None,
        test_cfg: Mapping | None = None,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        if pretrained is not None and backbone.get('pretrained') is not None:
            raise ValueError(
                f'{type(self).__name__}: pretrained is given for the model ({pretrained!r}) and '
                f'for the backbone ({backbone["pretrained"]!r}); keep one'
            )
        self.backbone = build_backbone(backbone)
        with named_by(backbone, 'backbone'):
            image_channels(self.backbone)
            check_gives_maps(self.backbone)
        if pretrained is not None:
            self.backbone.pretrained = pretrained
        self.pretrained = getattr(self.backbone, 'pretrained', None)
        self.neck = build_neck(neck) if neck is not None else None
        with named_by(neck or {}, 'neck'):
            check_neck_inputs(self.neck, getattr(self.backbone, 'out_channels', None))
        self._make_decode_head(decode_head)
        self._make_auxiliary_head(auxiliary_head)
        self._check_heads('decode_head', decode_head)
        self._check_heads('auxiliary_head', auxiliary_head)
        self._check_class_tokens(backbone, neck)
        self._check_losses()
        self.train_cfg = train_cfg
        self.test_cfg = test_cfg
        self.init_cfg = init_cfg
        configure_heads([head for _, head in self.heads], train_cfg, test_cfg)
        # wrong ones are refused now, not when they are first needed
        call_with_cfg(options.test_cfg, test_cfg or {}, num_channels=self.out_channels)

    @property
    def heads(self) -> list[tuple[str, nn.Cell]]:
        """Every head with its prefix in the log: ``decode``, ``aux`` or ``aux_0`` and so on."""
        return [('decode', self.decode_head), *self._auxiliary_heads()]

    @property
    def output_spec(self) -> OutputSpec:
        """The network's input, and the meaning of the scores of `predict`."""
        names = ('in_channels', *OF_OUTPUT)
        return OutputSpec(**{name: getattr(self, name) for name in names}, kind=self.score_kind)

    @property
    def in_channels(self) -> int:
        """Channels of the images: the backbone's ``in_channels``, else its first convolution's."""
        return image_channels(self.backbone)

    @property
    def size_divisor(self) -> int:
        """What heights and widths of images must be multiples of; 1 for any size."""
        return getattr(self.backbone, 'size_divisor', 1)

    @property
    def smallest_image(self) -> int:
        """The smallest height and width of images that the backbone and all heads take."""
        own = getattr(self.backbone, 'smallest_image', 1)
        return max(own, *(smallest_image(head, self._out_strides) for _, head in self.heads))

    @property
    def _out_strides(self) -> Sequence[int] | None:
        """The strides of the maps that heads read, if known."""
        return getattr(self.backbone, 'out_strides', None) if self.neck is None else None

    @property
    def loss_names(self) -> list[str]:
        """Names of the values that `losses` gives."""
        return [f'{prefix}.{name}' for prefix, head in self.heads for name in head.loss_names]

    @property
    def eval_loss_names(self) -> list[str]:
        """Those of `loss_names` whose values `losses` computes from logits alone."""
        train_only = {
            f'{prefix}.{name}'
            for prefix, head in self.heads
            for name in getattr(head, 'train_only_losses', ())
        }
        return [name for name in self.loss_names if name not in train_only]

    def check_image_size(self, size: Sequence[int]) -> None:
        """Raise ValueError when the backbone or a head does not take images of a size (h, w)."""
        check_own_size(self.backbone, size)
        check_image_size(self.size_divisor, size, type(self.backbone).__name__)
        own = getattr(self.backbone, 'smallest_image', 1)
        check_smallest_image(own, size, type(self.backbone).__name__)
        for _, head in self.heads:
            smallest = smallest_image(head, self._out_strides)
            check_smallest_image(smallest, size, type(head).__name__)

    def init_weights(self) -> None:
        """Called once when the model is built, after its parts' own: override it to do more."""

    def construct(self, img: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give every head's logits, each at its own size, for an (n, c, h, w) image.

        In training, what a head gives may be a tuple, the logits first.
        """
        features = self.extract_feat(img)
        return self._run_decode_heads(features) + self._run_auxiliary_heads(features)

    def predict(self, img: ms.Tensor) -> ms.Tensor:
        """Give the last decode head's scores, at its own size; auxiliary heads do not run."""
        return self._run_decode_heads(self.extract_feat(img))[-1]

    def extract_feat(self, img: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the feature maps that the heads read."""
        features = self.backbone(img)
        if self.neck is not None:
            features = self.neck(features)
        return features

    def losses(self, logits: tuple[ms.Tensor, ...], labels: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Compute every head's losses: one number per name in `loss_names`.

        Args:
            logits: The result of `construct`.
            labels: (n, h, w), int32.
        """
        values = self.decode_head.losses(logits[0], labels)
        return values + self._auxiliary_losses(logits[1:], labels)

    def _run_decode_heads(self, features: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        return (self.decode_head(features),)

    def _run_auxiliary_heads(self, features: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        if self.auxiliary_head is None:
            return ()
        if not self.has_many_auxiliary_heads:
            return (self.auxiliary_head(features),)
        outputs = ()
        for head in self.auxiliary_head:
            outputs = outputs + (head(features),)
        return outputs

    def _auxiliary_losses(
        self, logits: tuple[ms.Tensor, ...], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        if self.auxiliary_head is None:
            return ()
        if not self.has_many_auxiliary_heads:
            return self.auxiliary_head.losses(logits[0], labels)
        values = ()
        for i in range(len(self.auxiliary_head)):
            values = values + self.auxiliary_head[i].losses(logits[i], labels)
        return values

    def _make_decode_head(self, config: Mapping | Sequence[Mapping]) -> None:
        if not isinstance(config, Mapping):
            raise TypeError(
                f'{type(self).__name__}: decode_head must be one dict, got a '
                f'{type(config).__name__}; for a list of heads use CascadeEncoderDecoder'
            )
        self.decode_head = build_head(config)
        with named_by(config, 'decode_head'):
            if getattr(self.decode_head, 'is_cascade', False):
                raise ValueError(
                    f'{type(self.decode_head).__name__} needs the logits of a head before it; use '
                    'CascadeEncoderDecoder with a list of heads'
                )
            self._adopt(self.decode_head)

    def _adopt(self, head: nn.Cell) -> None:
        """Take over the last decode head's description of its output."""
        check_members(head, is_last=True)
        for name in OF_OUTPUT:
            setattr(self, name, getattr(head, name))
        self.score_kind = getattr(head, 'score_kind', 'logits')

    def _make_auxiliary_head(self, config: Mapping | Sequence[Mapping] | None) -> None:
        self.has_many_auxiliary_heads = isinstance(config, (list, tuple))
        if config is None:
            self.auxiliary_head = None
        elif self.has_many_auxiliary_heads:
            self.auxiliary_head = nn.CellList([build_head(each) for each in config])
        else:
            self.auxiliary_head = build_head(config)

    def _auxiliary_heads(self) -> list[tuple[str, nn.Cell]]:
        if self.auxiliary_head is None:
            return []
        if not self.has_many_auxiliary_heads:
            return [('aux', self.auxiliary_head)]
        return [(f'aux_{i}', head) for i, head in enumerate(self.auxiliary_head)]

    def _check_heads(self, key: str, config: Mapping | Sequence[Mapping] | None) -> None:
        source = self.backbone if self.neck is None else self.neck
        heads = getattr(self, key)
        if isinstance(config, (list, tuple)):
            pairs = [(f'{key}[{i}]', config[i], head) for i, head in enumerate(heads)]
        else:
            pairs = [(key, config, heads)] if config is not None else []
        for name, node, head in pairs:
            with named_by(node, name):
                check_members(head, is_last=False)
                check_head_inputs(head, getattr(source, 'out_channels', None))

    def _check_class_tokens(self, backbone: Mapping, neck: Mapping | None) -> None:
        heads = [head for _, head in self.heads]
        with named_by(backbone, 'backbone'):
            for reader in heads if neck is None else [self.neck]:
                check_class_tokens(reader, self.backbone)
        with named_by(neck or {}, 'neck'):
            for head in heads if neck is not None else ():
                check_class_tokens(head, self.neck)

    def _check_losses(self) -> None:
        if not any('loss' in name for name in self.loss_names):
            raise ValueError(
                f'{type(self).__name__}: no loss is trained on: the loss_name of each is without '
                f"'loss': {self.loss_names}; expected a name such as 'loss_ce'"
            )

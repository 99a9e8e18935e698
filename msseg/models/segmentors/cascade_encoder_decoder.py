"""Backbone, neck and a cascade of decode heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import mindspore as ms
from mindspore import nn

from msseg.models.builder import SEGMENTORS, build_head
from msseg.models.contract import named_by
from msseg.models.segmentors.encoder_decoder import EncoderDecoder
from msseg.utils.arguments import NonEmpty, PositiveInt


@SEGMENTORS.register_module()
class CascadeEncoderDecoder(EncoderDecoder):
    """Decode heads in a row; each after the first also reads the logits of the one before.

    Every head runs once per step. (MMSegmentation 0.30 runs the first ones twice in training.)

    Args:
        num_stages: Number of decode heads.
        decode_head: Their configs.
        **kwargs: See `EncoderDecoder`.

    Raises:
        ValueError: `num_stages` differs from the number of heads, or a head of the wrong kind.

    Source: MMSegmentation 0.30 ``CascadeEncoderDecoder``.
    """

    def __init__(
        self, num_stages: PositiveInt, decode_head: NonEmpty[Mapping], **kwargs: Any
    ) -> None:
        self._num_stages = num_stages
        super().__init__(decode_head=decode_head, **kwargs)

    @property
    def heads(self) -> list[tuple[str, nn.Cell]]:
        """Every head with its prefix in the log: ``decode_0``, ``decode_1``, ``aux`` and so on."""
        decode = [(f'decode_{i}', head) for i, head in enumerate(self.decode_head)]
        return [*decode, *self._auxiliary_heads()]

    def losses(self, logits: tuple[ms.Tensor, ...], labels: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Compute every head's losses; see `EncoderDecoder.losses`."""
        values = ()
        for i in range(len(self.decode_head)):
            values = values + self.decode_head[i].losses(logits[i], labels)
        return values + self._auxiliary_losses(logits[len(self.decode_head) :], labels)

    def _run_decode_heads(self, features: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        outputs = (self.decode_head[0](features),)
        for i in range(1, len(self.decode_head)):
            before = outputs[i - 1]
            if isinstance(before, tuple):  # in training, the logits first
                before = before[0]
            outputs = outputs + (self.decode_head[i](features, before),)
        return outputs

    def _make_decode_head(self, config: Sequence[Mapping]) -> None:
        if not isinstance(config, (list, tuple)):
            raise TypeError(f'decode_head must be a list of dicts, got {config!r}')
        if len(config) != self._num_stages or not config:
            raise ValueError(
                f'{type(self).__name__}: num_stages is {self._num_stages!r}, but decode_head has '
                f'{len(config)} heads'
            )
        self.decode_head = nn.CellList([build_head(each) for each in config])
        for i, head in enumerate(self.decode_head):
            with named_by(config[i], f'decode_head[{i}]'):
                self._check_place(head, i > 0, i == len(config) - 1)
                if i > 0:
                    _check_channels(head, self.decode_head[i - 1])
        with named_by(config[-1], f'decode_head[{len(config) - 1}]'):
            self._adopt(self.decode_head[-1])

    def _check_place(self, head: nn.Cell, is_later: bool, is_last: bool) -> None:
        name = type(head).__name__
        if getattr(head, 'trains_on_points', False) and not is_last:
            raise ValueError(f'{name} trains on points, not on a map, and must be the last head')
        if is_later and not getattr(head, 'is_cascade', False):
            raise ValueError(
                f'{name} must derive from BaseCascadeDecodeHead, to take the logits before it'
            )
        if not is_later and getattr(head, 'is_cascade', False):
            raise ValueError(f'{name} needs the logits of a head before it and cannot be the first')


def _check_channels(head: nn.Cell, before: nn.Cell) -> None:
    """Raise ValueError when a head expects other channels of logits than those before it have."""
    wanted, given = getattr(head, 'prev_channels', None), getattr(before, 'out_channels', None)
    if wanted is not None and given is not None and wanted != given:
        raise ValueError(
            f'{type(head).__name__}: num_classes is {wanted}, but the head before it, '
            f'{type(before).__name__}, gives {given} channels; give both the same num_classes'
        )

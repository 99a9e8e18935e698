"""K-Net's head: kernels and masks of the classes, refined in stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS, build_head
from msseg.models.contract import named_by
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.decode_heads.kernel_update_head import KernelUpdateHead
from msseg.utils.arguments import NonEmpty, PositiveInt, checked
from msseg.utils.errors import UserTypeError, UserValueError
from msseg.utils.logging import warn_once

_SAME = ('num_classes', 'out_channels', 'threshold', 'align_corners', 'ignore_index', 'in_index',
         'in_channels', 'input_channels', 'input_transform', 'channels')  # fmt: skip


@HEADS.register_module()
class IterativeDecodeHead(nn.Cell):
    """Refines the kernels of another head, the weights of its ``conv_seg``, for each image.

    Each stage has losses of its own in training, numbered in their names: ``loss_ce.s0`` is that of
    the other head.

    Args:
        num_stages: Number of stages.
        kernel_generate_head: The other head's config: one whose logits are the classification of
            its `forward_features`, such as `FCNHead`, `PSPHead`, `ASPPHead` and `UPerHead`.
        kernel_update_head: The stages' configs, such as `KernelUpdateHead`.
        init_cfg: See `apply_init_cfg`.

    Raises:
        TypeError: Heads of the wrong kind.
        ValueError: Arguments that contradict each other.

    Source: Zhang et al., K-Net: Towards Unified Image Segmentation (2021); MMSegmentation 0.30
    ``IterativeDecodeHead``, whose parameter names it keeps.
    """

    is_cascade = False
    score_kind = 'logits'

    @checked
    def __init__(
        self,
        num_stages: PositiveInt,
        kernel_generate_head: Mapping,
        kernel_update_head: NonEmpty[Mapping],
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        if num_stages != len(kernel_update_head):
            expected = f'{len(kernel_update_head)}, the number of heads in kernel_update_head'
            raise UserValueError(key='num_stages', got=num_stages, expected=expected, who=_WHO)
        self.num_stages = num_stages
        self.init_cfg = init_cfg
        first = build_head(kernel_generate_head)
        with named_by(kernel_generate_head, 'kernel_generate_head'):
            _check_generating_head(first)
        self.kernel_generate_head = first
        self.kernel_update_head = nn.CellList([build_head(each) for each in kernel_update_head])
        length = first.channels
        for head, cfg in zip(self.kernel_update_head, kernel_update_head, strict=True):
            with named_by(cfg, 'kernel_update_head'):
                length = _check_stage(head, first, length)
        self.keeps_size = all(head.keeps_size for head in self.kernel_update_head)
        for name in (*_SAME, *getattr(first, 'further_inputs', ())):
            setattr(self, name, getattr(first, name))
        self.further_inputs = getattr(first, 'further_inputs', {})
        self.min_map_sizes = self._smallest_maps()
        names = [[f'{name}.s{i}' for name in first.loss_names] for i in range(num_stages + 1)]
        self.loss_names = [name for stage in names for name in stage]
        self.train_only_losses = tuple(name for stage in names[:-1] for name in stage)

    @property
    def loss_decode(self) -> nn.CellList:
        """The losses of every stage."""
        return self.kernel_generate_head.loss_decode

    @property
    def sampler(self) -> nn.Cell | None:
        """The pixel sampler of every stage."""
        return self.kernel_generate_head.sampler

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> ms.Tensor | tuple[ms.Tensor, ...]:
        """Give the last stage's logits (n, num_classes, h, w).

        In training, give them, then those of the other head and of the stages before the last.
        """
        x = self.kernel_generate_head.forward_features(inputs)
        masks = self.kernel_generate_head.cls_seg(x)
        weight = self.kernel_generate_head.conv_seg.weight
        kernels = weight.reshape(1, weight.shape[0], weight.shape[1])
        before = ()
        for head in self.kernel_update_head:
            before = before + (masks,)
            masks, kernels = head(x, kernels, masks, self.keeps_size)
        return (masks,) + before if self.training else masks

    def losses(
        self, logits: ms.Tensor | tuple[ms.Tensor, ...], labels: ms.Tensor
    ) -> tuple[ms.Tensor, ...]:
        """Compute the losses and the accuracy of each stage; see `BaseDecodeHead.losses`.

        Args:
            logits: The result of `construct`; what belongs to logits that are missing is 0.
            labels: (n, h, w), int32.
        """
        if not isinstance(logits, tuple):
            missing = (ops.zeros((), ms.float32),) * len(self.train_only_losses)
            return missing + self.kernel_generate_head.losses(logits, labels)
        values = ()
        for each in logits[1:] + logits[:1]:
            values = values + self.kernel_generate_head.losses(each, labels)
        return values

    def _smallest_maps(self) -> dict[int, int]:
        sizes = dict(getattr(self.kernel_generate_head, 'min_map_sizes', {}))
        index = self.in_index if isinstance(self.in_index, int) else self.in_index[0]
        own = max(head.smallest_map for head in self.kernel_update_head)
        sizes[index] = max(own, sizes.get(index, 1))
        return sizes


_WHO = IterativeDecodeHead.__name__


def _check_generating_head(head: nn.Cell) -> None:
    name = type(head).__name__
    if type(head).construct is not BaseDecodeHead.construct:
        raise UserTypeError(
            f'{_WHO}: {name} does more than classify features, so there are no kernels to refine',
            advice='take a head without a construct of its own, such as FCNHead or UPerHead',
        )
    if head.out_channels != head.num_classes:
        raise UserValueError(
            key='out_channels',
            got=head.out_channels,
            expected=f'num_classes ({head.num_classes}), a mask for each class',
            who=f'{_WHO}: {name}',
        )


def _check_stage(head: nn.Cell, first: nn.Cell, length: int) -> int:
    """Return the length of a class's kernel after a stage, given that before."""
    if not isinstance(head, KernelUpdateHead):
        raise UserTypeError(
            f'{_WHO}: {type(head).__name__} is no KernelUpdateHead: derive it from it'
        )
    if head.num_classes != first.num_classes:
        warn_once(
            f'{_WHO}: num_classes of a KernelUpdateHead is {head.num_classes}, but '
            f'kernel_generate_head has {first.num_classes} classes, which count'
        )
    return head.check_channels(first.channels, length)

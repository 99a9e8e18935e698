"""The losses of all heads as one cell, for given logits."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn


class HeadLosses(nn.Cell):
    """Computes every head's losses from its logits.

    One graph serves labels of all sizes where all losses say that they can (``any_size``, and no
    sampler); else there is one for each size.

    Args:
        segmentor: A segmentor with ``heads``, ``losses`` and ``loss_names``.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        heads = [head for _, head in segmentor.heads]
        self.set_train(False)
        if all(_takes_any_size(head) for head in heads):
            shapes = [[None, head.out_channels, None, None] for head in heads]
            self.set_inputs(
                ms.Tensor(shape=[None, None, None], dtype=ms.int32),
                *(ms.Tensor(shape=shape, dtype=ms.float32) for shape in shapes),
            )

    def construct(self, labels: ms.Tensor, *logits: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give one number per name in the segmentor's ``loss_names``.

        Args:
            labels: (n, h, w), int32.
            logits: Every head's, (n, out_channels, h', w') each.
        """
        return self.segmentor.losses(logits, labels)


def _takes_any_size(head: nn.Cell) -> bool:
    losses = [getattr(loss, 'any_size', False) for loss in head.loss_decode]
    return head.sampler is None and all(losses)

"""Cells around a segmentor: its training loss, its prediction, and every head by itself."""

from __future__ import annotations

import mindspore as ms
from mindspore import nn

from msseg.models.contract import takes_any_size
from msseg.models.layers import resize
from msseg.models.output_spec import to_labels, to_probabilities
from msseg.utils.errors import check_one_of
from msseg.utils.target import get_target

_OUTPUTS = ('logits', 'probabilities', 'labels')


class SegmentorWithLoss(nn.Cell):
    """Image and label to the training loss.

    Args:
        segmentor: A segmentor with ``losses`` and ``loss_names``.

    Attributes:
        value_names: Names of the values that `construct` gives.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.value_names = list(segmentor.loss_names)
        self.counts = ['loss' in name for name in self.value_names]

    def construct(self, img: ms.Tensor, gt: ms.Tensor) -> tuple[ms.Tensor, tuple[ms.Tensor, ...]]:
        """Compute the sum of the values whose name contains ``loss``, and all values.

        Args:
            img: (n, c, h, w).
            gt: (n, h, w), int32.
        """
        values = self.segmentor.losses(self.segmentor(img), gt)
        total = 0.0
        for i in range(len(self.counts)):
            if self.counts[i]:
                total = total + values[i]
        return total, values


class InferenceSegmentor(nn.Cell):
    """Computes an image's logits, probabilities or labels at the image's size.

    Args:
        segmentor: A segmentor with ``predict`` and ``output_spec``.
        output: ``'logits'``, ``'probabilities'`` or ``'labels'``.
        dynamic: Whether one graph serves all sizes, if no part depends on the size; False compiles
            one for each size, which is somewhat faster, as always where the device sinks graphs.

    Raises:
        ValueError: An unknown `output`.
    """

    def __init__(self, segmentor: nn.Cell, output: str = 'logits', dynamic: bool = True) -> None:
        super().__init__(auto_prefix=False)
        check_one_of('output', output, _OUTPUTS, who='InferenceSegmentor')
        self.segmentor = segmentor
        self.output = output
        spec = segmentor.output_spec
        self.align_corners = spec.align_corners
        self.out_channels, self.threshold, self.kind = spec.out_channels, spec.threshold, spec.kind
        self.set_train(False)
        if dynamic and leaves_size_open(segmentor):
            self.set_inputs(_of_any_size(spec.in_channels))

    def construct(self, img: ms.Tensor) -> ms.Tensor:
        """Run on (n, c, h, w); give float32 (n, out_channels, h, w), or int32 labels (n, h, w)."""
        return self.finish(self.segmentor.predict(img), img.shape[2:])

    def finish(self, scores: ms.Tensor, size: tuple[int, int]) -> ms.Tensor:
        """Turn the network's scores (n, out_channels, h', w') into the output at a size (h, w)."""
        scores = resize(scores.astype(ms.float32), size, self.align_corners)
        if self.output == 'logits':
            return scores
        if self.output == 'probabilities':
            return to_probabilities(scores, self.out_channels, self.kind)
        return to_labels(scores, self.out_channels, self.threshold, self.kind)


class HeadLogits(nn.Cell):
    """Computes the logits of every head at the image's size, by one graph for all sizes if it can.

    Args:
        segmentor: A segmentor with ``heads`` and ``output_spec``.

    Attributes:
        predicting: Index of the head that predicts: the last decode head.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        self.align_corners = [head.align_corners for _, head in segmentor.heads]
        prefixes = [prefix for prefix, _ in segmentor.heads]
        self.predicting = max(i for i, name in enumerate(prefixes) if name.startswith('decode'))
        self.set_train(False)
        if leaves_size_open(segmentor):
            self.set_inputs(_of_any_size(segmentor.output_spec.in_channels))

    def construct(self, img: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Run on (n, c, h, w); give one float32 (n, out_channels, h, w) for each head."""
        logits = self.segmentor(img)
        resized = ()
        for i in range(len(self.align_corners)):
            own = logits[i].astype(ms.float32)
            resized = resized + (resize(own, img.shape[2:], self.align_corners[i]),)
        return resized


class HeadLosses(nn.Cell):
    """Computes the losses of every head from their logits, (n, out_channels, h', w') each.

    One graph serves all sizes where losses allow it (their ``any_size``; heads without a sampler);
    else each size has its graph.

    Args:
        segmentor: A segmentor with ``heads``, ``losses`` and ``loss_names``.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.segmentor = segmentor
        heads = [head for _, head in segmentor.heads]
        self.set_train(False)
        if all(_takes_any_size(head) for head in heads) and not get_target().sinks_graphs:
            self.set_inputs(
                ms.Tensor(shape=[None, None, None], dtype=ms.int32),
                *(_of_any_size(head.out_channels) for head in heads),
            )

    def construct(self, labels: ms.Tensor, *logits: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give one number per name in ``loss_names`` of the segmentor, for int32 (n, h, w)."""
        return self.segmentor.losses(logits, labels)


def leaves_size_open(segmentor: nn.Cell) -> bool:
    """Whether evaluation compiles one graph for all sizes of images.

    Where the device sinks whole graphs, it does not: there no shape may be open, and no operation
    depend on one.
    """
    return takes_any_size(segmentor) and not get_target().sinks_graphs


def _takes_any_size(head: nn.Cell) -> bool:
    losses = getattr(head, 'loss_decode', [None])
    has_sampler = getattr(head, 'sampler', None) is not None
    return not has_sampler and all(getattr(loss, 'any_size', False) for loss in losses)


def _of_any_size(channels: int) -> ms.Tensor:
    return ms.Tensor(shape=[None, channels, None, None], dtype=ms.float32)

"""The loss on validation images, from the same forward passes as their prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from msseg.datasets.eval_loader import EvalSample
from msseg.inference.inferencer import Inferencer
from msseg.models.segmentors import HeadLogits, HeadLosses
from msseg.utils.dist import sum_over_ranks
from msseg.utils.user_code import running


class LossInferencer(Inferencer):
    """Segments images, and can say every head's losses on the image that it segmented last.

    The logits of every head, auxiliary ones too, are taken at the size of the network's input,
    averaged where windows overlap, and resized to the label's size: what training computes, for
    this image alone and without dropout.

    Args:
        segmentor: The network.

    Raises:
        ValueError: See `Inferencer`.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(segmentor)
        self.names = [name for name in segmentor.loss_names if 'loss' in name]
        self._positions = [segmentor.loss_names.index(name) for name in self.names]
        self._all_logits = HeadLogits(segmentor)
        self._losses = HeadLosses(segmentor)
        self._merged: _WindowMeans | None = None

    def labels(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return the most probable class of every pixel, exactly as `Inferencer` does.

        Raises:
            ValueError: There are several scales or flips.
        """
        check_single_view(imgs, metas)
        self._merged = _WindowMeans(self._windows(imgs[0].shape[1:]), imgs[0].shape[1:])
        return super().labels(imgs, metas)

    def last_losses(self, gt: np.ndarray) -> np.ndarray:
        """Return the losses by `names` of the image that `labels` has seen last.

        Args:
            gt: Its label, (h, w).
        """
        self._losses.set_train(False)
        values = self._losses(Tensor(gt[None].astype(np.int32)), *self._merged.means())
        return np.array([float(values[i].asnumpy()) for i in self._positions])

    def _plain_labels(self, img: np.ndarray) -> np.ndarray:
        return self.spec.labels(self._whole(img[None])).asnumpy()[0]

    def _whole(self, img: np.ndarray) -> Tensor:
        self._all_logits.set_train(False)
        with running('the network failed on an image'):
            logits = self._all_logits(Tensor(np.ascontiguousarray(img)))
        self._merged.add(logits)
        return logits[self._all_logits.predicting]


def check_single_view(imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> None:
    """Raise ValueError for several scales or flips of an image, which have no common logits."""
    if len(imgs) != 1 or metas[0]['flip']:
        raise ValueError(
            f'evaluation.loss=True needs images as they are, but data.val.pipeline gives '
            f'{len(imgs)} scales and flips of each: set one scale and flip=False in its '
            'MultiScaleFlipAug, or evaluation.loss=False'
        )


class _WindowMeans:
    """Averages several logits over windows that come in their order; a single one stays as it is.

    Args:
        windows: Their (rows, columns).
        size: (h, w) of the whole.
    """

    def __init__(self, windows: Sequence[tuple[slice, slice]], size: tuple[int, int]) -> None:
        self.windows = windows
        self.size = size
        self.num_seen = 0
        self.single: tuple[Tensor, ...] = ()
        self.totals: list[np.ndarray] = []

    def add(self, logits: tuple[Tensor, ...]) -> None:
        if len(self.windows) == 1:
            self.single = logits
            return
        if not self.totals:
            self.totals = [np.zeros((*x.shape[:2], *self.size), np.float32) for x in logits]
        window = self.windows[self.num_seen]
        for total, part in zip(self.totals, logits, strict=True):
            total[(..., *window)] += part.asnumpy()
        self.num_seen += 1

    def means(self) -> tuple[Tensor, ...]:
        if self.single:
            return self.single
        count = np.zeros(self.size, np.float32)
        for window in self.windows:
            count[window] += 1
        return tuple(Tensor(total / count) for total in self.totals)


class LossCounter:
    """Averages losses over images; a handler for `predict_all`.

    Args:
        inferencer: The one that predicts.
    """

    def __init__(self, inferencer: LossInferencer) -> None:
        self.inferencer = inferencer
        self.sums = np.zeros(len(inferencer.names) + 1)

    def add(self, sample: EvalSample, prediction: np.ndarray) -> None:
        """Count the image that was predicted last."""
        del prediction
        self.sums = self.sums + [*self.inferencer.last_losses(sample.gt), 1.0]

    def means(self) -> dict[str, float]:
        """Return the mean over the images of all processes: ``loss``, the sum, and each by name."""
        *sums, count = sum_over_ranks(self.sums)
        means = [float(total / count) for total in sums]
        return {'loss': sum(means), **dict(zip(self.inferencer.names, means, strict=True))}

"""The loss on validation images, from the same forward passes as their prediction."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from msseg.datasets.eval_loader import EvalSample
from msseg.inference.inferencer import Inferencer, Window, WindowAverage
from msseg.models.segmentors import HeadLogits, HeadLosses
from msseg.utils.dist import sum_over_ranks


class LossInferencer(Inferencer):
    """Segments images, and computes every head's losses on the last of them.

    The logits of every head, auxiliary ones too, are taken at the size of the network's input,
    averaged where windows overlap, and resized to the label's size: what training computes, for
    this image alone and without dropout.

    Args:
        segmentor: The network.

    Attributes:
        names: Names of the losses.

    Raises:
        ValueError: See `Inferencer`.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        super().__init__(segmentor)
        names = getattr(segmentor, 'eval_loss_names', segmentor.loss_names)
        self.names = [name for name in names if 'loss' in name]
        self._positions = [segmentor.loss_names.index(name) for name in self.names]
        self._losses = HeadLosses(segmentor)
        self._logits: tuple[Tensor, ...] = ()
        self._size = (0, 0)
        self._averages: list[WindowAverage] = []

    def labels(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return the most probable class of every pixel, exactly as `Inferencer` does.

        Raises:
            ValueError: There are several scales or flips.
        """
        check_single_view(imgs, metas)
        self._size, self._averages = imgs[0].shape[1:], []
        return super().labels(imgs, metas)

    def last_losses(self, gt: np.ndarray) -> np.ndarray:
        """Return the losses by `names` of the last image of `labels`.

        Args:
            gt: Its label, (h, w).
        """
        self._losses.set_train(False)
        averaged = tuple(Tensor(average.mean()[None]) for average in self._averages)
        values = self._losses(Tensor(gt[None].astype(np.int32)), *(averaged or self._logits))
        return np.array([float(values[i].asnumpy()) for i in self._positions])

    def _make_network(self, output: str) -> nn.Cell:
        return HeadLogits(self._segmentor) if output == 'logits' else super()._make_network(output)

    def _plain_labels(self, img: np.ndarray) -> np.ndarray:
        return self.spec.labels(self._whole(img[None])).asnumpy()[0]

    def _whole(self, img: np.ndarray, window: Window | None = None) -> Tensor:
        self._logits = self._run('logits', img)
        if window is not None:
            if not self._averages:
                self._averages = [WindowAverage(self._size) for _ in self._logits]
            for average, logits in zip(self._averages, self._logits, strict=True):
                average.add(window, logits.asnumpy()[0])
        return self._logits[self._networks['logits'].predicting]


def check_single_view(imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> None:
    """Raise ValueError for several scales or flips of an image, which have no common logits."""
    if len(imgs) != 1 or metas[0]['flip']:
        raise ValueError(
            f'evaluation.loss=True needs images as they are, but data.val.pipeline gives '
            f'{len(imgs)} scales and flips of each: set one scale and flip=False in its '
            'MultiScaleFlipAug, or evaluation.loss=False'
        )


class LossCounter:
    """Averages losses over images; a handler for `predict_all`.

    Args:
        inferencer: The inferencer that predicts.
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

"""From prepared images to labels or probabilities: whole, sliding window, scales and flips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn, ops

from msseg.models.layers.resize import resize
from msseg.models.segmentors import SegmentorForTest
from msseg.utils.suggest import did_you_mean

MODES = ('whole', 'slide')


class Segmenter:
    """Segments images of any size as a segmentor's ``test_cfg`` says.

    All ways of testing end in one: class probabilities at the original image's size, averaged over
    scales and flips on the host. A single whole image takes a shorter way to the same labels.

    Args:
        segmentor: The network.

    Raises:
        ValueError: ``test_cfg`` asks for an unknown mode, or lacks what the mode needs.

    Source: MMSegmentation 0.30 ``EncoderDecoder.inference`` and ``aug_test``.
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        test_cfg = segmentor.test_cfg or {}
        self.mode = test_cfg.get('mode', 'whole')
        if self.mode not in MODES:
            raise ValueError(
                f'model.test_cfg.mode is {self.mode!r}, expected one of {list(MODES)}.'
                f'{did_you_mean(str(self.mode), MODES)}'
            )
        if self.mode == 'slide':
            self.crop_size = _pair(test_cfg, 'crop_size')
            self.stride = _pair(test_cfg, 'stride')
        self.align_corners = segmentor.align_corners
        self.threshold = segmentor.threshold
        self._logits = SegmentorForTest(segmentor, 'logits')
        self._labels = SegmentorForTest(segmentor, 'labels')

    def labels(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return the most probable class of every pixel.

        Args:
            imgs: The image as prepared for each scale and flip, float32 (3, h, w) each.
            metas: ``ori_shape``, ``flip`` and ``flip_direction`` of each.

        Returns:
            Integers (h, w) at the original image's size.
        """
        is_plain = len(imgs) == 1 and not metas[0]['flip'] and self.mode == 'whole'
        if is_plain and imgs[0].shape[1:] == tuple(metas[0]['ori_shape'][:2]):
            self._labels.set_train(False)
            return self._labels(Tensor(imgs[0][None])).asnumpy()[0]
        probabilities = self.probabilities(imgs, metas)
        if len(probabilities) == 1:
            return (probabilities[0] > self.threshold).astype(np.uint8)
        return probabilities.argmax(axis=0).astype(np.int32)

    def probabilities(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return class probabilities, the mean over scales and flips.

        Args:
            imgs: See `labels`.
            metas: See `labels`.

        Returns:
            float32 (num_classes, h, w) at the original image's size; (1, h, w), the probability of
            class 1, for a segmentor with a single output channel.
        """
        total: np.ndarray | float = 0.0
        for img, meta in zip(imgs, metas, strict=True):
            total = total + self._probabilities_of_one(img, meta)
        return total / len(imgs)

    def _probabilities_of_one(self, img: np.ndarray, meta: dict) -> np.ndarray:
        logits = self._whole(img[None]) if self.mode == 'whole' else self._slide(img)
        size = tuple(meta['ori_shape'][:2])
        if logits.shape[2:] != size:
            logits = resize(logits, size, self.align_corners)
        is_binary = logits.shape[1] == 1
        result = (ops.sigmoid(logits) if is_binary else ops.softmax(logits, axis=1)).asnumpy()[0]
        if not meta['flip']:
            return result
        return result[:, :, ::-1] if meta['flip_direction'] == 'horizontal' else result[:, ::-1]

    def _whole(self, img: np.ndarray) -> Tensor:
        self._logits.set_train(False)
        return self._logits(Tensor(np.ascontiguousarray(img)))

    def _slide(self, img: np.ndarray) -> Tensor:
        """Average the logits of overlapping windows, which are (n, c, h, w) at the image's size."""
        total, count = 0.0, np.zeros(img.shape[1:], np.float32)
        for window in sliding_windows(img.shape[1:], self.crop_size, self.stride):
            logits = self._whole(img[(None, slice(None), *window)]).asnumpy()
            if count.max() == 0:
                total = np.zeros((1, logits.shape[1], *img.shape[1:]), np.float32)
            total[(0, slice(None), *window)] += logits[0]
            count[window] += 1
        return Tensor(total / count)


def sliding_windows(
    size: tuple[int, int], crop_size: tuple[int, int], stride: tuple[int, int]
) -> list[tuple[slice, slice]]:
    """Return the (rows, columns) of windows that cover an image.

    Windows are `crop_size` large and `stride` apart; the last of a row or column is moved back so
    that it ends with the image. An image smaller than a window is covered by one of its own size.

    Args:
        size: The image's (h, w).
        crop_size: The windows' (h, w).
        stride: Their distance (vertical, horizontal).
    """
    starts = []
    for length, crop, step in zip(size, crop_size, stride, strict=True):
        steps = max(-(-(length - crop) // step), 0) + 1
        starts.append([max(min(i * step, length - crop), 0) for i in range(steps)])
    return [
        (slice(y, min(y + crop_size[0], size[0])), slice(x, min(x + crop_size[1], size[1])))
        for y in starts[0]
        for x in starts[1]
    ]


def _pair(test_cfg: dict, key: str) -> tuple[int, int]:
    value = test_cfg.get(key)
    value = (value, value) if isinstance(value, int) else value
    is_pair = isinstance(value, Sequence) and len(value) == 2
    if not (is_pair and all(isinstance(v, int) and v > 0 for v in value)):
        raise ValueError(
            f'model.test_cfg.{key} is {value!r}, expected two positive integers (h, w) for '
            "mode='slide'"
        )
    return tuple(value)

"""Prepared images to labels or probabilities: whole, by windows, over scales and flips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mindspore import Tensor, nn

from msseg.deploy.logits import most_probable
from msseg.models.layers.resize import resize
from msseg.models.segmentors import InferenceSegmentor
from msseg.models.segmentors.inference_options import test_cfg
from msseg.registry import call_with_cfg
from msseg.utils.errors import UserValueError
from msseg.utils.logging import get_logger
from msseg.utils.user_code import running

_MOST_LOGIT = 80.0  # exp of more is too much for float32
Window = tuple[slice, slice]  # rows, columns


class Inferencer:
    """Segments images of any size by a segmentor's ``test_cfg``.

    ``mode``
        ``'whole'`` (default), or ``'slide'``: in windows of ``crop_size``, ``stride`` apart.
    ``merge``
        ``'softmax'`` (default): logits of overlapping windows are averaged, and class
        probabilities over scales and flips. ``'exp_logits'``: a window's logits are averaged over
        its flips, then their exponentials over windows, and those are added up over scales.
    ``swap_seg_labels``
        Pairs of classes that a horizontal flip exchanges, such as left and right arm.

    All results have the original image's size, on the host. A single whole image takes a shorter
    way to the same labels.

    Args:
        segmentor: The network.

    Raises:
        ValueError: A wrong ``test_cfg``.

    Source: MMSegmentation 0.30 ``EncoderDecoder.inference`` and ``aug_test``; ``'exp_logits'``
        with windows of 1024x2048 that far apart: the test of the reference implementation of
        HRNet-OCR on Cityscapes.

    Examples:
        >>> import mindspore as ms
        >>> from msseg.models.output_spec import OutputSpec
        >>> class Signs(nn.Conv2d):  # the channel's negative and the channel as logits
        ...     test_cfg, output_spec = {}, OutputSpec(1, 2, 2, None, False)
        ...     def predict(self, img):
        ...         return self.construct(img)
        >>> model = Signs(1, 2, 1, weight_init=ms.Tensor([[[[-1.0]]], [[[1.0]]]]))
        >>> img = np.float32([[[-1, 2], [3, -4]]])
        >>> meta = dict(ori_shape=(2, 2), flip=False)
        >>> Inferencer(model).labels([img], [meta]).tolist()
        [[0, 1], [1, 0]]
    """

    def __init__(self, segmentor: nn.Cell) -> None:
        channels = segmentor.out_channels
        options = call_with_cfg(
            test_cfg, segmentor.test_cfg or {}, 'model.test_cfg', num_channels=channels
        )
        self.mode, self.merge = options.mode, options.merge
        self.crop_size, self.stride = options.crop_size, options.stride
        # which channel stands for each class in a flipped image; None when none changes
        self.order_flipped = np.arange(channels) if options.swap_seg_labels else None
        for pair in options.swap_seg_labels:
            self.order_flipped[list(pair)] = self.order_flipped[list(reversed(pair))]
        self.spec = segmentor.output_spec
        if self.merge == 'exp_logits' and self.spec.kind != 'logits':
            raise ValueError(
                "model.test_cfg: merge is 'exp_logits', but the decode head gives probabilities; "
                "set merge='softmax'"
            )
        self._segmentor = segmentor
        self._networks: dict[str, InferenceSegmentor] = {}
        self._is_compiled = False

    def labels(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return the most probable class of every pixel.

        Args:
            imgs: The image as prepared for each scale and flip, float32 (c, h, w) each.
            metas: ``ori_shape``, ``flip`` and ``flip_direction`` of each; ``img_shape`` where it
                was padded, the size without padding.

        Returns:
            Integers (h, w) at the original image's size.

        Raises:
            ValueError: The images have other channels than the network takes.
        """
        self._check_channels(imgs[0])
        self.announce_compilation()
        size = imgs[0].shape[1:]
        is_plain = len(imgs) == 1 and not metas[0]['flip'] and len(self._windows(size)) == 1
        is_plain = is_plain and _size_without_padding(imgs[0], metas[0]) == size
        if is_plain and size == tuple(metas[0]['ori_shape'][:2]):
            return self._plain_labels(imgs[0])
        return self.decide(self.probabilities(imgs, metas))

    def decide(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the labels (h, w) that `probabilities` mean."""
        return most_probable(probabilities, self.spec.threshold)

    def probabilities(self, imgs: Sequence[np.ndarray], metas: Sequence[dict]) -> np.ndarray:
        """Return class probabilities over all scales and flips; see `labels` for the arguments.

        Returns:
            float32 (num_classes, h, w) at the original image's size; (1, h, w), the probability of
            class 1, for a segmentor with a single output channel.
        """
        self._check_channels(imgs[0])
        self.announce_compilation()
        if self.merge == 'softmax':
            views = zip(imgs, metas, strict=True)
            return sum(self._probabilities_of_one(*view) for view in views) / len(imgs)
        total = sum(map(self._exponentials_of_scale, _by_size(imgs, metas)))
        return total / total.sum(axis=0)

    def announce_compilation(self) -> None:
        """Log, before the first image, that the network is compiled now."""
        if not self._is_compiled:
            message = 'Compiling the network for prediction; the first image may take a minute'
            get_logger().info(message)
        self._is_compiled = True

    def _check_channels(self, img: np.ndarray) -> None:
        if len(img) != self.spec.in_channels:
            raise ValueError(
                f'the test pipeline gives an image of {len(img)} channels, but the network takes '
                f'{self.spec.in_channels} (in_channels of the backbone): let color_type of '
                'LoadImageFromFile, mean and std of Normalize and in_channels agree'
            )

    def _plain_labels(self, img: np.ndarray) -> np.ndarray:
        """Label one whole image whose size is the original's."""
        return self._run('labels', img[None]).asnumpy()[0]

    def _probabilities_of_one(self, img: np.ndarray, meta: dict) -> np.ndarray:
        logits = self._whole(img[None]) if self.mode == 'whole' else self._slide(img)
        h, w = _size_without_padding(img, meta)
        if (h, w) != logits.shape[2:]:
            logits = logits[:, :, :h, :w]
        size = tuple(meta['ori_shape'][:2])
        if logits.shape[2:] != size:
            logits = resize(logits, size, self.spec.align_corners)
        return self._upright(self.spec.probabilities(logits).asnumpy()[0], meta)

    def _slide(self, img: np.ndarray) -> Tensor:
        """Average the logits of overlapping windows, which are (n, c, h, w) at the image's size."""
        average = WindowAverage(img.shape[1:])
        for window in self._windows(average.size):
            crop = img[(None, slice(None), *window)]
            average.add(window, self._whole(crop, window).asnumpy()[0])
        return Tensor(average.mean()[None])

    def _exponentials_of_scale(self, group: Sequence[tuple[np.ndarray, dict]]) -> np.ndarray:
        """Return exp(logits), (c, h, w) at the original size, for the flips of one scale."""
        ori_size = tuple(group[0][1]['ori_shape'][:2])
        if any(_size_without_padding(*view) != view[0].shape[1:] for view in group):
            raise UserValueError(
                "test_cfg: merge='exp_logits' puts the same windows on all flips, but images are "
                'padded',
                advice="remove Pad from the test pipeline, or set merge='softmax'",
            )
        average = WindowAverage(group[0][0].shape[1:])
        for window in self._windows(average.size):
            # The window shows the same part of the scene in every flip.
            crops = [_mirror(_mirror(img, meta)[(..., *window)], meta) for img, meta in group]
            logits = sum(
                self._upright(self._whole(crop[None], window).asnumpy()[0], meta)
                for crop, (_, meta) in zip(crops, group, strict=True)
            ) / len(group)
            average.add(window, np.exp(np.minimum(logits, _MOST_LOGIT)))
        merged = average.mean()
        if average.size == ori_size:
            return merged
        return resize(Tensor(merged[None]), ori_size, self.spec.align_corners).asnumpy()[0]

    def _upright(self, scores: np.ndarray, meta: dict) -> np.ndarray:
        """Turn a flipped image's scores (c, h, w) back."""
        scores = _mirror(scores, meta)
        is_swapped = meta['flip'] and meta['flip_direction'] == 'horizontal'
        if self.order_flipped is None or not is_swapped:
            return scores
        return scores[self.order_flipped]

    def _whole(self, img: np.ndarray, window: Window | None = None) -> Tensor:
        """Compute the logits of a batch, which may be a window of the image."""
        return self._run('logits', img)

    def _make_network(self, output: str) -> nn.Cell:
        return InferenceSegmentor(self._segmentor, output)

    def _run(self, output: str, batch: np.ndarray) -> Tensor:
        if output not in self._networks:
            self._networks[output] = self._make_network(output)
        network = self._networks[output].set_train(False)
        if hasattr(self._segmentor, 'check_image_size'):
            self._segmentor.check_image_size(batch.shape[2:])
        try:
            with running('the network failed on an image'):
                return network(Tensor(np.ascontiguousarray(batch)))
        except Exception:
            # MindSpore 2.8: a graph that an image has failed in fails on all sizes that are new to
            # it ("RuntimeError" without a message), so the next image gets another
            del self._networks[output]
            raise

    def _windows(self, size: tuple[int, int]) -> list[Window]:
        if self.mode == 'whole':
            return [(slice(0, size[0]), slice(0, size[1]))]
        return sliding_windows(size, self.crop_size, self.stride)


class WindowAverage:
    """Averages scores over the windows of an image.

    Args:
        size: The image's (h, w).
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self._total: np.ndarray | None = None
        self._count = np.zeros(size, np.float32)

    def add(self, window: Window, scores: np.ndarray) -> None:
        """Add the float32 scores (c, h', w') of a window."""
        if self._total is None:
            self._total = np.zeros((len(scores), *self.size), np.float32)
        self._total[(..., *window)] += scores
        self._count[window] += 1

    def mean(self) -> np.ndarray:
        """Return the average, float32 (c, h, w)."""
        return self._total / self._count


def sliding_windows(
    size: tuple[int, int], crop_size: tuple[int, int], stride: tuple[int, int]
) -> list[Window]:
    """Return the (rows, columns) of windows that cover an image.

    Windows are `crop_size` (h, w) large and `stride` (vertical, horizontal) apart; the last of a
    row or column is moved back so that it ends with the image. An image smaller than a window is
    covered by one of the image's size.

    Examples:
        >>> [columns for _, columns in sliding_windows((4, 10), (4, 4), (4, 4))]
        [slice(0, 4, None), slice(4, 8, None), slice(6, 10, None)]
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


def _size_without_padding(img: np.ndarray, meta: dict) -> tuple[int, int]:
    """Return the size (h, w) of an image (c, h, w) before Pad, which fills bottom and right."""
    sizes = zip(meta.get('img_shape', img.shape[1:]), img.shape[1:], strict=False)
    h, w = (min(pair) for pair in sizes)
    return h, w


def _by_size(
    imgs: Sequence[np.ndarray], metas: Sequence[dict]
) -> list[list[tuple[np.ndarray, dict]]]:
    """Return the images of each size, which are the flips of one scale, with their metas."""
    groups: dict[tuple[int, ...], list[tuple[np.ndarray, dict]]] = {}
    for img, meta in zip(imgs, metas, strict=True):
        groups.setdefault(img.shape, []).append((img, meta))
    return list(groups.values())


def _mirror(array: np.ndarray, meta: dict) -> np.ndarray:
    """Flip (c, h, w) as the image of `meta` is flipped; doing it twice changes nothing."""
    if not meta['flip']:
        return array
    return array[:, :, ::-1] if meta['flip_direction'] == 'horizontal' else array[:, ::-1]

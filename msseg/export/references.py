"""What the checkpoint's network makes of real images, to compare exported files with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import mindspore as ms
import numpy as np
from mindspore import nn

from msseg.apis.build import build_split
from msseg.config import Config
from msseg.datasets.sample_rng import get_filename
from msseg.deploy.image_input import ImageInput
from msseg.deploy.metadata import Metadata
from msseg.export.compare import Case
from msseg.models import InferenceSegmentor
from msseg.utils.normalization import Normalization

# As many images as have this many pixels, but at most four: their logits wait in memory.
_NUM_PIXELS = 2**22
_MOST_IMAGES = 4


def find_images(cfg: Config, size: tuple[int, int]) -> list[str]:
    """Return some images of a config's test data, from its beginning to its end.

    Args:
        cfg: The config.
        size: The (h, w) at which they are compared.

    Raises:
        FileNotFoundError: There are none.
    """
    dataset = build_split(cfg, 'test')
    count = min(_MOST_IMAGES, max(1, _NUM_PIXELS // (size[0] * size[1])), len(dataset))
    if not count:
        raise FileNotFoundError(
            f'config {cfg.filename!r}: data.test has no images to compare the exported file on; '
            'name some with --images'
        )
    indices = np.linspace(0, len(dataset) - 1, count).round().astype(int)
    return [get_filename(dataset, int(index)) for index in indices]


def make_cases(
    model: nn.Cell, metadata: Metadata, images: Sequence[str | Path], size: tuple[int, int]
) -> list[Case]:
    """Run the checkpoint's network.

    Args:
        model: The network.
        metadata: Of the file that is to be compared.
        images: Files; where the size is fixed they are resized to it.
        size: The (h, w) that the file was asked for; where it is free the first image is taken at
            this size, too.

    Raises:
        FileNotFoundError, ValueError: An image cannot be read.
    """
    prepare = ImageInput(metadata, 'the comparison')
    loaded = [prepare.load(image) for image in images]
    if None in metadata.input.shape:
        batches = [[prepare.resize(image)] for image in loaded]
        batches.append([_resized(loaded[0], size)])
    else:
        fitted = [_resized(image, size) for image in loaded]
        count = metadata.input.batch
        batches = [(fitted * count)[start : start + count]
                   for start in range(0, len(fitted), count)]  # fmt: skip
    network = InferenceSegmentor(model, 'logits')
    steps = metadata.preprocessing
    normalize = Normalization(steps.mean, steps.std, steps.to_rgb)
    cases = []
    for batch in batches:
        normalized = np.stack([normalize(image) for image in batch])
        logits, changed = (
            network(ms.Tensor(each)).asnumpy()
            for each in (normalized, _with_other_last_bits(normalized))
        )
        rounding = float(np.abs(changed - logits).max())
        cases.append(Case(_as_input(batch) if steps.included else normalized, logits, rounding))
    return cases


def _with_other_last_bits(array: np.ndarray) -> np.ndarray:
    directions = np.random.default_rng(0).choice(np.float32([-np.inf, np.inf]), array.shape)
    return np.nextafter(array, directions)


def _as_input(batch: Sequence[np.ndarray]) -> np.ndarray:
    """Return images as (n, h, w, c)."""
    return np.stack([image.reshape(*image.shape[:2], -1) for image in batch])


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return image if image.shape[:2] == size else cv2.resize(image, size[::-1])

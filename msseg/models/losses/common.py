"""Base of the losses, class weights, one-hot labels and reduction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import mindspore as ms
import numpy as np
import yaml
from mindspore import nn, ops

from msseg.utils.arguments import File, Length, NonNegative, check_value
from msseg.utils.text_file import read_user_text

EPS = float(np.finfo(np.float32).eps)
Reduction = Literal['none', 'mean', 'sum']
Weights = Annotated[Sequence[NonNegative], Length()]
ClassWeight = Weights | File | None


class BaseLoss(nn.Cell):
    """Base of losses, called as ``loss(logits, labels, weight=None, ignore_index=255)``.

    Logits are (n, c, h, w) and labels int32 (n, h, w), in [0, c) or `ignore_index`, None for none.
    ``weight`` (n, h, w) holds factors on the pixels, which a pixel sampler gives; only losses whose
    docstring mentions it read it. The result is float32: a number, or with ``reduction='none'`` one
    for each pixel. A user's loss needs no base, but the call and a ``loss_name``.

    Args:
        loss_weight: Factor on the result.
        loss_name: Name in the log; it enters the total only if it contains ``loss``.
        class_weight: Weight of each class, as a list or the path of a .npy, .json or .yaml file.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.

    Attributes:
        any_size: Whether its graph can leave the labels' size open.
        min_channels: Least number of channels of the logits.
        max_channels: Largest number of channels; None for no limit.
        score_kind: Whether it takes ``'logits'`` or ``'probabilities'``.
    """

    any_size = False
    min_channels = 1
    max_channels: int | None = None
    score_kind = 'logits'

    def __init__(
        self,
        loss_weight: float,
        loss_name: str,
        class_weight: ClassWeight = None,
        reduction: Reduction = 'mean',
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.class_weight = read_class_weight(class_weight)
        self.reduction = reduction


def one_hot(labels: ms.Tensor, num_classes: int) -> ms.Tensor:
    """Return (n, num_classes, h, w), float32: 1 where a pixel is of the class, else 0.

    Args:
        labels: (n, h, w), int32; a label outside [0, num_classes) is of no class.
        num_classes: Number of classes.
    """
    n, h, w = labels.shape
    classes = ops.arange(num_classes).astype(ms.int32).reshape(1, num_classes, 1, 1)
    return ops.equal(labels.reshape(n, 1, h, w), classes).astype(ms.float32)


def valid_pixels(labels: ms.Tensor, ignore_index: int | None) -> ms.Tensor:
    """Return (n, h, w), float32: 0 where the label is to be ignored, else 1."""
    if ignore_index is None:
        return ops.ones(labels.shape, ms.float32)
    return ops.not_equal(labels, ignore_index).astype(ms.float32)


def reduce_loss(losses: ms.Tensor, reduction: str, avg_factor: float | None = None) -> ms.Tensor:
    """Reduce a loss.

    Args:
        losses: The elements.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        avg_factor: Divisor of the mean; None: the number of elements.

    Raises:
        ValueError: `avg_factor` is given for a sum.

    Source: MMSegmentation 0.30 ``weight_reduce_loss``.
    """
    if reduction == 'none':
        return losses
    if reduction == 'sum':
        if avg_factor is not None:
            raise ValueError("avg_factor is for reduction='mean', not reduction='sum'")
        return losses.sum()
    if avg_factor is None:
        return losses.sum() / losses.size
    return losses.sum() / (avg_factor + EPS)


def read_class_weight(class_weight: ClassWeight) -> list[float] | None:
    """Return class weights, given as such or by a .npy, .json or .yaml file, as a list.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: The file holds no list of numbers of at least 0.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, (str, Path)):
        name = str(class_weight)
        class_weight = _read_file(name)
        check_value(class_weight, Weights, 'class_weight', f'file {name!r}')
    return np.asarray(class_weight, np.float64).tolist()


def _read_file(name: str) -> object:
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(
            f'class_weight names the file {name!r}, which does not exist (relative paths start at '
            f'{Path.cwd()})'
        )
    if path.suffix not in ('.npy', '.json', '.yaml', '.yml'):
        raise ValueError(
            f'class_weight file {name!r}: got {path.suffix!r}, expected .npy, .json or .yaml '
            '(pickles are not read, they can run code: save the numbers with numpy.save)'
        )
    try:
        if path.suffix == '.npy':
            return np.load(path, allow_pickle=False)
        text = read_user_text(path, 'it')
        return json.loads(text) if path.suffix == '.json' else yaml.safe_load(text)
    except (ValueError, EOFError, RecursionError, MemoryError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise ValueError(f'class_weight file {name!r} cannot be read: {reason}') from error

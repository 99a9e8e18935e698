"""How a segmentor's ``test_cfg`` has images segmented."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msseg.utils.arguments import NonNegativeInt, Pixels, PositiveInt, Size, checked


class InferenceOptions(NamedTuple):
    """The settings of a ``test_cfg``; see `test_cfg`. Sizes are None for whole images."""

    mode: str
    merge: str
    crop_size: tuple[int, int] | None
    stride: tuple[int, int] | None
    swap_seg_labels: tuple[tuple[int, int], ...]


@checked
def test_cfg(
    num_channels: int,
    mode: Literal['whole', 'slide'] = 'whole',
    crop_size: Size | Pixels | None = None,
    stride: Size | Pixels | None = None,
    merge: Literal['softmax', 'exp_logits'] = 'softmax',
    swap_seg_labels: Sequence[tuple[NonNegativeInt, NonNegativeInt]] | None = None,
    subdivision_steps: NonNegativeInt | None = None,
    subdivision_num_points: PositiveInt | None = None,
    scale_factor: PositiveInt | None = None,
) -> InferenceOptions:
    """Read the keys of a ``test_cfg``; see `Inferencer` for their meaning.

    Args:
        num_channels: Channels of the network's output.
        mode: Whole images, or windows.
        crop_size: Size (h, w) of the windows, or one number for both.
        stride: Their distance (vertical, horizontal), or one number for both.
        merge: The quantity that is averaged.
        swap_seg_labels: Pairs of classes that a horizontal flip exchanges.
        subdivision_steps: A setting of `PointHead`, which reads it itself.
        subdivision_num_points: As above.
        scale_factor: As above.
    """
    if merge == 'exp_logits' and num_channels == 1:
        raise ValueError(
            "merge is 'exp_logits', which compares classes; a model with one output channel needs "
            "'softmax'"
        )
    sizes = {'crop_size': crop_size, 'stride': stride}
    for name, value in sizes.items():
        if value is None and mode == 'slide':
            raise ValueError(f"{name} is missing, mode='slide' needs (h, w)")
        sizes[name] = (value, value) if isinstance(value, int) else value and tuple(value)
    crops, strides = sizes.values()
    if crops and strides and any(s > c for s, c in zip(strides, crops, strict=True)):
        raise ValueError(
            f'stride is {strides}, larger than crop_size {crops}: what lies between the '
            'windows would not be segmented; expected at most crop_size in either direction'
        )
    swaps = tuple(tuple(pair) for pair in swap_seg_labels or ())
    for pair in swaps:
        if max(pair) >= num_channels:
            raise ValueError(
                f'swap_seg_labels holds {pair!r}, expected pairs of classes from 0 to '
                f'{num_channels - 1}'
            )
    return InferenceOptions(mode, merge, crops, strides, swaps)


test_cfg.__test__ = False  # not a test for pytest, although its name is that of the config's key

"""Whether heads fit the feature maps they are to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mindspore import nn


class InputMismatch(NamedTuple):
    """What does not fit.

    Attributes:
        argument: ``in_index`` or ``in_channels``.
        text: What is wrong with it.
    """

    argument: str
    text: str


def check_head_inputs(name: str, head: nn.Cell, feature_channels: Sequence[int]) -> None:
    """Raise ValueError when a head's ``in_index`` or ``in_channels`` does not fit.

    Args:
        name: The head's config key, such as ``decode_head[1]``.
        head: A decode head.
        feature_channels: Channels of the feature maps that it will be given.
    """
    for mismatch in find_input_mismatches(head.in_index, head.input_channels, feature_channels):
        raise ValueError(f'{name}: {mismatch.text}')


def find_input_mismatches(
    in_index: int | Sequence[int],
    in_channels: int | Sequence[int],
    feature_channels: Sequence[int],
) -> Iterator[InputMismatch]:
    """Yield what of a head's arguments does not fit the feature maps.

    Args:
        in_index: Which feature map the head reads, or several.
        in_channels: Their channels; as many numbers.
        feature_channels: Channels of the feature maps that there are.
    """
    several = isinstance(in_index, (list, tuple))
    indices = list(in_index) if several else [in_index]
    channels = list(in_channels) if several else [in_channels]
    count = len(feature_channels)
    for index, expected in zip(indices, channels, strict=True):
        if not -count <= index < count:
            yield InputMismatch(
                'in_index',
                f'in_index {index!r} is out of range, there are {count} feature maps of '
                f'{list(feature_channels)} channels (indices 0 to {count - 1})',
            )
        elif feature_channels[index] != expected:
            yield InputMismatch(
                'in_channels',
                f'in_channels says {expected!r} for in_index {index}, but that feature map '
                f'has {feature_channels[index]} channels (all: {list(feature_channels)})',
            )

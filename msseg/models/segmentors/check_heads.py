"""Whether heads fit the feature maps they are to read."""

from __future__ import annotations

from collections.abc import Sequence

from mindspore import nn


def check_head_inputs(name: str, head: nn.Cell, feature_channels: Sequence[int]) -> None:
    """Raise ValueError when a head's ``in_index`` or ``in_channels`` does not fit.

    Args:
        name: The head's config key, such as ``decode_head[1]``.
        head: A decode head.
        feature_channels: Channels of the feature maps that it will be given.
    """
    several = isinstance(head.in_index, (list, tuple))
    indices = list(head.in_index) if several else [head.in_index]
    channels = list(head.input_channels) if several else [head.input_channels]
    count = len(feature_channels)
    for index, expected in zip(indices, channels, strict=True):
        if not -count <= index < count:
            raise ValueError(
                f'{name}: in_index {index!r} is out of range, there are {count} feature maps of '
                f'{list(feature_channels)} channels (indices 0 to {count - 1})'
            )
        if feature_channels[index] != expected:
            raise ValueError(
                f'{name}: in_channels says {expected!r} for in_index {index}, but that feature map '
                f'has {feature_channels[index]} channels (all: {list(feature_channels)})'
            )

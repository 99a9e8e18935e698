"""A neck that makes a pyramid of the maps of a transformer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.builder import NECKS
from msseg.models.layers import build_activation_layer, build_norm_layer
from msseg.models.layers.upsample import ConvTranspose2d
from msseg.utils.arguments import Channels, Length, checked
from msseg.utils.errors import ArgumentError

_SYNC_BN: Mapping = MappingProxyType({'type': 'SyncBN', 'requires_grad': True})
_RESCALES = ((4, 2, 1, 0.5), (2, 1, 0.5, 0.25))


@NECKS.register_module()
class Feature2Pyramid(nn.Cell):
    """Gives four maps of one size the sizes of a pyramid, by learnt enlargement and by pooling.

    Args:
        embed_dim: Channels of the maps and of the results. ``out_channels`` is a list of them.
        rescales: The factors, (4, 2, 1, 0.5) or (2, 1, 0.5, 0.25).
        norm_cfg: The norm in the enlargement by 4, see `build_norm_layer`.

    Raises:
        ValueError: Other factors.

    Source: MMSegmentation 0.30 ``Feature2Pyramid``, whose parameter names it keeps.

    Examples:
        >>> maps = tuple(ms.ops.ones((1, 2, 4, 6)) for _ in range(4))
        >>> [each.shape for each in Feature2Pyramid(2).set_train(False)(maps)]
        [(1, 2, 16, 24), (1, 2, 8, 12), (1, 2, 4, 6), (1, 2, 2, 3)]
    """

    @checked
    def __init__(
        self,
        embed_dim: Channels,
        rescales: Annotated[Sequence[Literal[4, 2, 1, 0.5, 0.25]], Length()] = _RESCALES[0],
        norm_cfg: Mapping = _SYNC_BN,
    ) -> None:
        super().__init__()
        if tuple(rescales) not in _RESCALES:
            raise ArgumentError(
                key='rescales',
                got=rescales,
                expected=' or '.join(map(str, _RESCALES)),
                who='Feature2Pyramid',
            )
        self.in_channels = [embed_dim] * len(rescales)
        self.out_channels = [embed_dim] * len(rescales)
        self.has_4x = rescales[0] == 4
        if self.has_4x:
            self.upsample_4x = nn.SequentialCell(
                _double(embed_dim),
                build_norm_layer(norm_cfg, embed_dim)[1],
                build_activation_layer({'type': 'GELU'}),
                _double(embed_dim),
            )
        else:
            self.downsample_4x = nn.MaxPool2d(4, 4)
        self.upsample_2x = nn.SequentialCell(_double(embed_dim))
        self.downsample_2x = nn.MaxPool2d(2, 2)

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Give four maps, the largest first, for four of (n, embed_dim, h, w)."""
        first, second, third, fourth = inputs
        if self.has_4x:
            larger = (self.upsample_4x(first), self.upsample_2x(second))
            return larger + (third, self.downsample_2x(fourth))
        smaller = (self.downsample_2x(third), self.downsample_4x(fourth))
        return (self.upsample_2x(first), second) + smaller


def _double(channels: int) -> nn.Cell:
    return ConvTranspose2d(channels, channels, kernel_size=2, stride=2)

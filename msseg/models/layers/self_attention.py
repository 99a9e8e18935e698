"""Attention of pixels to keys that come from the same or another feature map."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import nn, ops

from msseg.models.layers.conv import Conv2d, ConvModule
from msseg.models.layers.init_cfg import apply_init_cfg
from msseg.models.layers.norm import freeze_parameters
from msseg.models.layers.pixelwise import row_softmax
from msseg.models.layers.precision import BatchProduct
from msseg.models.layers.resize import resize

_PYTORCH = {'type': 'PyTorchDefault', 'layer': 'Conv2d'}
_ZERO = {'type': 'Constant', 'val': 0, 'layer': 'Conv2d'}


class SelfAttentionBlock(nn.Cell):
    """Averages values over positions, weighted by a softmax of the products of query and key.

    Args:
        key_in_channels: Channels of the map of keys and values.
        query_in_channels: Channels of the map of queries.
        channels: Channels of keys and queries, and of values where `with_out`.
        out_channels: Channels of the result.
        share_key_query: Whether one projection, ``query_project``, gives keys and queries.
            ``key_project`` is then a copy, which nothing reads, as PyTorch's files have it: each
            step in training renews it, before the optimizer changes the weights.
        query_scale: Factor by which the map of queries is max-pooled before attending; the result
            is resized back.
        key_downsample: A layer applied to keys and values, which gives (n, channels, …).
        key_query_num_convs: Number of 1x1 convolutions of the projections of keys and queries.
        value_out_num_convs: Number of those of values and of the result.
        key_query_norm: Whether the former are `ConvModule`s, with `options`, or plain.
        value_out_norm: The same of the latter. A plain projection of the result starts at 0.
        matmul_norm: Whether products are divided by the square root of `channels`.
        with_out: Whether there is a projection of the result.
        align_corners: How the result is resized.
        **options: Layers of `ConvModule`.

    Source: Wang et al., Non-local Neural Networks (2018); MMSegmentation 0.30
    ``SelfAttentionBlock``, which cannot run with pooled queries.
    """

    def __init__(
        self,
        key_in_channels: int,
        query_in_channels: int,
        channels: int,
        out_channels: int,
        *,
        share_key_query: bool = False,
        query_scale: int = 1,
        key_downsample: nn.Cell | None = None,
        key_query_num_convs: int = 1,
        value_out_num_convs: int = 1,
        key_query_norm: bool = False,
        value_out_norm: bool = False,
        matmul_norm: bool = False,
        with_out: bool = False,
        align_corners: bool = False,
        **options: Any,
    ) -> None:
        super().__init__()
        key_query = (key_query_num_convs, key_query_norm, options)
        value_out = (value_out_num_convs, value_out_norm, options)
        width = channels if with_out else out_channels
        self.key_project = _projection(key_in_channels, channels, *key_query)
        self.query_project = _projection(query_in_channels, channels, *key_query)
        self.shares = share_key_query
        self.copies = self.originals = ()
        if share_key_query:
            freeze_parameters(self.key_project)
            self.copies = tuple(self.key_project.get_parameters())
            self.originals = tuple(self.query_project.get_parameters())
            for copy, original in zip(self.copies, self.originals, strict=True):
                copy.set_data(original)
        self.value_project = _projection(key_in_channels, width, *value_out)
        self.out_project = None
        if with_out:
            self.out_project = _projection(channels, out_channels, *value_out)
            if isinstance(self.out_project, Conv2d):
                apply_init_cfg(self.out_project, _ZERO)
        self.pool = nn.MaxPool2d(query_scale, query_scale) if query_scale > 1 else None
        self.key_downsample = key_downsample
        self.factor = channels**-0.5 if matmul_norm else None
        self.align_corners = align_corners
        self.similarity = BatchProduct(transpose_a=True)
        self.softmax = row_softmax()
        self.average = BatchProduct(transpose_b=True)

    def construct(self, query_map: ms.Tensor, key_map: ms.Tensor) -> ms.Tensor:
        """Attend from (n, c, h, w) to (n, k, h', w').

        Returns:
            (n, out_channels, h, w).
        """
        pooled = query_map if self.pool is None else self.pool(query_map)
        context = self._attend(pooled, key_map)
        if self.out_project is not None:
            context = self.out_project(context)
        if self.pool is not None:
            context = resize(context, query_map.shape[2:], self.align_corners)
        return context

    def attend(self, query: ms.Tensor, key: ms.Tensor, value: ms.Tensor) -> ms.Tensor:
        """Average values (…, c, keys) for each query.

        Args:
            query: (…, channels, queries).
            key: (…, channels, keys).
            value: (…, c, keys).

        Returns:
            (…, c, queries).
        """
        similarity = self.similarity(query, key).astype(ms.float32)
        if self.factor is not None:
            similarity = self.factor * similarity
        return self.average(value, self.softmax(similarity))

    def _attend(self, query_map: ms.Tensor, key_map: ms.Tensor) -> ms.Tensor:
        n, _, h, w = query_map.shape
        query = _positions(self.query_project(query_map))
        key = self.query_project(key_map) if self.shares else self.key_project(key_map)
        value = self.value_project(key_map)
        if self.training:
            for i in range(len(self.copies)):
                ops.assign(self.copies[i], self.originals[i])
        if self.key_downsample is not None:
            key, value = self.key_downsample(key), self.key_downsample(value)
        value = _positions(value)
        return self.attend(query, _positions(key), value).reshape(n, value.shape[1], h, w)


class GridAverages(nn.SequentialCell):
    """Averages of (n, c, h, w) over grids of several sizes, one after the other: (n, c, places).

    Args:
        layers: The layers that average.

    Source: Zhu et al., Asymmetric Non-local Neural Networks (2019); MMSegmentation 0.30
    ``PPMConcat``.
    """

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Give (n, c, total of the grids' places)."""
        averages = ()
        for layer in self.cell_list:
            averages = averages + (_positions(layer(x)),)
        return ops.concat(averages, axis=2)


def _positions(x: ms.Tensor) -> ms.Tensor:
    """Return (n, c, h * w) of (n, c, h, w); three axes stay as they are."""
    if x.ndim == 3:
        return x
    n, c, h, w = x.shape
    return x.reshape(n, c, h * w)


def _projection(
    in_channels: int, channels: int, num_convs: int, with_norm: bool, options: dict[str, Any]
) -> nn.Cell:
    convs = []
    for width in (in_channels, *[channels] * (num_convs - 1)):
        if with_norm:
            convs.append(ConvModule(width, channels, 1, **options))
        else:
            convs.append(Conv2d(width, channels, 1))
            apply_init_cfg(convs[-1], _PYTORCH)
    return nn.SequentialCell(convs) if num_convs > 1 else convs[0]

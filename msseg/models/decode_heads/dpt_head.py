"""DPT's head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import HEADS
from msseg.models.decode_heads.base_decode_head import BaseDecodeHead
from msseg.models.layers import (
    ConvModule,
    apply_init_cfg,
    build_activation_layer,
    build_conv_layer,
    build_upsample_layer,
    resize,
    to_map,
    to_tokens,
)
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.models.layers.transformer import GELU
from msseg.utils.arguments import Channels, PositiveInt, checked
from msseg.utils.errors import UserValueError

Readout = Literal['ignore', 'add', 'project']
_NUM_MAPS = 4


@HEADS.register_module()
class DPTHead(BaseDecodeHead):
    """Makes a pyramid of four maps of a vision transformer, and fuses it from the smallest map.

    The backbone has ``output_cls_token=True``.

    Args:
        embed_dims: Channels of the maps, as in ``in_channels``.
        post_process_channels: Channels of the pyramid's maps; the largest map is the first.
        readout_type: How a class token goes into each token of its map: not at all, by addition, or
            by a projection of both.
        patch_size: The backbone's; sizes come from the maps, whatever it is.
        expand_channels: False alone: MMSegmentation's head does not work with True.
        act_cfg: The activation of residual units, see `build_activation_layer`.
        norm_cfg: The norm of residual units and of the last convolution, see `build_norm_layer`.
        **kwargs: See `BaseDecodeHead`; ``in_channels`` and ``in_index`` are lists of four.
            ``input_transform`` is ``'multiple_select'``.

    Source: Ranftl et al., Vision Transformers for Dense Prediction (2021), arXiv:2103.13413,
    section 3; MMSegmentation 0.30 ``DPTHead``, whose parameter names it keeps.
    """

    own_transform = 'multiple_select'
    reads_class_tokens = True

    @checked
    def __init__(
        self,
        embed_dims: Channels = 768,
        post_process_channels: Sequence[Channels] = (96, 192, 384, 768),
        readout_type: Readout = 'ignore',
        patch_size: PositiveInt = 16,
        expand_channels: Literal[False] = False,
        act_cfg: Mapping | None = RELU,
        norm_cfg: Mapping | None = BN,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._check_inputs(embed_dims, post_process_channels)
        self.reassemble_blocks = ReassembleBlocks(embed_dims, post_process_channels, readout_type)
        options = {'padding': 1, 'act_cfg': None, 'bias': False}
        self.convs = nn.CellList(
            [ConvModule(each, self.channels, 3, **options) for each in post_process_channels]
        )
        self.fusion_blocks = nn.CellList(
            [
                FeatureFusionBlock(self.channels, act_cfg, norm_cfg, has_skip=i > 0)
                for i in range(_NUM_MAPS)
            ]
        )
        self.project = ConvModule(self.channels, self.channels, 3, padding=1, norm_cfg=norm_cfg)

    def forward_features(self, inputs: tuple[tuple[ms.Tensor, ms.Tensor], ...]) -> ms.Tensor:
        """Give features (n, channels, 8 h, 8 w).

        Args:
            inputs: Tuples of a map (n, embed_dims, h, w) and its class token (n, embed_dims).
        """
        maps = self.reassemble_blocks(self.transform_inputs(inputs))
        last = len(maps) - 1
        x = self.fusion_blocks[0](self.convs[last](maps[last]))
        for i in range(1, last + 1):
            x = self.fusion_blocks[i](x, self.convs[last - i](maps[last - i]))
        return self.project(x)

    def _check_inputs(self, embed_dims: int, post_process_channels: Sequence[int]) -> None:
        widths = [embed_dims] * _NUM_MAPS
        if list(self.in_channels) != widths:
            expected = f'{widths}, embed_dims four times'
            raise UserValueError(
                key='in_channels', got=self.in_channels, expected=expected, who='DPTHead'
            )
        if len(post_process_channels) != _NUM_MAPS:
            key, got = 'post_process_channels', post_process_channels
            raise UserValueError(key=key, got=got, expected='four numbers', who='DPTHead')


class ReassembleBlocks(nn.Cell):
    """Makes maps of 4, 2, 1 and 1/2 times the size of the transformer's.

    Args:
        in_channels: Channels of the transformer's maps.
        out_channels: Channels of the results.
        readout_type: See `DPTHead`.
    """

    def __init__(
        self, in_channels: int, out_channels: Sequence[int], readout_type: Readout = 'ignore'
    ) -> None:
        super().__init__()
        self.readout_type = readout_type
        self.projects = nn.CellList(
            [ConvModule(in_channels, each, 1, act_cfg=None) for each in out_channels]
        )
        half = build_conv_layer(None, out_channels[3], out_channels[3], 3, stride=2, padding=1)
        apply_init_cfg(half, {'type': 'PyTorchDefault', 'layer': 'Conv2d'})
        self.resize_layers = nn.CellList(
            [_enlarge(out_channels[0], 4), _enlarge(out_channels[1], 2), nn.Identity(), half]
        )
        if readout_type == 'project':
            self.readout_projects = nn.CellList(
                [
                    nn.SequentialCell(
                        [nn.Dense(2 * in_channels, in_channels), build_activation_layer(GELU)]
                    )
                    for _ in out_channels
                ]
            )

    def construct(self, inputs: tuple[tuple[ms.Tensor, ms.Tensor], ...]) -> tuple[ms.Tensor, ...]:
        """Give a map for each tuple of a map and its class token."""
        outputs = ()
        for i in range(len(inputs)):
            x = self.read_out(inputs[i][0], inputs[i][1], i)
            outputs = outputs + (self.resize_layers[i](self.projects[i](x)),)
        return outputs

    def read_out(self, x: ms.Tensor, token: ms.Tensor, i: int) -> ms.Tensor:
        """Bring the class token (n, c) into the i-th map (n, c, h, w)."""
        if self.readout_type == 'add':
            return x + token.reshape(*token.shape, 1, 1)
        if self.readout_type == 'project':
            tokens = to_tokens(x)
            token = ops.broadcast_to(token.expand_dims(1), tokens.shape)
            return to_map(self.readout_projects[i](ops.cat((tokens, token), axis=2)), x.shape[2:])
        return x


class FeatureFusionBlock(nn.Cell):
    """Adds a map of the pyramid, refines the sum, and doubles its size.

    Args:
        channels: Channels of the maps.
        act_cfg: See `DPTHead`.
        norm_cfg: See `DPTHead`.
        has_skip: Whether a map is added.
    """

    def __init__(
        self,
        channels: int,
        act_cfg: Mapping | None,
        norm_cfg: Mapping | None,
        has_skip: bool = True,
    ) -> None:
        super().__init__()
        self.project = ConvModule(channels, channels, 1, act_cfg=None, bias=True)
        if has_skip:
            self.res_conv_unit1 = PreActResidualConvUnit(channels, act_cfg, norm_cfg)
        self.res_conv_unit2 = PreActResidualConvUnit(channels, act_cfg, norm_cfg)

    def construct(self, x: ms.Tensor, skip: ms.Tensor | None = None) -> ms.Tensor:
        """Apply to (n, channels, h, w); a map of another size is resized to it."""
        h, w = x.shape[2:]
        if skip is not None:
            if skip.shape[2:] != (h, w):
                skip = resize(skip, (h, w))
            x = x + self.res_conv_unit1(skip)
        return self.project(resize(self.res_conv_unit2(x), (2 * h, 2 * w), align_corners=True))


class PreActResidualConvUnit(nn.Cell):
    """Two 3x3 convolutions, each after the activation and before the norm, and a shortcut.

    Args:
        channels: Channels of the map.
        act_cfg: See `DPTHead`.
        norm_cfg: See `DPTHead`.
    """

    def __init__(self, channels: int, act_cfg: Mapping | None, norm_cfg: Mapping | None) -> None:
        super().__init__()
        options = {'padding': 1, 'norm_cfg': norm_cfg, 'act_cfg': act_cfg, 'bias': False}
        self.conv1 = PreActConvModule(channels, channels, 3, **options)
        self.conv2 = PreActConvModule(channels, channels, 3, **options)

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply to (n, channels, h, w)."""
        return x + self.conv2(self.conv1(x))


class PreActConvModule(ConvModule):
    """A `ConvModule` whose activation comes first."""

    def construct(self, x: ms.Tensor) -> ms.Tensor:
        """Apply the layers to (n, c, h, w)."""
        if self.activate is not None:
            x = self.activate(x)
        x = self.conv(x)
        return getattr(self, self.norm_name)(x) if self.norm_name else x


def _enlarge(channels: int, factor: int) -> nn.Cell:
    cfg = dict(type='deconv', kernel_size=factor, stride=factor)
    return build_upsample_layer(cfg, channels, channels)

"""ResNet, and its variants with another stem and another shortcut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.builder import BACKBONES
from msseg.models.layers import (
    BasicBlock,
    Bottleneck,
    apply_init_cfg,
    build_conv_layer,
    build_norm_layer,
    freeze_parameters,
    freeze_statistics,
    make_res_layer,
)
from msseg.models.layers.norm import BN
from msseg.models.layers.res_block import ResidualBlock
from msseg.utils.arguments import Channels, File, Length, Range, checked
from msseg.utils.errors import ArgumentError, check_one_of

Step = Annotated[int, Range(1, 255)]
Stage = Annotated[int, Range(0, 3)]
FourAtMost = Length(1, 4)
StemChannels = Annotated[int, Range(2, 65535)]


@BACKBONES.register_module()
class ResNet(nn.Cell):
    """ResNet: a feature map of each stage, with the default strides 1/4 to 1/32 of the image.

    Args:
        depth: Number of layers: 18, 34, 50, 101 or 152.
        in_channels: Channels of the image.
        stem_channels: Channels of the stem.
        base_channels: Channels of the blocks of the first stage; every further stage has twice as
            many.
        num_stages: Number of stages.
        strides: Step of each stage's first block.
        dilations: Distance between the kernels' taps in each stage.
        out_indices: The stages whose maps are given, from 0.
        style: Where a bottleneck block steps: in its 3x3 convolution (``'pytorch'``) or in its
            first 1x1 convolution (``'caffe'``).
        deep_stem: Whether the stem has three 3x3 convolutions instead of one of 7x7.
        avg_down: Whether shortcuts average pixels, rather than leaving out some.
        frozen_stages: The stem (0) and the stages up to this one are not trained; -1 trains all.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        norm_eval: Whether batch norm uses its running statistics in training.
        dcn: None; deformable convolutions are not supported.
        stage_with_dcn: The stages that `dcn` is for.
        plugins: None; plugins are not supported.
        multi_grid: Dilation of each block of the last stage, instead of its number in `dilations`.
        contract_dilation: Whether the first block of a dilated stage has half the dilation.
        with_cp: Recompute residual blocks in the backward pass, to save memory.
        zero_init_residual: Whether residual blocks start as the identity; without effect if
            `pretrained` or `init_cfg` is given.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        ValueError: Numbers that do not fit each other, or a bad value.

    Source: He et al., Deep Residual Learning (2015); He et al., Bag of Tricks (2018), for the deep
    stem and the averages; MMSegmentation 0.30 ``ResNet``, whose parameter names it keeps.

    Examples:
        >>> backbone = ResNet(depth=18, base_channels=4, stem_channels=4).set_train(False)
        >>> [m.shape for m in backbone(ms.ops.ones((1, 3, 64, 64)))]
        [(1, 4, 16, 16), (1, 8, 8, 8), (1, 16, 4, 4), (1, 32, 2, 2)]
    """

    blocks: ClassVar[Mapping[int, tuple[type[ResidualBlock], tuple[int, ...]]]] = {
        18: (BasicBlock, (2, 2, 2, 2)),
        34: (BasicBlock, (3, 4, 6, 3)),
        50: (Bottleneck, (3, 4, 6, 3)),
        101: (Bottleneck, (3, 4, 23, 3)),
        152: (Bottleneck, (3, 8, 36, 3)),
    }

    @checked
    def __init__(
        self,
        depth: int,
        in_channels: Channels = 3,
        stem_channels: StemChannels = 64,
        base_channels: Channels = 64,
        num_stages: Annotated[int, Range(1, 4)] = 4,
        strides: Annotated[Sequence[Step], FourAtMost] = (1, 2, 2, 2),
        dilations: Annotated[Sequence[Step], FourAtMost] = (1, 1, 1, 1),
        out_indices: Annotated[Sequence[Stage], FourAtMost] = (0, 1, 2, 3),
        style: Literal['pytorch', 'caffe'] = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: Annotated[int, Range(-1, 4)] = -1,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        norm_eval: bool = False,
        dcn: None = None,
        stage_with_dcn: Annotated[Sequence[bool], FourAtMost] = (False, False, False, False),
        plugins: None = None,
        multi_grid: Sequence[Step] | None = None,
        contract_dilation: bool = False,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        check_one_of('depth', depth, self.blocks, who=type(self).__name__)
        block, num_blocks = self.blocks[depth]
        num_blocks = num_blocks[:num_stages]
        self._check_stages(num_blocks, strides, dilations, out_indices, frozen_stages, multi_grid)
        self.in_channels = in_channels
        self.base_channels = base_channels
        self.deep_stem = deep_stem
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg.copy()
        self._make_stem(in_channels, stem_channels)
        options = {'style': style, 'avg_down': avg_down, 'with_cp': with_cp}
        options |= {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
        width_in, widths = stem_channels, []
        for i, count in enumerate(num_blocks):
            width = base_channels * 2**i
            first = dilations[i] // 2 if contract_dilation else dilations[i]
            by_block = [max(first, 1)] + [dilations[i]] * (count - 1)
            if multi_grid is not None and i == num_stages - 1:
                by_block = multi_grid
            options |= self._block_options(width)
            layer = make_res_layer(block, width_in, width, count, strides[i], by_block, **options)
            setattr(self, f'layer{i + 1}', layer)
            width_in = width * block.expansion
            widths.append(width_in)
        self.layer_names = tuple(f'layer{i + 1}' for i in range(num_stages))
        self.out_indices = tuple(sorted(set(out_indices)))
        self.out_channels = [widths[i] for i in self.out_indices]
        self.out_strides = [4 * math.prod(strides[: i + 1]) for i in self.out_indices]
        if zero_init_residual and pretrained is None and init_cfg is None:
            self._zero_residuals()
        self.init_cfg = init_cfg
        self.pretrained = pretrained
        self._freeze(frozen_stages, norm_eval)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give the maps of `out_indices` for an (n, c, h, w) image of any size."""
        if self.deep_stem:
            x = self.stem(image)
        else:
            x = self.relu(getattr(self, self.norm1_name)(self.conv1(image)))
        x = self.maxpool(x)
        maps = ()
        for i in range(len(self.layer_names)):
            x = getattr(self, self.layer_names[i])(x)
            if i in self.out_indices:
                maps = maps + (x,)
        return maps

    def _block_options(self, channels: int) -> dict[str, Any]:
        """Return further arguments of the blocks of a stage with these channels."""
        return {}

    def _make_stem(self, in_channels: int, channels: int) -> None:
        self.maxpool = nn.MaxPool2d(3, 2, 'pad', padding=1)
        if not self.deep_stem:
            self.conv1 = build_conv_layer(
                self.conv_cfg, in_channels, channels, 7, stride=2, padding=3, bias=False
            )
            self.norm1_name, norm = build_norm_layer(self.norm_cfg, channels, 1)
            setattr(self, self.norm1_name, norm)
            self.relu = nn.ReLU()
            return
        layers = []
        widths = [in_channels, channels // 2, channels // 2, channels]
        for i in range(3):
            options = {'stride': 1 if i else 2, 'padding': 1, 'bias': False}
            layers.append(build_conv_layer(self.conv_cfg, *widths[i : i + 2], 3, **options))
            layers.append(build_norm_layer(self.norm_cfg, widths[i + 1])[1])
            layers.append(nn.ReLU())
        self.stem = nn.SequentialCell(layers)

    def _zero_residuals(self) -> None:
        for _, cell in self.cells_and_names():
            if isinstance(cell, ResidualBlock):
                name = getattr(cell, f'norm{cell.num_layers}_name')
                apply_init_cfg(cell, {'type': 'Constant', 'val': 0, 'override': {'name': name}})

    def _freeze(self, frozen_stages: int, norm_eval: bool) -> None:
        stem = [self.stem] if self.deep_stem else [self.conv1, getattr(self, self.norm1_name)]
        layers = [getattr(self, name) for name in self.layer_names[: max(frozen_stages, 0)]]
        for cell in stem + layers if frozen_stages >= 0 else []:
            freeze_parameters(cell)
            freeze_statistics(cell)
        if norm_eval:
            freeze_statistics(self)

    def _check_stages(
        self,
        num_blocks: Sequence[int],
        strides: Sequence[int],
        dilations: Sequence[int],
        out_indices: Sequence[int],
        frozen_stages: int,
        multi_grid: Sequence[int] | None,
    ) -> None:
        """Raise ArgumentError unless the numbers fit the number of stages."""
        count = len(num_blocks)
        for name, values in (('strides', strides), ('dilations', dilations)):
            if len(values) != count:
                expected = f'{count} numbers, as many as num_stages'
                raise self._error(name, values, expected)
        if max(out_indices) >= count:
            raise self._error('out_indices', out_indices, f'stages from 0 to {count - 1}')
        if frozen_stages > count:
            raise self._error('frozen_stages', frozen_stages, f'at most num_stages, {count}')
        if multi_grid is not None and len(multi_grid) < num_blocks[-1]:
            expected = f'{num_blocks[-1]} numbers, one for each block of the last stage'
            raise self._error('multi_grid', multi_grid, expected)

    def _error(self, key: str, got: Any, expected: str) -> ArgumentError:
        return ArgumentError(key=key, got=got, expected=expected, who=type(self).__name__)


@BACKBONES.register_module()
class ResNetV1c(ResNet):
    """ResNet with a stem of three 3x3 convolutions.

    Args:
        deep_stem: True.
        avg_down: False.
        **kwargs: See `ResNet`.

    Source: He et al., Bag of Tricks (2018); MMSegmentation 0.30 ``ResNetV1c``.
    """

    @checked
    def __init__(
        self,
        deep_stem: Literal[True] = True,
        avg_down: Literal[False] = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(deep_stem=deep_stem, avg_down=avg_down, **kwargs)


@BACKBONES.register_module()
class ResNetV1d(ResNet):
    """ResNet with a stem of three 3x3 convolutions, whose shortcuts average pixels.

    Args:
        deep_stem: True.
        avg_down: True.
        **kwargs: See `ResNet`.

    Source: He et al., Bag of Tricks (2018); MMSegmentation 0.30 ``ResNetV1d``.
    """

    @checked
    def __init__(
        self, deep_stem: Literal[True] = True, avg_down: Literal[True] = True, **kwargs: Any
    ) -> None:
        super().__init__(deep_stem=deep_stem, avg_down=avg_down, **kwargs)

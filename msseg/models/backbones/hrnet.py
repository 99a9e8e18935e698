"""HRNet: a backbone that keeps high resolution throughout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import mindspore as ms
from mindspore import nn

from msseg.models.backbones.hr_module import HRModule
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
from msseg.registry import call_with_cfg
from msseg.utils.arguments import Channels, File, NonEmpty, Range, checked

_BLOCKS = {'BASIC': BasicBlock, 'BOTTLENECK': Bottleneck}
_STAGES = ('stage1', 'stage2', 'stage3', 'stage4')
Depth = Annotated[int, Range(1, 64)]
_STEM_CHANNELS = 64


@BACKBONES.register_module()
class HRNet(nn.Cell):
    """HRNet: four feature maps of 1/4, 1/8, 1/16 and 1/32 of the image's size.

    Args:
        extra: ``stage1`` to ``stage4``, each a dict of ``num_modules``, ``num_branches``,
            ``block`` (``'BASIC'`` or ``'BOTTLENECK'``), ``num_blocks`` and ``num_channels`` (one
            number per branch).
        in_channels: Channels of the image.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        norm_eval: Whether batch norm uses its running statistics in training.
        with_cp: Recompute residual blocks in the backward pass, to save memory.
        frozen_stages: The stem (0) and the stages up to this one are not trained; -1 trains all.
        zero_init_residual: Whether residual blocks start as the identity.
        multiscale_output: Whether to give all resolutions or only the highest.
        pretrained: Weights that training loads first; kept as ``pretrained``, never loaded here.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.
        align_corners: How the fusion resizes; False as MMSegmentation, True as the reference
            implementation with ``ALIGN_CORNERS``.
        fuse_upsample: ``'bilinear'``, as segmentation networks; ``'nearest'``, as the HRNets that
            classify ImageNet (the authors' and timm's), whose feature maps it gives.

    Raises:
        ValueError: A stage in `extra` is missing or contradicts itself, or a bad value.

    Source: Sun et al., High-Resolution Representations for Labeling Pixels and Regions (2019);
    MMSegmentation 0.30 ``HRNet``, whose parameter names it keeps.
    """

    @checked
    def __init__(
        self,
        extra: Mapping,
        in_channels: Channels = 3,
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        norm_eval: bool = False,
        with_cp: bool = False,
        frozen_stages: Annotated[int, Range(-1, 4)] = -1,
        zero_init_residual: bool = False,
        multiscale_output: bool = True,
        pretrained: File | None = None,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
        align_corners: bool = False,
        fuse_upsample: Literal['bilinear', 'nearest'] = 'bilinear',
    ) -> None:
        super().__init__()
        _check_extra(extra)
        if align_corners and fuse_upsample != 'bilinear':
            raise ValueError("HRNet: align_corners=True is for fuse_upsample='bilinear'")
        self.in_channels = in_channels
        self.conv_cfg, self.norm_cfg = conv_cfg, norm_cfg.copy()
        options = {'with_cp': with_cp, 'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
        resizing = {'align_corners': align_corners, 'fuse_upsample': fuse_upsample}
        self._make_stem(in_channels)

        stage1 = extra['stage1']
        block, width = _BLOCKS[stage1['block']], stage1['num_channels'][0]
        self.layer1 = make_res_layer(
            block, _STEM_CHANNELS, width, stage1['num_blocks'][0], **options
        )
        before = [width * block.expansion]
        for i in (2, 3, 4):
            stage = extra[f'stage{i}']
            after = [width * _BLOCKS[stage['block']].expansion for width in stage['num_channels']]
            is_multiscale = multiscale_output or i < 4
            modules = _make_stage(stage, after, is_multiscale, **resizing, **options)
            setattr(self, f'transition{i - 1}', self._make_transition(before, after))
            setattr(self, f'stage{i}', modules)
            before = after
        self.out_channels = before if multiscale_output else before[:1]

        if zero_init_residual:
            self._zero_residuals()
        self.init_cfg = init_cfg
        self.pretrained = pretrained
        self._freeze(frozen_stages, norm_eval)

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ...]:
        """Give feature maps, highest resolution first, for an (n, c, h, w) image of any size."""
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.relu(self.bn2(self.conv2(x)))
        xs = (self.layer1(x),)
        xs = self._run_stage(self.transition1, self.stage2, xs)
        xs = self._run_stage(self.transition2, self.stage3, xs)
        return self._run_stage(self.transition3, self.stage4, xs)

    def _run_stage(
        self, transition: nn.CellList, stage: nn.CellList, xs: tuple[ms.Tensor, ...]
    ) -> tuple[ms.Tensor, ...]:
        # A branch that exists goes on from its own map, a new one from the lowest resolution.
        last = len(xs) - 1
        entered = ()
        for i in range(len(transition)):
            entered = entered + (transition[i](xs[min(i, last)]),)
        for module in stage:
            entered = module(entered)
        return entered

    def _make_stem(self, in_channels: int) -> None:
        for i, channels in enumerate((in_channels, _STEM_CHANNELS), 1):
            conv = build_conv_layer(
                self.conv_cfg, channels, _STEM_CHANNELS, 3, stride=2, padding=1, bias=False
            )
            setattr(self, f'conv{i}', conv)
            setattr(self, f'bn{i}', build_norm_layer(self.norm_cfg, _STEM_CHANNELS)[1])
        self.relu = nn.ReLU()

    def _make_transition(self, before: list[int], after: list[int]) -> nn.CellList:
        layers = []
        for i, width in enumerate(after):
            if i < len(before):
                same = width == before[i]
                layers.append(nn.Identity() if same else self._conv_block(before[i], width, 1))
            else:
                count = i + 1 - len(before)
                widths = [before[-1]] * count + [width]
                steps = [self._conv_block(widths[k], widths[k + 1], 2) for k in range(count)]
                layers.append(nn.SequentialCell(steps))
        return nn.CellList(layers)

    def _conv_block(self, in_channels: int, out_channels: int, stride: int) -> nn.SequentialCell:
        options = {'stride': stride, 'padding': 1, 'bias': False}
        conv = build_conv_layer(self.conv_cfg, in_channels, out_channels, 3, **options)
        norm = build_norm_layer(self.norm_cfg, out_channels)[1]
        return nn.SequentialCell([conv, norm, nn.ReLU()])

    def _zero_residuals(self) -> None:
        for _, cell in self.cells_and_names():
            if isinstance(cell, (BasicBlock, Bottleneck)):
                apply_init_cfg(
                    cell.last_norm, {'type': 'Constant', 'val': 0, 'layer': '_BatchNorm'}
                )

    def _freeze(self, frozen_stages: int, norm_eval: bool) -> None:
        names = ['conv1', 'bn1', 'conv2', 'bn2'] if frozen_stages >= 0 else []
        for i in range(1, frozen_stages + 1):
            names.append('layer1' if i == 1 else f'stage{i}')
            if i < 4:
                names.append(f'transition{i}')
        for name in names:
            freeze_parameters(getattr(self, name))
            freeze_statistics(getattr(self, name))
        if norm_eval:
            freeze_statistics(self)


def _make_stage(
    config: Mapping, channels: list[int], multiscale_output: bool, **options: Any
) -> nn.CellList:
    """Build a stage's modules; only the last may leave out the lower resolutions."""
    last = config['num_modules'] - 1
    sizes = (config['num_blocks'], channels, config['num_channels'])
    return nn.CellList(
        [
            HRModule(_BLOCKS[config['block']], *sizes, multiscale_output or i < last, **options)
            for i in range(config['num_modules'])
        ]
    )


@checked
def stage_options(
    num_modules: Depth,
    num_branches: Annotated[int, Range(1, 4)],
    block: Literal['BASIC', 'BOTTLENECK'],
    num_blocks: NonEmpty[Depth],
    num_channels: NonEmpty[Channels],
) -> None:
    """Declare the arguments of a stage, for `call_with_cfg` to check."""


def _check_extra(extra: Mapping) -> None:
    for name in _STAGES:
        if name not in extra:
            raise ValueError(f'HRNet: extra has no {name!r}, expected {list(_STAGES)}')
        stage = extra[name]
        call_with_cfg(stage_options, stage, f'HRNet: extra.{name}')
        for key in ('num_blocks', 'num_channels'):
            if len(stage[key]) != stage['num_branches']:
                raise ValueError(
                    f'HRNet: extra.{name}.{key} is {tuple(stage[key])!r}, expected '
                    f'{stage["num_branches"]} numbers, as many as num_branches'
                )

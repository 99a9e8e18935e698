"""One module of an HRNet stage: parallel branches, then fusion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import nn

from msseg.models.layers import build_conv_layer, build_norm_layer, make_res_layer, resize
from msseg.models.layers.norm import BN
from msseg.models.layers.resize import repeat_pixels


class HRModule(nn.Cell):
    """Residual blocks at each resolution, then every output sums all resolutions.

    Args:
        block: The residual block's class.
        num_blocks: Blocks per branch, highest resolution first.
        in_channels: Channels per branch on entry.
        num_channels: The blocks' channels per branch.
        multiscale_output: Whether to give all resolutions or only the highest.
        align_corners: How to resize in the fusion. False resizes as MMSegmentation: by the
            power of two, then, where an odd size was rounded up, to the target's size. True
            resizes as the reference implementation: at once to the target's size.
        fuse_upsample: See `HRNet`, as for the others.

    Source: Sun et al., High-Resolution Representations for Labeling Pixels and Regions (2019),
    section 3.1; MMSegmentation 0.30 ``HRModule``.
    """

    def __init__(
        self,
        block: type[nn.Cell],
        num_blocks: Sequence[int],
        in_channels: Sequence[int],
        num_channels: Sequence[int],
        multiscale_output: bool = True,
        align_corners: bool = False,
        fuse_upsample: str = 'bilinear',
        conv_cfg: dict | None = None,
        norm_cfg: Mapping = BN,
        with_cp: bool = False,
    ) -> None:
        super().__init__()
        self.num_branches = len(num_blocks)
        self.num_outputs = self.num_branches if multiscale_output else 1
        self.align_corners = align_corners
        self.repeats_pixels = fuse_upsample == 'nearest'
        # Whether to resize to a size even if the map has it: MindSpore 2.8 cannot load an exported
        # network of any size that compares sizes first.
        self.always_resizes = False
        options = {'with_cp': with_cp, 'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
        branches = zip(in_channels, num_channels, num_blocks, strict=True)
        self.branches = nn.CellList([make_res_layer(block, *each, **options) for each in branches])
        channels = [width * block.expansion for width in num_channels]
        if self.num_branches > 1:
            rows = [
                [
                    _make_fuse_layer(i, j, channels, conv_cfg, norm_cfg)
                    for j in range(self.num_branches)
                ]
                for i in range(self.num_outputs)
            ]
            self.fuse_layers = nn.CellList([nn.CellList(row) for row in rows])
        self.relu = nn.ReLU()

    def construct(self, inputs: tuple[ms.Tensor, ...]) -> tuple[ms.Tensor, ...]:
        """Apply branches and fusion to one (n, c_i, h_i, w_i) per branch."""
        xs = ()
        for i in range(self.num_branches):
            xs = xs + (self.branches[i](inputs[i]),)
        if self.num_branches == 1:
            return xs
        outputs = ()
        for i in range(self.num_outputs):
            outputs = outputs + (self.relu(self._fuse(i, xs)),)
        return outputs

    def _fuse(self, i: int, xs: tuple[ms.Tensor, ...]) -> ms.Tensor:
        total = xs[i]
        for j in range(self.num_branches):
            if j != i:
                y = self.fuse_layers[i][j](xs[j])
                if j > i:
                    y = self._upsample(y, 2 ** (j - i), xs[i].shape[2:])
                total = total + y
        return total

    def _upsample(self, x: ms.Tensor, factor: int, size: tuple[int, int]) -> ms.Tensor:
        if self.repeats_pixels:
            return repeat_pixels(x, factor, size)
        if not self.align_corners:
            x = resize(x, (x.shape[2] * factor, x.shape[3] * factor), False)
            if not self.always_resizes and x.shape[2:] == size:
                return x
        return resize(x, size, self.align_corners)


def _make_fuse_layer(
    i: int, j: int, channels: Sequence[int], conv_cfg: dict | None, norm_cfg: Mapping
) -> nn.Cell:
    """Layers from branch j to branch i: 1x1 up, strided 3x3 down, nothing for the same."""
    if i == j:
        return nn.Identity()
    if j > i:
        return nn.SequentialCell(
            build_conv_layer(conv_cfg, channels[j], channels[i], 1, bias=False),
            build_norm_layer(norm_cfg, channels[i])[1],
        )
    steps = []
    for k in range(i - j):
        is_last = k == i - j - 1
        width = channels[i] if is_last else channels[j]
        layers = [
            build_conv_layer(conv_cfg, channels[j], width, 3, stride=2, padding=1, bias=False),
            build_norm_layer(norm_cfg, width)[1],
        ]
        steps.append(nn.SequentialCell(layers if is_last else [*layers, nn.ReLU()]))
    return nn.SequentialCell(steps)

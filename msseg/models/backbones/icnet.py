"""ICNet: three branches, of which only the smallest image goes through the whole backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mindspore as ms
from mindspore import nn, ops

from msseg.models.builder import BACKBONES, build_backbone
from msseg.models.contract import check_inner_backbone
from msseg.models.decode_heads.psp_head import PPM, Bins
from msseg.models.layers import ConvModule, Rescale
from msseg.models.layers.activation import RELU
from msseg.models.layers.norm import BN
from msseg.utils.arguments import Channels, NonEmpty, checked

_STAGES = ('stem', 'maxpool', 'layer1', 'layer2', 'layer3', 'layer4')


@BACKBONES.register_module()
class ICNet(nn.Cell):
    """ICNet's encoder, with three maps: of the image, of half and of a quarter of its size.

    They are 1/8, 1/16 and 1/32 of the image's size with the strides of ICNet's configs. The first
    comes from three convolutions, the second from two stages of the backbone, the third from all
    four and pyramid pooling. ``smallest_image`` is the smallest height and width.

    Args:
        backbone_cfg: The config of a ResNet of four stages with a deep stem, such as
            ``ResNetV1c``, which gives all its maps.
        in_channels: Channels of the image.
        layer_channels: Channels of the second and the fourth map of the backbone.
        light_branch_middle_channels: Channels of the first two convolutions of the first branch.
        psp_out_channels: Channels of each part of the pyramid pooling, and of its result.
        out_channels: Channels of the maps. The attribute is a list of them.
        pool_scales: The pyramid pooling's grids' numbers of rows and columns.
        conv_cfg: See `build_conv_layer`.
        norm_cfg: See `build_norm_layer`.
        act_cfg: The activation of the pyramid pooling, see `build_activation_layer`; that of the
            other layers is ReLU.
        align_corners: How maps are resized.
        init_cfg: See `apply_init_cfg`; by default Kaiming for convolutions, 1 and 0 for norms.

    Raises:
        TypeError: A backbone without such parts.
        ValueError: Channels that do not fit the backbone.

    Source: Zhao et al., ICNet for Real-Time Semantic Segmentation on High-Resolution Images (2018),
    arXiv:1704.08545; MMSegmentation 0.30 ``ICNet``, whose parameter names it keeps.

    Examples:
        >>> resnet = dict(type='ResNetV1c', depth=18, base_channels=4, stem_channels=4)
        >>> net = ICNet(resnet, layer_channels=(8, 32), psp_out_channels=4, out_channels=(4, 8, 8))
        >>> [m.shape for m in net.set_train(False)(ms.ops.ones((1, 3, 128, 64)))]
        [(1, 4, 16, 8), (1, 8, 9, 5), (1, 8, 1, 1)]
    """

    @checked
    def __init__(
        self,
        backbone_cfg: Mapping,
        in_channels: Channels = 3,
        layer_channels: tuple[Channels, Channels] = (512, 2048),
        light_branch_middle_channels: Channels = 32,
        psp_out_channels: Channels = 512,
        out_channels: tuple[Channels, Channels, Channels] = (64, 256, 256),
        pool_scales: NonEmpty[Bins] = (1, 2, 3, 6),
        conv_cfg: Mapping | None = None,
        norm_cfg: Mapping = BN,
        act_cfg: Mapping = RELU,
        align_corners: bool = False,
        init_cfg: Mapping | Sequence[Mapping] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = list(out_channels)
        self.backbone = _build_inner(backbone_cfg, in_channels, layer_channels)
        self.smallest_image = _smallest_image(backbone_cfg.get('strides', (1, 2, 2, 2)))
        self.halve = Rescale(0.5, align_corners)
        options = {'conv_cfg': conv_cfg, 'norm_cfg': norm_cfg}
        pooling = {**options, 'act_cfg': act_cfg}
        self.psp_modules = PPM(
            pool_scales, layer_channels[1], psp_out_channels, align_corners, **pooling
        )
        concatenated = layer_channels[1] + len(pool_scales) * psp_out_channels
        self.psp_bottleneck = ConvModule(concatenated, psp_out_channels, 3, padding=1, **pooling)
        middle = light_branch_middle_channels
        self.conv_sub1 = nn.SequentialCell(
            ConvModule(in_channels, middle, 3, 2, 1, **options),
            ConvModule(middle, middle, 3, 2, 1, **options),
            ConvModule(middle, out_channels[0], 3, 2, 1, **options),
        )
        self.conv_sub2 = ConvModule(layer_channels[0], out_channels[1], 1, **options)
        self.conv_sub4 = ConvModule(psp_out_channels, out_channels[2], 1, **options)
        self.init_cfg = init_cfg

    def construct(self, image: ms.Tensor) -> tuple[ms.Tensor, ms.Tensor, ms.Tensor]:
        """Give the three maps for an (n, c, h, w) image."""
        sub1 = self.conv_sub1(image)
        x = self.backbone.maxpool(self.backbone.stem(self.halve(image)))
        x = self.backbone.layer2(self.backbone.layer1(x))
        sub2 = self.conv_sub2(x)
        x = self.backbone.layer4(self.backbone.layer3(self.halve(x)))
        x = self.psp_bottleneck(ops.concat(self.psp_modules(x) + (x,), axis=1))
        return sub1, sub2, self.conv_sub4(x)


def _build_inner(config: Mapping, in_channels: int, layer_channels: Sequence[int]) -> nn.Cell:
    """Build the backbone inside of it, whose pooling keeps what is beyond the last whole window."""
    backbone = build_backbone(config)
    missing = [name for name in _STAGES if not hasattr(backbone, name)]
    if missing:
        raise TypeError(
            f'ICNet: backbone_cfg gives {type(backbone).__name__} without {", ".join(missing)}, '
            'expected a ResNet of four stages with a deep stem, such as ResNetV1c'
        )
    maps = (None, layer_channels[0], None, layer_channels[1])
    check_inner_backbone(backbone, in_channels, maps, 'ICNet')
    backbone.maxpool = nn.MaxPool2d(3, 2, pad_mode='pad', padding=1, ceil_mode=True)
    return backbone


def _smallest_image(strides: Sequence[int]) -> int:
    """Return the smallest size of an image of which a pixel is left for the third branch."""

    def second_map(size: int) -> int:
        size = (size // 2 + 1) // 2 // 2 + 1
        for stride in strides[:2]:
            size = -(-size // stride)
        return size

    size = 2
    while second_map(size) < 2:
        size += 1
    return size

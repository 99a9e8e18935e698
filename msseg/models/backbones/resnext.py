"""ResNeXt: a ResNet whose 3x3 convolutions have groups of channels."""

from __future__ import annotations

from typing import Annotated, Any

from msseg.models.backbones.resnet import ResNet
from msseg.models.builder import BACKBONES
from msseg.utils.arguments import Range, checked

Groups = Annotated[int, Range(1, 1024)]


@BACKBONES.register_module()
class ResNeXt(ResNet):
    """ResNeXt of 50, 101 or 152 layers.

    Args:
        groups: Groups of channels of the blocks' 3x3 convolutions; 1 gives a ResNet.
        base_width: Channels of a group in the first stage; every further stage has twice as many.
        zero_init_residual: Whether residual blocks start as the identity. In MMSegmentation it has
            no effect here, hence the default.
        **kwargs: See `ResNet`.

    Source: Xie et al., Aggregated Residual Transformations for Deep Neural Networks (2016);
    MMSegmentation 0.30 ``ResNeXt``.

    Examples:
        >>> ResNeXt(depth=50, groups=32, num_stages=1, strides=[1], dilations=[1],
        ...         out_indices=[0]).layer1[0].conv2.weight.shape
        (128, 4, 3, 3)
    """

    blocks = {depth: ResNet.blocks[depth] for depth in (50, 101, 152)}

    @checked
    def __init__(
        self,
        groups: Groups = 1,
        base_width: Groups = 4,
        zero_init_residual: bool = False,
        **kwargs: Any,
    ) -> None:
        # before the base class builds the blocks
        self.groups, self.base_width = groups, base_width
        super().__init__(zero_init_residual=zero_init_residual, **kwargs)

    def _block_options(self, channels: int) -> dict[str, Any]:
        if self.groups == 1:
            return {}
        width = self.base_width * channels // self.base_channels * self.groups
        return {'width': width, 'groups': self.groups}

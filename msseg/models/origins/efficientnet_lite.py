"""Names of EfficientNet-Lites in other projects: EfficientNet-PyTorch's and timm's."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from msseg.convert import LeftAside, Rules, has_name, in_backbone, register_names
from msseg.convert.rules import Fate
from msseg.models.backbones.efficientnet_lite import ARCHS, stage_depths

_CLASSIFIER = LeftAside('part of the classifier')

# Also the names of EfficientNet-Lite-PyTorch, whose files are in Python packages of their own.
_EFFICIENTNET_PYTORCH: dict[str, Fate] = {
    r'_conv_stem\.': 'conv1.conv.',
    r'_bn0\.': 'conv1.bn.',
    r'_blocks\.(\d+)\._expand_conv\.': r'blocks.\1.expand_conv.conv.',
    r'_blocks\.(\d+)\._bn0\.': r'blocks.\1.expand_conv.bn.',
    r'_blocks\.(\d+)\._depthwise_conv\.': r'blocks.\1.depthwise_conv.conv.',
    r'_blocks\.(\d+)\._bn1\.': r'blocks.\1.depthwise_conv.bn.',
    r'_blocks\.(\d+)\._project_conv\.': r'blocks.\1.linear_conv.conv.',
    r'_blocks\.(\d+)\._bn2\.': r'blocks.\1.linear_conv.bn.',
    r'_(?:conv_head|bn1|fc)\.': _CLASSIFIER,
}


def _timm_table(depths: list[int]) -> dict[str, Fate]:
    """Return the rules for timm's names, which count the blocks of each stage from 0."""
    layers = {
        'conv_pw': 'expand_conv.conv',
        'bn1': 'expand_conv.bn',
        'conv_dw': 'depthwise_conv.conv',
        'bn2': 'depthwise_conv.bn',
        'conv_pwl': 'linear_conv.conv',
        'bn3': 'linear_conv.bn',
    }
    # the first block, which expands nothing, counts its layers from the depthwise one
    first = {
        'conv_dw': 'depthwise_conv.conv',
        'bn1': 'depthwise_conv.bn',
        'conv_pw': 'linear_conv.conv',
        'bn2': 'linear_conv.bn',
    }
    table: dict[str, Fate] = {
        r'conv_stem\.': 'conv1.conv.',
        r'bn1\.': 'conv1.bn.',
        r'(?:conv_head|bn2|classifier)\.': _CLASSIFIER,
    }
    for i, depth in enumerate(depths):
        for k in range(depth):
            number = sum(depths[:i]) + k
            for old, new in (layers if i else first).items():
                table[rf'blocks\.{i}\.{k}\.{old}\.'] = f'blocks.{number}.{new}.'
    return table


def _is_of_timm(names: Collection[str], depths: list[int]) -> bool:
    """Return whether a file has timm's names of these numbers of blocks, and no excitation."""
    if not has_name(names, 'conv_stem.weight', 'blocks.0.0.conv_pw.weight'):
        return False
    starts = {tuple(name.removeprefix('backbone.').split('.')[:3]) for name in names}
    blocks = [len([s for s in starts if s[:2] == ('blocks', str(i))]) for i in range(8)]
    return blocks == [*depths, 0] and not any('.se.' in name for name in names)


def _is_of_efficientnet_pytorch(names: Collection[str]) -> bool:
    is_lite = not any('._se_' in name for name in names)
    return is_lite and has_name(names, '_conv_stem.weight', '_blocks.0._project_conv.weight')


register_names('efficientnet_pytorch', _is_of_efficientnet_pytorch)(
    Rules(in_backbone(_EFFICIENTNET_PYTORCH))
)
# lite1 and lite2 have the same numbers of blocks
for _depths in {tuple(stage_depths(arch)): None for arch in ARCHS}:
    register_names(
        f'timm_efficientnet_lite_{sum(_depths)}', partial(_is_of_timm, depths=list(_depths))
    )(Rules(in_backbone(_timm_table(list(_depths)))))

"""Names of ConvNeXts in other projects: the authors' and timm's."""

from __future__ import annotations

from collections.abc import Collection

from msseg.convert import LeftAside, Rules, has_name, in_backbone, register_names
from msseg.convert.rules import Fate

_CLASSIFIER = LeftAside('part of the classifier')
_FINAL_NORM = LeftAside('the norm before the classifier')

_AUTHORS: dict[str, Fate] = {
    r'head\.': _CLASSIFIER,
    r'norm\.': _FINAL_NORM,
    r'norm(\d+)\.': r'norm\1.',
    r'downsample_layers\.': 'downsample_layers.',
    r'stages\.(\d+)\.(\d+)\.dwconv\.': r'stages.\1.\2.depthwise_conv.',
    r'stages\.(\d+)\.(\d+)\.pwconv([12])\.': r'stages.\1.\2.pointwise_conv\3.',
    r'stages\.(\d+)\.(\d+)\.(norm\.|gamma$)': r'stages.\1.\2.\3',
}
_TIMM: dict[str, Fate] = {
    r'head\.norm\.': _FINAL_NORM,
    r'(?:head|norm_pre)\.': _CLASSIFIER,
    r'stem\.': 'downsample_layers.0.',
    r'stages\.(\d+)\.downsample\.': r'downsample_layers.\1.',
    r'stages\.(\d+)\.blocks\.(\d+)\.conv_dw\.': r'stages.\1.\2.depthwise_conv.',
    r'stages\.(\d+)\.blocks\.(\d+)\.mlp\.fc([12])\.': r'stages.\1.\2.pointwise_conv\3.',
    r'stages\.(\d+)\.blocks\.(\d+)\.(norm\.|gamma$)': r'stages.\1.\2.\3',
}


def _is_of_authors(names: Collection[str]) -> bool:
    return has_name(names, 'stages.0.0.dwconv.weight')


def _is_of_timm(names: Collection[str]) -> bool:
    return has_name(names, 'stem.0.weight', 'stages.0.blocks.0.conv_dw.weight')


register_names('convnext', _is_of_authors)(Rules(in_backbone(_AUTHORS)))
register_names('timm_convnext', _is_of_timm)(Rules(in_backbone(_TIMM)))

"""Names of ConvNeXts in other projects: the authors', timm's and MindCV's."""

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
# Stages and what precedes each of them are in one sequence.
_MINDCV: dict[str, Fate] = {r'classifier\.': _CLASSIFIER, r'norm\.': _FINAL_NORM}
for _i in range(4):
    _stage, _to = rf'feature\.{2 * _i + 1}\.(\d+)\.', rf'stages.{_i}.\1.'
    _MINDCV |= {
        rf'feature\.{2 * _i}\.': f'downsample_layers.{_i}.',
        _stage + r'dwconv\.': _to + 'depthwise_conv.',
        _stage + r'pwconv([12])\.': _to + r'pointwise_conv\2.',
        _stage + 'gamma_$': _to + 'gamma',
        _stage + r'norm\.': _to + 'norm.',
    }


def _is_of_authors(names: Collection[str]) -> bool:
    return has_name(names, 'stages.0.0.dwconv.weight')


def _is_of_timm(names: Collection[str]) -> bool:
    return has_name(names, 'stem.0.weight', 'stages.0.blocks.0.conv_dw.weight')


def _is_of_mindcv(names: Collection[str]) -> bool:
    return has_name(names, 'feature.0.0.weight', 'feature.1.0.gamma_')


register_names('convnext', _is_of_authors)(Rules(in_backbone(_AUTHORS)))
register_names('timm_convnext', _is_of_timm)(Rules(in_backbone(_TIMM)))
register_names('mindcv_convnext', _is_of_mindcv)(Rules(in_backbone(_MINDCV)))

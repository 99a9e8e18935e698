"""Parameter names of HRNet, OCRNet and ResNet in other projects."""

from __future__ import annotations

import re
from collections.abc import Collection

from msseg.convert import LeftAside, Rules, has_name, in_backbone, register_names
from msseg.convert.rules import Fate

_HRNET = re.compile(r'(conv[12]|bn[12]|layer1|transition[123]|stage[234])\.')
_HRNET_ALONE = re.compile(r'(transition[123]|stage[234])\.')
_OCR_ROOTS = ('conv3x3_ocr.', 'ocr_distri_head.', 'aux_head.', 'cls_head.')
_CLASSIFIER = re.compile(r'(incre_modules|downsamp_modules|final_layer|classifier)\.')
_OPTIMIZER = re.compile(
    r'(moments|accum|stat)\.|(learning_rate|momentum|global_step|epoch_num|step_num|loss_scale|'
    r'scale_sense|scale_value|current_iterator_step|last_overflow_iterator_step)$'
)
_ATTENTION = 'decode_head.1.object_context_block'
_NORM = r'\.(0\.)?'  # a norm may be alone in a sequence


def _projection(old: str, new: str, depth: int) -> dict[str, str]:
    """Return the rules for a projection of OCR's attention, of one or two layers."""
    rules = {}
    for index in range(depth):
        source = rf'ocr_distri_head\.object_context_block\.f_{old}'
        target = f'{_ATTENTION}.{new}_project.' + (f'{index}.' if depth == 2 else '')
        rules[rf'{source}\.{2 * index}\.'] = f'{target}conv.'
        rules[rf'{source}\.{2 * index + 1}{_NORM}'] = f'{target}bn.'
    return rules


# The reference implementation's modules; `last_layer` is its HRNet's only head.
_OFFICIAL = {
    r'conv3x3_ocr\.0\.': 'decode_head.1.bottleneck.conv.',
    rf'conv3x3_ocr\.1{_NORM}': 'decode_head.1.bottleneck.bn.',
    r'cls_head\.': 'decode_head.1.conv_seg.',
    r'aux_head\.0\.': 'decode_head.0.convs.0.conv.',
    rf'aux_head\.1{_NORM}': 'decode_head.0.convs.0.bn.',
    r'aux_head\.3\.': 'decode_head.0.conv_seg.',
    r'ocr_distri_head\.conv_bn_dropout\.0\.': f'{_ATTENTION}.bottleneck.conv.',
    rf'ocr_distri_head\.conv_bn_dropout\.1{_NORM}': f'{_ATTENTION}.bottleneck.bn.',
    **_projection('pixel', 'query', 2),
    **_projection('object', 'key', 2),
    **_projection('down', 'value', 1),
    **_projection('up', 'out', 1),
    r'last_layer\.0\.': 'decode_head.convs.0.conv.',
    rf'last_layer\.1{_NORM}': 'decode_head.convs.0.bn.',
    r'last_layer\.3\.': 'decode_head.conv_seg.',
}
_OFFICIAL_RULES = [(re.compile(pattern), target) for pattern, target in _OFFICIAL.items()]


def _is_hrnet(names: Collection[str]) -> bool:
    return any(_HRNET_ALONE.match(name) for name in names)


def _is_of_mindspore(names: Collection[str]) -> bool:
    return any(name.endswith('.moving_mean') for name in names)


def _is_official(names: Collection[str]) -> bool:
    if _is_of_mindspore(names):
        return False
    has_ocr = any(name.startswith(_OCR_ROOTS) for name in names)
    return has_ocr or _is_hrnet(names) and any(name.startswith('last_layer.') for name in names)


def _is_classifier(names: Collection[str]) -> bool:
    return _is_hrnet(names) and not _is_of_mindspore(names)


def _is_of_model_zoo(names: Collection[str]) -> bool:
    found = any(_HRNET.match(name) or name.startswith(_OCR_ROOTS) for name in names)
    return found and _is_of_mindspore(names)


@register_names('official', _is_official)
def _rename_official(name: str) -> str | None:
    if name.startswith('loss.'):
        raise LeftAside('a constant of the loss')
    for pattern, target in _OFFICIAL_RULES:
        if match := pattern.match(name):
            return target + name[match.end() :]
    return _rename_classifier(name)


@register_names('timm')  # as the ImageNet HRNet names them, so it is not detected
@register_names('imagenet', _is_classifier)
def _rename_classifier(name: str) -> str | None:
    if _CLASSIFIER.match(name):
        raise LeftAside('part of the ImageNet classifier')
    return f'backbone.{name}' if _HRNET.match(name) else None


@register_names('modelzoo', _is_of_model_zoo)
def _rename_model_zoo(name: str) -> str | None:
    if _OPTIMIZER.match(name):
        raise LeftAside('state of the optimizer')
    if name.startswith('last_layer.'):
        raise LeftAside("the backbone's own, untrained head")
    return _rename_official(name)


def _is_of_mindcv(names: Collection[str]) -> int:
    has_shortcut = any('.down_sample.' in name for name in names)
    return 2 if has_shortcut and has_name(names, 'bn1.moving_mean', 'layer1.0.bn1.gamma') else 0


_MINDCV: dict[str, Fate] = {
    r'(?:incre_modules|downsample_modules|final_layer|classifier)\.': LeftAside(
        'part of the ImageNet classifier'
    ),
    r'((?:layer|stage)\S*)\.down_sample\.': r'\1.downsample.',
    r'(?=(?:conv|bn|layer|transition|stage)\d\.)': '',
}
register_names('mindcv', _is_of_mindcv)(Rules(in_backbone(_MINDCV)))

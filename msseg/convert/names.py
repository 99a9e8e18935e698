"""Other projects' parameter names in msseg's terms.

msseg has MMSegmentation's names, with MindSpore's in normalisation layers (gamma, beta,
moving_mean, moving_variance).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable

from msseg.utils.suggest import did_you_mean

STYLES = ('official', 'mmseg', 'imagenet', 'timm', 'modelzoo')

_WRAPPERS = ('module.', 'model.', 'network.', '_backbone.')
_NORM_LEAVES = {
    'weight': 'gamma',
    'bias': 'beta',
    'running_mean': 'moving_mean',
    'running_var': 'moving_variance',
}
# What MindSpore's layers call what PyTorch's call weight and so on.
_OWN_LEAVES = {
    'weight': ('gamma', 'embedding_table', 'w'),
    'bias': ('beta',),
    'running_mean': ('moving_mean',),
    'running_var': ('moving_variance',),
}
_HRNET = re.compile(r'(conv[12]|bn[12]|layer1|transition[123]|stage[234])\.')
_OCR_ROOTS = ('conv3x3_ocr.', 'ocr_distri_head.', 'aux_head.', 'cls_head.')
_MMSEG_ROOTS = ('backbone.', 'neck.', 'decode_head.', 'auxiliary_head.')
_CLASSIFIER = re.compile(r'(incre_modules|downsamp_modules|final_layer|classifier)\.')
_OPTIMIZER = re.compile(
    r'(moments|accum|stat)\.|(learning_rate|momentum|global_step|epoch_num|step_num|loss_scale|'
    r'scale_sense|scale_value|current_iterator_step|last_overflow_iterator_step)$'
)
_ATTENTION = 'decode_head.1.object_context_block'
# The reference implementation's modules. `(0\.)?`: a norm may stand in a sequence of its own.
_OFFICIAL = [
    (re.compile(r'conv3x3_ocr\.0\.'), 'decode_head.1.bottleneck.conv.'),
    (re.compile(r'conv3x3_ocr\.1\.(0\.)?'), 'decode_head.1.bottleneck.bn.'),
    (re.compile(r'cls_head\.'), 'decode_head.1.conv_seg.'),
    (re.compile(r'aux_head\.0\.'), 'decode_head.0.convs.0.conv.'),
    (re.compile(r'aux_head\.1\.(0\.)?'), 'decode_head.0.convs.0.bn.'),
    (re.compile(r'aux_head\.3\.'), 'decode_head.0.conv_seg.'),
    (re.compile(r'ocr_distri_head\.conv_bn_dropout\.0\.'), f'{_ATTENTION}.bottleneck.conv.'),
    (re.compile(r'ocr_distri_head\.conv_bn_dropout\.1\.(0\.)?'), f'{_ATTENTION}.bottleneck.bn.'),
    *(
        (
            re.compile(rf'ocr_distri_head\.object_context_block\.f_{old}\.{index}\.{inner}'),
            f'{_ATTENTION}.{new}_project.{place}{layer}.',
        )
        for old, new, depth in (
            ('pixel', 'query', 2),
            ('object', 'key', 2),
            ('down', 'value', 1),
            ('up', 'out', 1),
        )
        for index, place, layer, inner in (
            (0, '0.' if depth == 2 else '', 'conv', ''),
            (1, '0.' if depth == 2 else '', 'bn', r'(0\.)?'),
            (2, '1.', 'conv', ''),
            (3, '1.', 'bn', r'(0\.)?'),
        )
        if index < 2 * depth
    ),
]
# HRNet with one head instead of OCR's two.
_OFFICIAL_FCN = [
    (re.compile(r'last_layer\.0\.'), 'decode_head.convs.0.conv.'),
    (re.compile(r'last_layer\.1\.(0\.)?'), 'decode_head.convs.0.bn.'),
    (re.compile(r'last_layer\.3\.'), 'decode_head.conv_seg.'),
]


class LeftAside(Exception):
    """A parameter that no segmentation model has, with the reason."""


def strip_wrappers(names: Iterable[str]) -> dict[str, str]:
    """Return old to new names, without what wrappers put before the names of most.

    ``module.`` comes from PyTorch's parallel wrappers, ``model.`` from training loops that keep
    model and loss together, the others from MindSpore's.
    """
    stripped = {name: name for name in names}
    found = True
    while found:
        found = False
        for prefix in _WRAPPERS:
            having = [old for old, new in stripped.items() if new.startswith(prefix)]
            if len(having) > len(stripped) / 2:
                found = True
                for old in having:
                    stripped[old] = stripped[old].removeprefix(prefix)
    return stripped


def detect_style(names: Collection[str]) -> str | None:
    """Return which of ``STYLES`` the names, without wrappers, are in; None for none of them.

    timm's HRNet and the ImageNet HRNet have the same names: both are ``'imagenet'``.
    """
    is_mindspore = any(name.endswith('.moving_mean') for name in names)
    if any(name.startswith(_OCR_ROOTS) for name in names):
        return 'modelzoo' if is_mindspore else 'official'
    if any(name.startswith(_MMSEG_ROOTS) for name in names):
        return 'mmseg'
    if not any(_HRNET.match(name) for name in names):
        return None
    if is_mindspore:
        return 'modelzoo'
    return 'official' if any(name.startswith('last_layer.') for name in names) else 'imagenet'


def check_style(style: str) -> None:
    """Raise ValueError unless `style` is known: ``'auto'``, or whose names they are."""
    known = ('auto', *STYLES)
    if style not in known and style not in _RULES:
        raise ValueError(
            f'style {style!r} is not known, expected one of {list(known)}.'
            f'{did_you_mean(style, known)}'
        )


def rename_layers(
    names: Collection[str], style: str, wanted: Collection[str] = ()
) -> dict[str, str | LeftAside | None]:
    """Return msseg's name for each name, without wrappers.

    Args:
        names: All of a file's names.
        style: One of ``STYLES``; ``'msseg'`` for names that are msseg's already, ``'backbone'``
            for any backbone's own.
        wanted: The model's names, which tell what its layers call their parameters. Without
            them, only norms with running statistics are known as norms.

    Returns:
        Name to name; to `LeftAside` for what no segmentation model has; to None when unknown.
    """
    norms = {
        name.rpartition('.')[0]
        for name in names
        if name.endswith(('.running_mean', '.running_var'))
    }
    renamed: dict[str, str | LeftAside | None] = {}
    for name in names:
        layer, _, leaf = name.rpartition('.')
        new_leaf = _NORM_LEAVES.get(leaf, leaf) if layer in norms else leaf
        try:
            if leaf == 'num_batches_tracked':
                raise LeftAside('a counter that PyTorch keeps')
            target = _RULES[style](f'{layer}.{new_leaf}' if layer else name)
            renamed[name] = _as_in_model(target, leaf, wanted)
        except LeftAside as reason:
            renamed[name] = reason
    return renamed


def _as_in_model(target: str | None, leaf: str, wanted: Collection[str]) -> str | None:
    """Return the name that the model's layer has for a parameter of PyTorch's layer."""
    if target is None or target in wanted:
        return target
    layer = target.rpartition('.')[0]
    names = (f'{layer}.{own}' if layer else own for own in _OWN_LEAVES.get(leaf, ()))
    return next((name for name in names if name in wanted), target)


def _rename_official(name: str) -> str | None:
    if name.startswith('loss.'):
        raise LeftAside('a constant of the loss')
    for pattern, replacement in (*_OFFICIAL, *_OFFICIAL_FCN):
        if match := pattern.match(name):
            return replacement + name[match.end() :]
    return _rename_imagenet(name)


def _rename_mmseg(name: str) -> str | None:
    if name.startswith('ema_'):
        raise LeftAside("a running average that MMCV's EMAHook keeps")
    if name.startswith('log_vars') or name.endswith('.class_weight'):
        raise LeftAside('a constant of the loss')
    return name if name.startswith(_MMSEG_ROOTS) else None


def _rename_imagenet(name: str) -> str | None:
    if _CLASSIFIER.match(name):
        raise LeftAside('part of the ImageNet classifier')
    return f'backbone.{name}' if _HRNET.match(name) else None


def _rename_model_zoo(name: str) -> str | None:
    if _OPTIMIZER.match(name):
        raise LeftAside('state of the optimizer')
    if name.startswith('last_layer.'):
        raise LeftAside("the backbone's own, untrained head")
    return _rename_official(name)


def _prefix_backbone(name: str) -> str | None:
    return f'backbone.{name}'


def _keep(name: str) -> str | None:
    return name


_RULES: dict[str, Callable[[str], str | None]] = {
    'official': _rename_official,
    'mmseg': _rename_mmseg,
    'imagenet': _rename_imagenet,
    'timm': _rename_imagenet,
    'modelzoo': _rename_model_zoo,
    'backbone': _prefix_backbone,
    'msseg': _keep,
}

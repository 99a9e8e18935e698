"""Other projects' parameter names in msseg's terms.

msseg has MMSegmentation's names, with MindSpore's in normalisation layers (gamma, beta,
moving_mean, moving_variance).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from msseg.utils.errors import check_one_of

Rename = Callable[[str], str | None]
Detect = Callable[[Collection[str]], bool]

_WRAPPERS = ('module.', 'model.', 'network.', '_backbone.')
_NORM_LEAVES = {
    'weight': 'gamma',
    'bias': 'beta',
    'running_mean': 'moving_mean',
    'running_var': 'moving_variance',
}
# PyTorch's names of parameters, and those of MindSpore's layers.
_OWN_LEAVES = {
    'weight': ('gamma', 'embedding_table', 'w'),
    'bias': ('beta',),
    'running_mean': ('moving_mean',),
    'running_var': ('moving_variance',),
    'in_proj_weight': ('in_proj.weight',),  # of nn.MultiheadAttention
    'in_proj_bias': ('in_proj.bias',),
}
_OF_VIT = {  # a layer of VisionTransformer, as timm and DeiT name it
    'norm1': 'ln1',
    'norm2': 'ln2',
    'attn.qkv': 'attn.attn.in_proj',
    'attn.proj': 'attn.attn.out_proj',
    'mlp.fc1': 'ffn.layers.0.0',
    'mlp.fc2': 'ffn.layers.1',
}
_MMSEG_ROOTS = ('backbone.', 'neck.', 'decode_head.', 'auxiliary_head.')


class LeftAside(Exception):
    """Raised by a rule for a parameter that no segmentation model has, with the reason."""


@dataclass(frozen=True)
class _Origin:
    """The names of one project."""

    rename: Rename
    detect: Detect


_ORIGINS: dict[str, _Origin] = {}
# styles that are not detected by the names alone
_INNER = ('msseg', 'backbone')


def register_names(style: str, detect: Detect = lambda names: False) -> Callable[[Rename], Rename]:
    """Return a decorator that registers the rule for another project's names.

    The rule takes a parameter's name, norms with running statistics already in MindSpore's terms,
    and returns msseg's name, or None for a name that it does not know. It raises `LeftAside` for
    what no segmentation model has, such as a classifier. Styles of users are detected first.

    Args:
        style: The name of the origin, for ``--style``.
        detect: Whether a file with these names, without wrappers, is of this origin.

    Raises:
        KeyError: The style is registered already.

    Examples:
        >>> @register_names('own', lambda names: any(name.startswith('own_net.') for name in names))
        ... def rename_lab(name):
        ...     return name.replace('own_net.', 'backbone.')
        >>> detect_style(['own_net.conv1.weight'])
        'own'
        >>> rename_layers(['own_net.conv1.weight'], 'own')
        {'own_net.conv1.weight': 'backbone.conv1.weight'}
    """

    def register(rename: Rename) -> Rename:
        if style in _ORIGINS or style in _INNER:
            raise KeyError(f'the style {style!r} is registered already; take another name')
        _ORIGINS[style] = _Origin(rename, detect)
        return rename

    return register


def known_styles() -> list[str]:
    """Return the names of all styles."""
    return list(_ORIGINS)


def check_style(style: str) -> None:
    """Raise ValueError unless `style` is ``'auto'`` or the name of an origin."""
    if style not in _INNER:
        check_one_of('style', style, ('auto', *_ORIGINS))


def strip_wrappers(names: Iterable[str]) -> dict[str, str]:
    """Return old to new names, without the prefixes that wrappers put before most names.

    ``module.`` comes from PyTorch's parallel wrappers, ``model.`` from training loops that keep
    model and loss together, the others from MindSpore's.

    Examples:
        >>> strip_wrappers(['module.conv1.weight', 'epoch'])
        {'module.conv1.weight': 'module.conv1.weight', 'epoch': 'epoch'}
        >>> strip_wrappers(['module.model.conv1.weight'])
        {'module.model.conv1.weight': 'conv1.weight'}
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
    """Return the style of names without wrappers; None when no origin has such names."""
    users_first = sorted(
        _ORIGINS.items(), key=lambda item: item[1].rename.__module__.startswith('msseg.')
    )
    return next((style for style, origin in users_first if origin.detect(names)), None)


def rename_layers(
    names: Collection[str], style: str, wanted: Collection[str] = (), part: str = 'backbone.'
) -> dict[str, str | LeftAside | None]:
    """Return msseg's name for each name, without wrappers.

    Args:
        names: All names of a file.
        style: The name of an origin; ``'msseg'`` for msseg's own names, ``'backbone'`` for the
            names of any backbone.
        wanted: The model's names, which show the names of its layers' parameters. Without them,
            only norms with running statistics are known as norms.
        part: The prefix of the names of the backbone, for style ``'backbone'``.

    Returns:
        Name to name; to `LeftAside` for what no segmentation model has; to None when unknown.
    """
    if style in _INNER:
        rename: Rename = f'{part if style == "backbone" else ""}{{}}'.format
    else:
        rename = _ORIGINS[style].rename
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
            renamed[name] = _as_in_model(rename(f'{layer}.{new_leaf}' if layer else name), leaf,
                                         wanted)  # fmt: skip
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


@register_names('mmseg', lambda names: any(name.startswith(_MMSEG_ROOTS) for name in names))
def _rename_mmseg(name: str) -> str | None:
    if name.startswith('ema_'):
        raise LeftAside("a running average that MMCV's EMAHook keeps")
    if name.startswith('data_preprocessor.'):
        raise LeftAside('a constant of the pipeline')
    if name.endswith('.relative_position_index'):
        raise LeftAside('it follows from the size of the windows')
    if name.startswith('log_vars') or name.endswith('.class_weight'):
        raise LeftAside('a constant of the loss')
    return name if name.startswith(_MMSEG_ROOTS) else None


def _is_vit(names: Collection[str]) -> bool:
    return 'blocks.0.attn.qkv.weight' in names and 'blocks.0.gamma_1' not in names


@register_names('vit', _is_vit)
def _rename_vit(name: str) -> str | None:
    if name.startswith(('head.', 'head_dist.', 'pre_logits.', 'fc_norm.')) or name == 'dist_token':
        raise LeftAside('part of the ImageNet classifier')
    if name.startswith(('cls_token', 'pos_embed', 'patch_embed.', 'norm.')):
        name = name.replace('patch_embed.proj.', 'patch_embed.projection.')
        return 'backbone.' + (f'ln1.{name[5:]}' if name.startswith('norm.') else name)
    root, _, rest = name.partition('.')
    index, _, inner = rest.partition('.')
    layer = inner.rpartition('.')[0]
    if root != 'blocks' or layer not in _OF_VIT:
        return None
    return f'backbone.layers.{index}.{_OF_VIT[layer]}{inner.removeprefix(layer)}'

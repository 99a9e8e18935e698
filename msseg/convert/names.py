"""Other projects' parameter names in msseg's terms.

msseg has MMSegmentation's names, with MindSpore's in normalisation layers (gamma, beta,
moving_mean, moving_variance).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from msseg.convert.rules import LeftAside, Mapped
from msseg.utils.errors import check_one_of

Rename = Callable[[str], str | Mapped | None]
Detect = Callable[[Collection[str]], int]
Expect = Callable[[Mapping[str, Any]], dict[str, dict[str, Any]]]

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
_CLASSIFIERS = ('head.fc.', 'head.layers.')
_MMSEG_ROOTS = ('backbone.', 'neck.', 'decode_head.', 'auxiliary_head.')


@dataclass(frozen=True)
class _Origin:
    """The names of one project."""

    rename: Rename
    detect: Detect
    expect: Expect | None


_ORIGINS: dict[str, _Origin] = {}
# styles that are not detected by the names alone
_INNER = ('msseg', 'backbone')
_GENERAL = 'mmseg'  # whose names begin like those of many others


def register_names(
    style: str, detect: Detect = lambda names: 0, expect: Expect | None = None
) -> Callable[[Rename], Rename]:
    """Return a decorator that registers the rule for another project's names.

    The rule takes a parameter's name, norms with running statistics already in MindSpore's terms,
    and returns msseg's name, or None for a name that it does not know. It raises `LeftAside` for
    what no segmentation model has, such as a classifier, and returns a `Mapped` where arrays are
    joined, split or changed. `Rules` are such a rule, made of a table. Styles of users are detected
    first; where the names fit several styles, the one counts that gives the most names of the
    model.

    Args:
        style: The name of the origin, for ``--style``.
        detect: Whether a file with these names, without wrappers, is of this origin: 0 or False
            for no; of several styles, that with the highest number comes first.
        expect: What the ``config.json`` next to such a file requires of a config: part of the
            model, such as ``'backbone'``, to its settings.

    Raises:
        KeyError: The style is registered already.

    Examples:
        >>> @register_names('own', lambda names: any(name.startswith('own_net.') for name in names))
        ... def rename_lab(name):
        ...     return name.replace('own_net.', 'backbone.')
        >>> detect_style(['own_net.conv1.weight'])
        'own'
        >>> rename_layers(['own_net.conv1.weight'], 'own')['own_net.conv1.weight'].target
        'backbone.conv1.weight'
    """

    def register(rename: Rename) -> Rename:
        if style in _ORIGINS or style in _INNER:
            raise KeyError(f'the style {style!r} is registered already; take another name')
        _ORIGINS[style] = _Origin(rename, detect, expect)
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


def matching_styles(names: Iterable[str]) -> list[str]:
    """Return the styles that may have a file with these names, without wrappers."""
    names = set(names)
    sure = {style: int(origin.detect(names)) for style, origin in _ORIGINS.items()}

    def order(style: str) -> tuple[bool, bool, int]:
        module = getattr(_ORIGINS[style].detect, '__module__', None) or ''
        return module.startswith('msseg.'), style == _GENERAL, -sure[style]

    return sorted(filter(sure.get, _ORIGINS), key=order)


def detect_style(names: Iterable[str]) -> str | None:
    """Return the style of names without wrappers; None when no origin has such names."""
    return next(iter(matching_styles(names)), None)


def is_described(style: str) -> bool:
    """Return whether a style's files come with a ``config.json`` that describes the model."""
    return style in _ORIGINS and _ORIGINS[style].expect is not None


def expected_settings(style: str, config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a foreign config requires of ours: part of the model to settings.

    Empty for a style whose files come without a config.

    Raises:
        ValueError: The foreign config describes a network that msseg does not have.
    """
    origin = _ORIGINS.get(style)
    return {} if origin is None or origin.expect is None else origin.expect(config)


def rename_layers(
    names: Collection[str], style: str, wanted: Collection[str] = (), part: str = 'backbone.'
) -> dict[str, Mapped | LeftAside | None]:
    """Return what becomes of each name, without wrappers.

    Args:
        names: All names of a file.
        style: The name of an origin; ``'msseg'`` for msseg's own names, ``'backbone'`` for the
            names of any backbone.
        wanted: The model's names, which show the names of its layers' parameters. Without them,
            only norms with running statistics are known as norms.
        part: The prefix of the names of the backbone, for style ``'backbone'``.

    Returns:
        Name to its place; to `LeftAside` for what no segmentation model has; to None when unknown.
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
    fates: dict[str, Mapped | LeftAside | None] = {}
    for name in names:
        layer, _, leaf = name.rpartition('.')
        new_leaf = _NORM_LEAVES.get(leaf, leaf) if layer in norms else leaf
        try:
            if leaf == 'num_batches_tracked':
                raise LeftAside('a counter that PyTorch keeps')
            fate = rename(f'{layer}.{new_leaf}' if layer else name)
            fates[name] = None if fate is None else _as_in_model(fate, wanted)
        except LeftAside as reason:
            fates[name] = reason
    return fates


def _as_in_model(fate: str | Mapped, wanted: Collection[str]) -> Mapped:
    """Return a place with the names that the model's layers have for PyTorch's parameters."""
    if isinstance(fate, str):
        return Mapped(_of_layer(fate, wanted))
    targets = tuple(_of_layer(target, wanted) for target in fate.targets)
    return replace(fate, target=targets[0] if len(targets) == 1 else targets)


def _of_layer(target: str, wanted: Collection[str]) -> str:
    if target in wanted:
        return target
    layer, _, leaf = target.rpartition('.')
    names = (f'{layer}.{own}' if layer else own for own in _OWN_LEAVES.get(leaf, ()))
    return next((name for name in names if name in wanted), target)


@register_names('mmseg', lambda names: any(name.startswith(_MMSEG_ROOTS) for name in names))
def _rename_mmseg(name: str) -> str | None:
    if name.startswith('ema_'):
        raise LeftAside("a running average that MMCV's EMAHook keeps")
    if name.startswith(_CLASSIFIERS):
        raise LeftAside("MMClassification's classifier")
    if name.startswith('data_preprocessor.'):
        raise LeftAside('a constant of the pipeline')
    if name.endswith('.relative_position_index'):
        raise LeftAside('it follows from the size of the windows')
    if name.startswith('log_vars') or name.endswith('.class_weight'):
        raise LeftAside('a constant of the loss')
    return name if name.startswith(_MMSEG_ROOTS) else None

"""Names of components: scopes such as ``mmseg.`` and classes become names of registries here."""

from __future__ import annotations

import inspect
from typing import Any

from msseg.config.config_dict import ConfigDict

# Packages whose components have their bare name here, and those that keep a prefix.
SCOPES = {
    'mmseg': '',
    'mmengine': '',
    'mmcv': '',
    'torch': '',
    'torchvision': '',
    'mmpretrain': 'mmcls.',
    'mmcls': 'mmcls.',
}
_SCOPE_KEY = '_scope_'


def registered_name(name: str) -> str:
    """Return a component's name here, from one that may have a scope.

    >>> registered_name('mmseg.FCNHead'), registered_name('mmpretrain.ConvNeXt')
    ('FCNHead', 'mmcls.ConvNeXt')
    >>> registered_name('FCNHead'), registered_name('mmdet.DiceLoss')
    ('FCNHead', 'mmdet.DiceLoss')
    """
    scope, dot, bare = name.partition('.')
    return SCOPES[scope] + bare if dot and scope in SCOPES and '.' not in bare else name


def rename_types(value: Any) -> Any:
    """Return a copy of a config in which each ``type`` is a name of the registries here."""
    if isinstance(value, ConfigDict):
        result = value.copy()
        scope = result.pop(_SCOPE_KEY, None)
        for key, child in result.items():
            new = rename_types(child)
            if key == 'type' and inspect.isclass(new):
                new = new.__name__
            if key == 'type' and isinstance(new, str):
                new = registered_name(f'{scope}.{new}' if scope and '.' not in new else new)
            result.put(key, new, value._config_files.get(key))
        return result
    if isinstance(value, (list, tuple)) and not hasattr(value, '_fields'):
        return type(value)(rename_types(child) for child in value)
    return value

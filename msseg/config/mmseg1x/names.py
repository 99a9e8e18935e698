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
    'mmdet': 'mmdet.',
}
# PyTorch's classes that have another name in the registries.
_OF_TORCH = {
    'SyncBatchNorm': 'SyncBN',
    'BatchNorm2d': 'BN',
    'BatchNorm': 'BN',
    'GroupNorm': 'GN',
    'LayerNorm': 'LN',
    'InstanceNorm2d': 'IN',
}
_SCOPE_KEY = '_scope_'


def registered_name(name: str) -> str:
    """Return a component's name here, from one that may have a scope or the place of its class.

    >>> registered_name('mmseg.FCNHead'), registered_name('mmpretrain.models.ConvNeXt')
    ('FCNHead', 'mmcls.ConvNeXt')
    >>> registered_name('torch.nn.SyncBatchNorm'), registered_name('mmdet.models.DiceLoss')
    ('SyncBN', 'mmdet.DiceLoss')
    """
    scope, last = name.partition('.')[0], name.rpartition('.')[2]
    if scope == name or scope not in SCOPES:
        return name
    return SCOPES[scope] + (_OF_TORCH.get(last, last) if scope == 'torch' else last)


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

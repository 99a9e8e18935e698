"""Config files: reading, inheriting, overriding, checking and writing them."""

from msseg.config.config import Config, required
from msseg.config.config_dict import ConfigDict
from msseg.config.custom_imports import import_modules_from_strings
from msseg.config.dict_action import DictAction, add_cfg_options

__all__ = [
    'Config',
    'ConfigDict',
    'DictAction',
    'add_cfg_options',
    'import_modules_from_strings',
    'required',
]

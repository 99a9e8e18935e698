"""Conversion of weights from files of PyTorch and safetensors, and from other projects' names.

The package needs numpy and the standard library only, neither PyTorch nor MindSpore.
"""

from msseg.convert.conversion import Conversion, Entry, convert
from msseg.convert.names import (
    check_style,
    detect_style,
    expected_settings,
    is_described,
    known_styles,
    register_names,
)
from msseg.convert.read import ForeignFile, read_foreign, sniff_format
from msseg.convert.report import (
    count_taken,
    format_report,
    format_table,
    list_misfits,
    write_report,
)
from msseg.convert.rules import LeftAside, Mapped, Rules, has_name, in_backbone, pixelwise

__all__ = [
    'Conversion',
    'Entry',
    'ForeignFile',
    'LeftAside',
    'Mapped',
    'Rules',
    'check_style',
    'convert',
    'count_taken',
    'detect_style',
    'expected_settings',
    'format_report',
    'format_table',
    'has_name',
    'in_backbone',
    'is_described',
    'known_styles',
    'list_misfits',
    'pixelwise',
    'read_foreign',
    'register_names',
    'sniff_format',
    'write_report',
]

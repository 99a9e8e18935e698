"""Conversion of weights from files of PyTorch and safetensors, and from other projects' names.

The package needs numpy and the standard library only, neither PyTorch nor MindSpore.
"""

from msseg.convert import hrnet_names  # registers names
from msseg.convert.conversion import Conversion, Entry, convert
from msseg.convert.names import (
    LeftAside,
    check_style,
    detect_style,
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

__all__ = [
    'Conversion',
    'Entry',
    'ForeignFile',
    'LeftAside',
    'check_style',
    'convert',
    'count_taken',
    'detect_style',
    'format_report',
    'format_table',
    'known_styles',
    'list_misfits',
    'read_foreign',
    'register_names',
    'sniff_format',
    'write_report',
]

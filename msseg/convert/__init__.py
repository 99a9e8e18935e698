"""Weights from elsewhere: files of PyTorch and safetensors, and other projects' names.

Everything here is numpy and the standard library: neither PyTorch nor MindSpore is needed.
"""

from msseg.convert.conversion import Conversion, Entry, convert
from msseg.convert.names import STYLES, check_style
from msseg.convert.read import ForeignFile, read_foreign, sniff_format
from msseg.convert.report import (
    count_taken,
    format_report,
    format_table,
    list_misfits,
    write_report,
)

__all__ = [
    'STYLES',
    'Conversion',
    'Entry',
    'ForeignFile',
    'check_style',
    'convert',
    'count_taken',
    'format_report',
    'format_table',
    'list_misfits',
    'read_foreign',
    'sniff_format',
    'write_report',
]

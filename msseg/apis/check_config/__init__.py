"""The doctor of configs: says what is wrong before any training, and what to do about it."""

from msseg.apis.check_config.check import check_config
from msseg.apis.check_config.report import ConfigReport
from msseg.apis.check_config.text import format_report

__all__ = ['ConfigReport', 'check_config', 'format_report']

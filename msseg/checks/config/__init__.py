"""The doctor of configs: says what is wrong before any training, and what to do about it."""

from msseg.checks.config.check import check_config
from msseg.checks.config.report import ConfigReport
from msseg.checks.config.text import format_report

__all__ = ['ConfigReport', 'check_config', 'format_report']

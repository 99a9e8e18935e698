"""Checks of configs: report what is wrong before training, and what to do about it."""

from msseg.checks.config.check import ConfigReport, check_config
from msseg.checks.findings import format_report

__all__ = ['ConfigReport', 'check_config', 'format_report']

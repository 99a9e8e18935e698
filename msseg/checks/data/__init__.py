"""Checks of data sets: read every file, report what is wrong and what to do about it."""

from msseg.checks.data.check import check_dataset
from msseg.checks.data.report import DatasetReport, SplitReport
from msseg.checks.findings import format_report

__all__ = ['DatasetReport', 'SplitReport', 'check_dataset', 'format_report']

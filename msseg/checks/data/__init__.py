"""The doctor of data sets: looks at every file and says what is wrong and what to do about it."""

from msseg.checks.data.check import check_dataset
from msseg.checks.data.report import DatasetReport, SplitReport
from msseg.checks.data.text import format_report

__all__ = ['DatasetReport', 'SplitReport', 'check_dataset', 'format_report']

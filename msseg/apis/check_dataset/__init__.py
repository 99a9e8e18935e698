"""The doctor of data sets: looks at every file and says what is wrong and what to do about it."""

from msseg.apis.check_dataset.check import check_dataset
from msseg.apis.check_dataset.report import DatasetReport, SplitReport
from msseg.apis.check_dataset.text import format_report

__all__ = ['DatasetReport', 'SplitReport', 'check_dataset', 'format_report']

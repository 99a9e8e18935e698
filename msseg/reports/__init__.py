"""Pages and pictures on a run: scores, curves, confusions, samples."""

from msseg.reports.evaluation_report import EvaluationReport

__all__ = ['EvaluationReport']

"""Scores on numpy alone: confusion matrix, metrics, tables."""

from msseg.evaluation.confusion import confusion_matrix
from msseg.evaluation.metrics import METRICS, Scores, check_metrics, compute_scores, reported_keys
from msseg.evaluation.table import format_scores

"""Scores on numpy alone: confusion matrix, metrics, tables."""

from msseg.evaluation.metrics import (
    METRICS,
    Scores,
    check_metrics,
    compute_scores,
    confusion_matrix,
    reported_keys,
)
from msseg.evaluation.table import format_scores

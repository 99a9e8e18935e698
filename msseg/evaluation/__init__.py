"""Scores on numpy alone: confusion matrix, metrics, tables."""

from msseg.evaluation.boundary import count_boundaries
from msseg.evaluation.metrics import (
    METRICS,
    Intervals,
    Scores,
    bootstrap_intervals,
    check_metrics,
    compute_scores,
    confusion_matrix,
    reported_keys,
)
from msseg.evaluation.table import format_scores

"""Scores on numpy alone: confusion matrix, metrics, tables."""

from msseg.evaluation.bootstrap import bootstrap_intervals
from msseg.evaluation.boundary import count_boundaries
from msseg.evaluation.metrics import (
    METRICS,
    Intervals,
    Scores,
    check_metrics,
    compute_scores,
    confusion_matrix,
    reported_keys,
)
from msseg.evaluation.table import format_scores

"""Quick checks before a run, which the tools hand to training and testing."""

from __future__ import annotations

from collections.abc import Mapping

from msseg.checks.config.check import warn_of_settings
from msseg.checks.data.sample import check_at_start
from msseg.config import Config
from msseg.datasets import CustomDataset
from msseg.utils.logging import get_logger


def check_before_training(cfg: Config, datasets: Mapping[str, CustomDataset | None]) -> None:
    """Log the problems of a config and of its data sets by split, None for one that is not used.

    This takes a few seconds.
    """
    warn_of_settings(cfg, get_logger(), datasets.get('val') is not None)
    check_at_start(datasets, get_logger())


def check_before_testing(datasets: Mapping[str, CustomDataset]) -> None:
    """Log the problems of data sets by split; this takes a few seconds."""
    check_at_start(datasets, get_logger())

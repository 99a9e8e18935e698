"""Check a config and a sample of its files before a run; the tools hand this to training."""

from __future__ import annotations

from collections.abc import Mapping

from msseg.checks.config.check import warn_of_settings
from msseg.checks.data.start_check import check_at_start
from msseg.config import Config
from msseg.datasets import CustomDataset
from msseg.utils.logging import get_logger


def check_before_training(cfg: Config, datasets: Mapping[str, CustomDataset | None]) -> None:
    """Log what is wrong with a config and its data, as far as a few seconds show it.

    Args:
        cfg: The config.
        datasets: Data sets by split; None for ``val`` when training does not evaluate.
    """
    warn_of_settings(cfg, get_logger(), datasets.get('val') is not None)
    check_at_start(datasets, get_logger())


def check_before_testing(datasets: Mapping[str, CustomDataset]) -> None:
    """Log what is wrong with data sets, as far as a few seconds show it.

    Args:
        datasets: Data sets by split.
    """
    check_at_start(datasets, get_logger())

"""Checks of configs and data sets, and the quick checks before a run."""

"""The loaders, under one name."""

from msseg.datasets.test_loader import TestLoader, TestSample
from msseg.datasets.train_loader import TrainBatch, TrainLoader

__all__ = ['TestLoader', 'TestSample', 'TrainBatch', 'TrainLoader']

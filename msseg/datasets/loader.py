"""The loaders, under one name."""

from msseg.datasets.eval_loader import EvalLoader, EvalSample
from msseg.datasets.train_loader import TrainBatch, TrainLoader

__all__ = ['EvalLoader', 'EvalSample', 'TrainBatch', 'TrainLoader']

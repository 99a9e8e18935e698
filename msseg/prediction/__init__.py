"""Labelling files: what to read, in which pieces, what to write."""

from msseg.prediction.predict import PredictOptions, predict_files

__all__ = ['PredictOptions', 'predict_files']

"""Prediction with exported files, without configs, checkpoints and training code."""

from msseg.deploy.predictor import Predictor

__all__ = ['Predictor']

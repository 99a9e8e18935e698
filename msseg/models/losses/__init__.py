"""Losses: logits and labels to a number."""

from msseg.models.losses.cross_entropy_loss import CrossEntropyLoss

__all__ = ['CrossEntropyLoss']

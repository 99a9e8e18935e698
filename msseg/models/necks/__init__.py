"""Necks: feature maps to feature maps."""

from msseg.models.necks.fpn import FPN

"""Backbones: image to feature maps."""

from msseg.models.backbones.hrnet import HRNet

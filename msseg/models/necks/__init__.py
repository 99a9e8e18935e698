"""Necks: feature maps to feature maps."""

from msseg.models.necks.fpn import FPN
from msseg.models.necks.ic_neck import ICNeck
from msseg.models.necks.jpu import JPU

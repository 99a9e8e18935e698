"""Necks: feature maps to feature maps."""

from msseg.models.necks.featurepyramid import Feature2Pyramid
from msseg.models.necks.fpn import FPN
from msseg.models.necks.ic_neck import ICNeck
from msseg.models.necks.jpu import JPU
from msseg.models.necks.mla_neck import MLANeck
from msseg.models.necks.multilevel_neck import MultiLevelNeck

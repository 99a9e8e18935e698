"""Semantic segmentation on MindSpore, in MMSegmentation's mould."""

from msseg.renamed_modules import install
from msseg.version import __version__

install()

__all__ = ['__version__']

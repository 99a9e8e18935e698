"""Semantic segmentation on MindSpore, in MMSegmentation's mould."""

from msseg.version import __version__

__all__ = ['__version__']

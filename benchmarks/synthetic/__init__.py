"""Drawn street scenes with Cityscapes' labels, for tests and for users without Cityscapes."""

from benchmarks.synthetic.scene import draw_street

__all__ = ['draw_street']

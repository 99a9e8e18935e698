"""Exporting a trained network to files that run without msseg's training side."""

from msseg.export.export import export_model
from msseg.export.onnx_operators import translates
from msseg.export.options import FORMATS, ExportOptions

__all__ = ['FORMATS', 'ExportOptions', 'export_model', 'translates']

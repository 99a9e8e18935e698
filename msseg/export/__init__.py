"""Export of trained networks to files that run without msseg's training side."""

from msseg.export import (  # register translations
    onnx_convolution,
    onnx_indexing,
    onnx_operators,
    onnx_shapes,
)
from msseg.export.export import export_model
from msseg.export.onnx_graph import translates
from msseg.export.options import FORMATS, ExportOptions

__all__ = ['FORMATS', 'ExportOptions', 'export_model', 'translates']

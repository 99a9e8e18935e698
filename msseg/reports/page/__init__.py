"""Pages to look at: one HTML file with everything inside, for any browser, without a network."""

from msseg.reports.page.document import Page
from msseg.reports.page.line_chart import Line, line_chart
from msseg.reports.page.matrix import matrix_map
from msseg.reports.page.parts import cards, facts, legend, picture
from msseg.reports.page.table import Cell, table

__all__ = [
    'Cell',
    'Line',
    'Page',
    'cards',
    'facts',
    'legend',
    'line_chart',
    'matrix_map',
    'picture',
    'table',
]

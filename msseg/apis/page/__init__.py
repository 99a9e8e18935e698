"""Pages to look at: one HTML file with everything inside, for any browser, without a network."""

from msseg.apis.page.document import Page
from msseg.apis.page.line_chart import Line, line_chart
from msseg.apis.page.matrix import matrix_map
from msseg.apis.page.parts import cards, facts, legend, picture
from msseg.apis.page.table import Cell, table

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

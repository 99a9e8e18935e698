"""Progress bars on terminals."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress_bar(
    iterable: Iterable[Any] | None = None, total: int | None = None, **options: Any
) -> tqdm:
    """Return a bar on stderr that vanishes when it is done; none if stderr is not a terminal.

    Args:
        iterable: What to iterate over.
        total: Number of steps; by default the iterable's length.
        options: Further arguments of `tqdm.tqdm`, such as ``unit``.
    """
    try:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # no terminal, closed, or replaced
        columns, lines = 0, 0
    # a terminal without a window has size 0, for which tqdm shows nothing
    size = {'ncols': columns or 80, 'nrows': lines or 24}
    # disable=None: disabled if the output is no terminal
    options = {'disable': None, 'leave': False, 'mininterval': 0.5, **size, **options}
    return tqdm(iterable, total=total, **options)

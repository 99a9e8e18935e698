"""Progress bars on terminals."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

# of a terminal that does not say its size, such as one without a window
_COLUMNS, _LINES = 80, 24


def progress_bar(
    iterable: Iterable[Any] | None = None, total: int | None = None, **options: Any
) -> tqdm:
    """Return a bar on stderr that vanishes when it is done; none where stderr is no terminal.

    Args:
        iterable: What to iterate over.
        total: Number of steps; by default the iterable's length.
        options: Further arguments of `tqdm.tqdm`, such as ``unit``.
    """
    try:
        columns, lines = os.get_terminal_size(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):  # no terminal, closed, or replaced
        columns, lines = 0, 0
    return tqdm(
        iterable,
        total=total,
        # None: disabled where the output is no terminal
        disable=None,
        leave=False,
        mininterval=0.5,
        # tqdm shows nothing for a size of 0
        ncols=columns or _COLUMNS,
        nrows=lines or _LINES,
        **options,
    )

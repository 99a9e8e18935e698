"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return a sentence to append to an error about an unknown name.

    Args:
        name: What the user wrote.
        choices: The names that would have been right.

    Returns:
        ``" Did you mean 'X'?"`` for the closest choice, else ``''``.
    """
    by_lower = {str(choice).lower(): str(choice) for choice in choices}
    close = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.6)
    return f' Did you mean {by_lower[close[0]]!r}?' if close else ''

"""Suggestions for misspelt names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_MIN_RATIO = 0.65
_LAST_WORD = re.compile(r'[A-Z][a-z]+$')


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return a sentence to append to an error about an unknown name.

    Args:
        name: What the user wrote.
        choices: The names that would have been right.

    Returns:
        ``" Did you mean 'X'?"`` for the closest choice, ``''`` when none is near.
    """
    near = nearest(str(name), [str(choice) for choice in choices], 1)
    return f' Did you mean {near[0]!r}?' if near else ''


def nearest(name: str, choices: Iterable[str], count: int) -> list[str]:
    """Return the choices that `name` may be a misspelling of, the closest first.

    Those that begin with it come before others: CrossEntropy is CrossEntropyLoss more likely than
    OhemCrossEntropy.

    A last word that both share, such as Head or Dataset, does not make two names similar:
    SegformerHead is not near OCRHead.

    Args:
        name: What the user wrote.
        choices: The names that would have been right.
        count: How many to return at most.
    """
    by_lower = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(name.lower(), by_lower, n=3 * count, cutoff=_MIN_RATIO)
    close.sort(key=lambda each: not each.startswith(name.lower()))
    return [by_lower[each] for each in close if _stems_are_near(name, by_lower[each])][:count]


def _stems_are_near(name: str, choice: str) -> bool:
    word = _LAST_WORD.search(choice)
    if word is None or not name.endswith(word[0]) or name.lower() == choice.lower():
        return True
    stems = [text.removesuffix(word[0]).lower() for text in (name, choice)]
    return difflib.SequenceMatcher(None, *stems).ratio() >= _MIN_RATIO

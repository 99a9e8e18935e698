"""Divide images into training and validation so that each class is in both."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def stratified_split(
    names: Sequence[str], classes: Sequence[frozenset[int]], fraction: float, seed: int
) -> list[bool]:
    """Choose images for validation, class by class, the rarest first.

    Names and the seed alone decide among images of equal classes: the result is the same on every
    machine and in any order of the images.

    Args:
        names: Of the images, each different.
        classes: The classes in each image.
        fraction: Share for validation, of all images and of those of each class. A class in two
            images or more is in both parts where the other classes allow it.
        seed: Another one chooses other images.

    Returns:
        Whether each image is for validation; of two images or more at least one is, and one is not.

    Source: K. Sechidis, G. Tsoumakas, I. Vlahavas, "On the Stratification of Multi-Label Data",
        2011: iterative stratification.

    Examples:
        >>> stratified_split(['a', 'b', 'c', 'd'], [frozenset([0])] * 3 + [frozenset([1])], 0.5, 0)
        [False, True, True, False]
    """
    order = sorted(range(len(names)), key=lambda i: _digest(names[i], seed))
    every = sorted(set().union(*classes))
    wanted = {c: _wanted(sum(c in own for own in classes), fraction) for c in every}
    num_wanted = _wanted(len(names), fraction)
    is_val: dict[int, bool] = {}
    while len(is_val) < len(names):
        left = [i for i in order if i not in is_val]
        counts = {c: sum(c in classes[i] for i in left) for c in every}
        rarest = min((c for c in every if counts[c]), key=lambda c: (counts[c], c), default=None)
        for i in left:
            if rarest is None or rarest in classes[i]:
                is_val[i] = num_wanted > 0 and (rarest is None or wanted[rarest] > 0)
                num_wanted -= is_val[i]
                for c in classes[i] if is_val[i] else ():
                    wanted[c] -= 1
    if len(names) > 1 and not any(is_val.values()):  # each class is in one image
        is_val[order[0]] = True
    return [is_val[i] for i in range(len(names))]


def _wanted(count: int, fraction: float) -> int:
    """Return the number for validation of so many: of two or more, neither none nor all."""
    rounded = int(count * fraction + 0.5)
    return min(max(rounded, 1), count - 1) if count > 1 else 0


def _digest(name: str, seed: int) -> bytes:
    return hashlib.sha256(f'{seed}/{name}'.encode(errors='surrogateescape')).digest()

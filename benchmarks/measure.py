"""Comparing two things on a machine whose speed wanders: taken in turns, as ratios."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Comparison:
    """Times of two things that were measured in turns.

    Args:
        candidate_s: Seconds of what is judged, one a round.
        base_s: Seconds of what it is compared with, in the same rounds.
    """

    candidate_s: list[float]
    base_s: list[float]

    @property
    def ratio(self) -> float:
        """The median over the rounds of candidate over base."""
        pairs = zip(self.candidate_s, self.base_s, strict=True)
        return median(candidate / base for candidate, base in pairs)

    def report(self, candidate: str, base: str, limit: float) -> str:
        """Return one line: both medians, the ratio, and whether it keeps its limit.

        Args:
            candidate: What was judged.
            base: What it was compared with.
            limit: The largest ratio that was promised.
        """
        verdict = 'within' if self.ratio <= limit else 'above'
        return (
            f'{candidate}: {_shown(self.candidate_s)}; {base}: {_shown(self.base_s)}; '
            f'ratio {self.ratio:.3f}, {verdict} the limit of {limit:g} '
            f'(median of {len(self.base_s)} rounds)'
        )


def compare(
    candidate: Callable[[], object], base: Callable[[], object], rounds: int, warmup: int = 2
) -> Comparison:
    """Time two functions in turns, the first to go changing from round to round.

    Args:
        candidate: What is judged.
        base: What it is compared with.
        rounds: Number of times that both are timed.
        warmup: Number of times that both run beforehand without being timed.

    Returns:
        The times of all rounds.
    """
    if rounds < 1:
        raise ValueError(f'rounds must be at least 1, but got {rounds!r}')
    for _ in range(warmup):
        base()
        candidate()
    times: dict[Callable[[], object], list[float]] = {candidate: [], base: []}
    for round_ in range(rounds):
        for function in (candidate, base) if round_ % 2 else (base, candidate):
            times[function].append(_seconds(function))
    return Comparison(times[candidate], times[base])


def _seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _shown(times_s: list[float]) -> str:
    return f'{median(times_s) * 1000:.2f} ms'

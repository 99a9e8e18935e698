"""Which of two scores is better."""

from __future__ import annotations

import math
from dataclasses import dataclass

RULES = ('greater', 'less')


@dataclass(frozen=True)
class ScoreRule:
    """Compares the scores of one key.

    Args:
        key: The key, such as ``mIoU`` or ``loss``.
        rule: ``greater`` or ``less`` is better; None: less for keys with "loss", else greater.
        option: The setting that `rule` was given by, for the error.

    Raises:
        ValueError: Another `rule`.
    """

    key: str
    rule: str | None = None
    option: str = 'rule'

    def __post_init__(self) -> None:
        if self.rule not in (None, *RULES):
            raise ValueError(f"{self.option} is {self.rule!r}, expected 'greater', 'less' or None")

    @property
    def less_is_better(self) -> bool:
        """Whether a smaller score is the better one."""
        return self.rule == 'less' or (self.rule is None and 'loss' in self.key.lower())

    def is_better(self, score: float, best: float | None, min_delta: float = 0.0) -> bool:
        """Whether a score beats the best so far.

        Args:
            score: The score; NaN beats nothing.
            best: The best so far, None when there is none.
            min_delta: By how much more than this it must.
        """
        if math.isnan(score):
            return False
        if best is None:
            return True
        gain = best - score if self.less_is_better else score - best
        return gain > min_delta

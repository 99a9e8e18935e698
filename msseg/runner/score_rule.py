"""Which of two scores is better."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Rule = Literal['greater', 'less'] | None


@dataclass(frozen=True)
class ScoreRule:
    """Compares the scores of one key.

    Args:
        key: The key, such as ``mIoU`` or ``loss``.
        rule: ``greater`` or ``less`` is better; None: less for keys with "loss", else greater.
    """

    key: str
    rule: Rule = None

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

"""What the endurance tests share."""

from tests.small_run import make_run

__all__ = ['make_run']

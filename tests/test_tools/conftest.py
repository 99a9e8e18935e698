"""Small runs for the tests of tools."""

from tests.small_run import make_run

__all__ = ['make_run']

"""Values of weights, made from their names in PyTorch; those of the self-test's networks, too."""

from msseg.checks.selftest.reference import fill

__all__ = ['fill']

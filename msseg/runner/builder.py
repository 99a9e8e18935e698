"""Registries of runners, hooks, optimizers and optimizer constructors."""

from __future__ import annotations

from msseg.registry import Registry
from msseg.utils.upstream import check_hook

RUNNERS = Registry('runner')
HOOKS = Registry('hook', check_hook)
OPTIMIZERS = Registry('optimizer')
OPTIMIZER_CONSTRUCTORS = Registry('optimizer constructor')

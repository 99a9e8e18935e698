"""Registries of what trains: runners, hooks, optimizers."""

from __future__ import annotations

from msseg.registry import Registry

RUNNERS = Registry('runner')
HOOKS = Registry('hook')
OPTIMIZERS = Registry('optimizer')

"""Packages that only some features need."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_extra(module: str, extra: str, used_by: str) -> ModuleType:
    """Import a package that is not one of the core ones.

    Args:
        module: What to import.
        extra: The extra of msseg that installs it.
        used_by: What needs it, for the message.

    Raises:
        ImportError: It is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(
            f"{used_by} needs the package {module!r}: pip install 'msseg[{extra}]'"
        ) from error

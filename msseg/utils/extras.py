"""Packages that only some features need."""

from __future__ import annotations

import importlib
from types import ModuleType


def import_extra(module: str, extra: str, used_by: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: The package.
        extra: The extra of msseg that installs it.
        used_by: The feature that needs it, for the message.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        advice = f"pip install 'msseg[{extra}]'"
        raise ImportError(f'{used_by} needs the package {module!r}: {advice}') from error

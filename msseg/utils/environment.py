"""What a run should say of the machine and the versions it ran with."""

from __future__ import annotations

import os
import platform

import cv2
import mindspore
import numpy

from msseg.version import __version__


def collect_versions() -> dict[str, str]:
    """Return the versions that a result depends on, by name."""
    return {
        'msseg': __version__,
        'mindspore': mindspore.__version__,
        'numpy': numpy.__version__,
        'opencv': cv2.__version__,
        'python': platform.python_version(),
    }


def describe_environment(device: str) -> str:
    """Return a line on versions, system and device for the log."""
    versions = ', '.join(f'{name} {version}' for name, version in collect_versions().items())
    return f'{versions}; {platform.platform()}, {os.cpu_count()} processors, device {device}'

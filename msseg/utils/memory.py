"""How much memory this process has used."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path('/proc/self/status')
_MACHINE = Path('/proc/meminfo')


def peak_memory_mb() -> int:
    """Return the largest resident set of this process so far, in MB.

    On Linux from the kernel's high-water mark: getrusage also counts what the process was before
    it became this program, which is its parent's memory when it was forked from a large one.
    """
    peak = _read(_STATUS, 'VmHWM')
    return (_peak_from_getrusage() if peak is None else peak) // 1024**2


def resident_memory() -> int:
    """Return the resident set of this process in bytes; where it is not known, its peak so far."""
    now = _read(_STATUS, 'VmRSS')
    return _peak_from_getrusage() if now is None else now


def available_memory() -> int | None:
    """Return how many bytes new processes could take of this machine; None where unknown."""
    return _read(_MACHINE, 'MemAvailable')


def _read(file: Path, key: str) -> int | None:
    if file.exists():
        for line in file.read_text().splitlines():
            if line.startswith(f'{key}:'):
                return int(line.split()[1]) * 1024
    return None


def _peak_from_getrusage() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == 'darwin' else 1024)

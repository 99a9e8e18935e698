"""How much memory this process has used."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_STATUS = Path('/proc/self/status')


def peak_memory_mb() -> int:
    """Return the largest resident set of this process so far, in MB.

    On Linux from the kernel's high-water mark: getrusage also counts what the process was before
    it became this program, which is its parent's memory when it was forked from a large one.
    """
    if _STATUS.exists():
        for line in _STATUS.read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) // 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak / (1024**2 if sys.platform == 'darwin' else 1024))

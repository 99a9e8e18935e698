"""Rank and number of processes; sums over processes."""

from __future__ import annotations


def get_rank() -> int:
    """Return this process's rank, 0 when nothing was initialised."""
    return _from_communication('get_rank', default=0)


def get_world_size() -> int:
    """Return the number of processes, 1 when nothing was initialised."""
    return _from_communication('get_group_size', default=1)


def _from_communication(function: str, default: int) -> int:
    import sys

    # A process that never imported the framework cannot have started its communication.
    if 'mindspore' not in sys.modules:
        return default
    from mindspore import communication
    from mindspore.communication import GlobalComm

    return getattr(communication, function)() if GlobalComm.INITED else default

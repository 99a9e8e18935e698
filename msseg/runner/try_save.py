"""Saving that a failing disk does not end a run with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from msseg.runner.runner import Runner


def try_save(
    runner: Runner, path: str | Path, meta: dict | None = None, with_state: bool = True
) -> bool:
    """Save a checkpoint, or log why it could not be.

    Args:
        runner: What to save.
        path: See `Runner.save`, as for the others.
        meta: More plain JSON values to store.
        with_state: Save what resuming needs, too.

    Returns:
        Whether the checkpoint is on the disk.
    """
    try:
        runner.save(path, meta, with_state)
    except OSError as error:
        runner.logger.error('not saved: %s. Training goes on, older checkpoints are kept', error)
        return False
    return True
